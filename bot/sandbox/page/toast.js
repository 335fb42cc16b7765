// Short notices at the edge of the page. Errors stay until read or dismissed; the same words do not pile up.

import { h } from "./dom.js";
import { icon } from "./icon.js";
import { iconButton } from "./iconbutton.js";

const SHOWN = 6000;
const SHOWN_ERROR = 10000;

export class Toasts {
  constructor() {
    this.node = h("div", { class: "toasts", role: "region", "aria-label": "Notices" });
  }

  show(text, { error = false } = {}) {
    const twin = [...this.node.children].find((toast) => toast.dataset.text === text);
    twin?.remove();
    const kind = error ? { class: "toast toast-error", role: "alert" } : { class: "toast", role: "status" };
    const toast = h("div", { ...kind, dataset: { text } }, icon(error ? "alert" : "check"),
      h("span", { class: "toast-text" }, text), iconButton("close", "Dismiss", () => toast.remove(), { size: 14 }));
    this.node.append(toast);
    let timer = setTimeout(() => toast.remove(), error ? SHOWN_ERROR : SHOWN);
    toast.addEventListener("mouseenter", () => clearTimeout(timer));
    toast.addEventListener("mouseleave", () => { timer = setTimeout(() => toast.remove(), SHOWN); });
  }
}
