// The open modal: fields keep what was typed while the app updates the view or pushes another on top.

import { BlockList } from "./blocklist.js";
import { pending } from "./button.js";
import { h, uid } from "./dom.js";
import { icon } from "./icon.js";
import { plainText } from "./mrkdwn.js";
import { Surface } from "./surface.js";

export class Modal {
  /** actions: {submit(viewId, state), close(viewId, all), perform(body)} */
  constructor(actions) {
    this.actions = actions;
    this.surfaces = new Map();
    const title = uid("modal-title");
    this.title = h("h2", { class: "dialog-title", id: title });
    this.back = h("button", { class: "button button-icon quiet", type: "button", "aria-label": "Back", hidden: true, onclick: () => this.leave(false) }, icon("back"));
    this.body = h("div", { class: "modal-body", tabindex: "-1" });
    this.buttons = h("div", { class: "dialog-buttons" });
    this.form = h("form", { class: "modal-form", novalidate: true, onsubmit: (event) => { event.preventDefault(); void this.submit(); } },
      h("header", { class: "modal-head" }, this.back, this.title,
        h("button", { class: "button button-icon quiet", type: "button", "aria-label": "Close", onclick: () => this.leave(true) }, icon("close"))),
      this.body, this.buttons);
    this.node = h("dialog", { class: "dialog modal", "aria-labelledby": title }, this.form);
    this.node.addEventListener("cancel", (event) => { event.preventDefault(); this.leave(false); });
    this.node.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.form.requestSubmit();
    });
  }

  /** view: Slack's view object or null. */
  update(view, names) {
    if (!view) return this.shut();
    const other = this.view?.id !== view.id;
    this.view = view;
    if (other) this.errors = {};
    if (!this.surfaces.has(view.id)) {
      this.surfaces.set(view.id, new Surface({ container: { type: "view", view_id: view.id }, names, perform: this.actions.perform }));
    }
    const surface = this.surfaces.get(view.id);
    surface.keepOnly(view.blocks ?? []);
    this.title.replaceChildren(plainText(view.title));
    this.back.hidden = !view.previous_view_id;
    if (other) {
      this.list = new BlockList(surface);
      this.body.replaceChildren(this.list.node);
      this.body.scrollTop = 0;
    }
    this.list.update(view.blocks ?? [], this.errors);
    this.drawButtons(view);
    if (!this.node.open) this.node.showModal();
    if (other) this.start();
    return undefined;
  }

  drawButtons(view) {
    const key = JSON.stringify([view.submit, view.close]);
    if (key === this.buttonKey) return;
    this.buttonKey = key;
    this.submitButton = view.submit ? h("button", { class: "button button-primary", type: "submit" }, plainText(view.submit)) : null;
    this.buttons.replaceChildren(
      h("button", { class: "button", type: "button", onclick: () => this.leave(false) }, plainText(view.close ?? { text: view.submit ? "Cancel" : "Close" })),
      ...(this.submitButton ? [this.submitButton] : []));
  }

  start() {
    const first = this.body.querySelector("[data-focus=load]") ??
      this.body.querySelector("input:not([type=hidden]), textarea, button, [href]") ?? this.submitButton ?? this.body;
    first.focus();
  }

  async submit() {
    const { view } = this;
    if (!view || !this.submitButton) return;
    const state = this.surfaces.get(view.id).values;
    const answer = await pending(this.submitButton, () => this.actions.submit(view.id, state));
    if (answer === null || this.view?.id !== view.id) return;
    this.errors = answer.errors ?? {};
    this.list.update(this.view.blocks ?? [], this.errors);
    const wrong = this.body.querySelector(".has-error");
    wrong?.scrollIntoView({ block: "nearest" });
    wrong?.querySelector("input, textarea, button")?.focus();
  }

  leave(all) {
    if (this.view) void this.actions.close(this.view.id, all);
  }

  shut() {
    this.view = null;
    this.surfaces.clear();
    this.list = null;
    this.buttonKey = null;
    if (this.node.open) this.node.close();
  }
}
