// Tells screen readers about new messages, politely and one at a time.

import { h, unescape } from "./dom.js";

export class Announcer {
  constructor() {
    this.node = h("div", { class: "sr-only", role: "status", "aria-live": "polite", "aria-atomic": "true" });
  }

  message(message, names) {
    const author = message.username || names.person(message.user)?.name || "Someone";
    const text = unescape((message.text ?? "").replace(/<(?:[^<>|]*\|)?([^<>]*)>/g, "$1")).slice(0, 300);
    this.node.textContent = `${author}${message.ephemeral ? ", only visible to you" : ""}: ${text}`;
  }
}
