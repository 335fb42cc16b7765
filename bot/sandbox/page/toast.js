// Short notices at the edge of the page. Errors stay until read or dismissed; the same words do not pile up.

import { h } from "./dom.js";
import { icon } from "./icon.js";

const SHOWN = 6000;
const SHOWN_ERROR = 10000;

export class Toasts {
  constructor() {
    this.node = h("div", { class: "toasts", role: "region", "aria-label": "Notices" });
  }

  show(text, { error = false } = {}) {
    const twin = [...this.node.children].find((toast) => toast.dataset.text === text);
    twin?.remove();
    const toast = h("div", { class: error ? "toast toast-error" : "toast", role: error ? "alert" : "status", dataset: { text } },
      icon(error ? "alert" : "check"), h("span", { class: "toast-text" }, text),
      h("button", { class: "button button-icon quiet", type: "button", "aria-label": "Dismiss", onclick: () => toast.remove() }, icon("close", 14)));
    this.node.append(toast);
    let timer = setTimeout(() => toast.remove(), error ? SHOWN_ERROR : SHOWN);
    toast.addEventListener("mouseenter", () => clearTimeout(timer));
    toast.addEventListener("mouseleave", () => { timer = setTimeout(() => toast.remove(), SHOWN); });
  }
}
