// A quiet button that is only a drawing; its label is what screen readers and the tooltip say.

import { h } from "./dom.js";
import { icon } from "./icon.js";

export function iconButton(drawing, label, onclick, { className = "", size = 18, ...attributes } = {}) {
  return h("button", {
    class: `button button-icon quiet ${className}`.trim(), type: "button", "aria-label": label, title: label, onclick,
    ...attributes,
  }, icon(drawing, size));
}
