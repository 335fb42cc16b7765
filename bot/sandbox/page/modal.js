// The open modal: fields keep what was typed while the app updates the view or pushes another on top.

import { BlockList } from "./blocklist.js";
import { pending } from "./button.js";
import { h, uid } from "./dom.js";
import { iconButton } from "./iconbutton.js";
import { plainText } from "./mrkdwn.js";
import { Surface } from "./surface.js";

export class Modal {
  /** actions: {submit(viewId, state), close(viewId, all), perform(body)} */
  constructor(actions) {
    this.actions = actions;
    this.surfaces = new Map();
    const title = uid("modal-title");
    this.title = h("h2", { class: "dialog-title", id: title });
    this.back = iconButton("back", "Back", () => this.leave(false), { hidden: true });
    this.body = h("div", { class: "modal-body", tabindex: "-1" });
    this.buttons = h("div", { class: "dialog-buttons" });
    const close = iconButton("close", "Close", () => this.leave(true));
    const head = h("header", { class: "modal-head" }, this.back, this.title, close);
    this.form = h("form", {
      class: "modal-form", novalidate: true, onsubmit: (event) => { event.preventDefault(); void this.submit(); },
    }, head, this.body, this.buttons);
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
    const surface = this.surface(view, names);
    surface.keepOnly(view.blocks ?? []);
    this.title.replaceChildren(plainText(view.title));
    this.back.hidden = !view.previous_view_id;
    if (other) {
      this.list = new BlockList(surface);
      this.body.replaceChildren(this.list.node);
      this.body.scrollTop = 0;
    }
    this.list.update(view.blocks ?? [], view.errors ?? {});
    this.drawButtons(view);
    if (!this.node.open) this.node.showModal();
    if (other) this.start();
    return undefined;
  }

  surface(view, names) {
    if (!this.surfaces.has(view.id)) {
      const container = { type: "view", view_id: view.id };
      const surface = new Surface({ container, names, perform: this.actions.perform });
      surface.values = structuredClone(view.state?.values ?? {});
      this.surfaces.set(view.id, surface);
    }
    return this.surfaces.get(view.id);
  }

  drawButtons(view) {
    const key = JSON.stringify([view.submit, view.close]);
    if (key === this.buttonKey) return;
    this.buttonKey = key;
    const submit = { class: "button button-primary", type: "submit" };
    this.submitButton = view.submit && h("button", submit, plainText(view.submit));
    const words = view.close ?? { text: view.submit ? "Cancel" : "Close" };
    const close = h("button", { class: "button", type: "button", onclick: () => this.leave(false) }, plainText(words));
    this.buttons.replaceChildren(close, ...(this.submitButton ? [this.submitButton] : []));
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
    this.list.update(this.view.blocks ?? [], answer.errors ?? {});
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
