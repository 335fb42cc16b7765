// Where a person types: a message or a command, with completion and history.

import { Completion } from "./completion.js";
import { h, uid } from "./dom.js";
import { icon } from "./icon.js";
import { iconButton } from "./iconbutton.js";

export class Composer {
  /** send(text) -> {ok}; history: History; context: what Completion needs; attach: shows the file button. */
  constructor({ label, placeholder, hint, send, history, context, attach = null }) {
    Object.assign(this, { send, history });
    this.completion = new Completion(context, (from, to, words) => this.replace(from, to, words));
    const hintId = uid("composer-hint");
    this.input = h("textarea", {
      class: "composer-input", rows: 1, placeholder, "aria-label": label, role: "combobox", "aria-autocomplete": "list",
      "aria-expanded": "false", "aria-controls": this.completion.id, "aria-describedby": hintId, spellcheck: "false",
      enterkeyhint: "send", oninput: () => { this.history.stop(); this.changed(); },
      onkeydown: (event) => this.key(event), onblur: () => { this.completion.close(); this.sync(); },
    });
    this.button = h("button", {
      class: "send", type: "button", "aria-label": "Send", title: "Send", onclick: () => void this.submit(),
    }, icon("send"));
    this.node = h("div", { class: "composer" }, this.completion.node,
      h("div", { class: "composer-box" }, attach && clip(attach), this.input, this.button),
      h("div", { class: "composer-hint", id: hintId }, hint));
    this.fit();
  }

  get text() { return this.input.value; }

  set text(value) {
    this.input.value = value;
    this.fit();
  }

  focus() { this.input.focus(); }

  /** Puts words in and the caret after them, as if typed. */
  type(words) {
    this.text = words;
    this.focus();
    this.input.setSelectionRange(words.length, words.length);
    this.changed();
  }

  replace(from, to, words) {
    const text = this.text;
    this.text = text.slice(0, from) + words + text.slice(to).replace(/^ /, "");
    this.input.setSelectionRange(from + words.length, from + words.length);
    this.changed();
  }

  changed() {
    this.fit();
    const looked = this.completion.look(this.text, this.input.selectionStart);
    this.sync();
    void looked?.then?.(() => this.sync());
  }

  sync() {
    this.input.setAttribute("aria-expanded", String(this.completion.open && this.completion.entries.length > 0));
    const id = this.completion.activeId;
    if (id) this.input.setAttribute("aria-activedescendant", id);
    else this.input.removeAttribute("aria-activedescendant");
    this.button.classList.toggle("ready", this.text.trim() !== "");
  }

  fit() {
    if (!this.input.isConnected) return; // has no height to measure yet
    this.input.style.height = "auto";
    this.input.style.height = `${Math.min(this.input.scrollHeight, 180)}px`;
  }

  key(event) {
    if (event.isComposing) return;
    const choosing = this.completion.open && this.completion.entries.length > 0 && !this.history.browsing;
    const { key } = event;
    if (choosing && (key === "ArrowDown" || key === "ArrowUp")) this.completion.move(key === "ArrowDown" ? 1 : -1);
    else if (choosing && key === "Tab" && !event.shiftKey) this.completion.take();
    else if (choosing && key === "Enter" && !event.shiftKey && this.completion.active >= 0) this.completion.take();
    else if (this.completion.open && key === "Escape") {
      this.completion.close();
      event.stopPropagation();
    } else if (key === "Enter" && !event.shiftKey) void this.submit();
    else if ((key === "ArrowUp" || key === "ArrowDown") && this.recall(key === "ArrowUp" ? -1 : 1)) { /* shown */ }
    else return;
    event.preventDefault();
    this.sync();
  }

  /** Arrow-up in an empty field, and both arrows from then on, walk through what was sent before. */
  recall(direction) {
    if (this.text !== "" && !this.history.browsing) return false;
    const words = this.history.step(direction, this.text);
    if (words === null) return this.history.browsing;
    this.text = words;
    this.input.setSelectionRange(words.length, words.length);
    this.completion.close();
    return true;
  }

  async submit() {
    const text = this.text.trim();
    if (text === "" || this.sending) return;
    this.sending = true;
    this.completion.close();
    this.history.add(text);
    this.text = "";
    this.sync();
    const answer = await this.send(text);
    this.sending = false;
    if (!answer?.ok && this.text === "") this.text = text; // nothing typed is lost
    this.sync();
  }
}

/** The button that picks a file. */
function clip(attach) {
  const picker = h("input", {
    type: "file", hidden: true, onchange: () => { attach(picker.files[0]); picker.value = ""; },
  });
  return [picker, iconButton("attach", "Attach a file", () => picker.click())];
}
