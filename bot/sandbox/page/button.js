// Buttons and overflow menus: confirm first, then a pending state until the app has acknowledged.

import { confirmed } from "./confirm.js";
import { h, safeUrl } from "./dom.js";
import { icon } from "./icon.js";
import { openMenu } from "./menu.js";
import { plainText } from "./mrkdwn.js";

const STYLES = { primary: "button button-primary", danger: "button button-danger" };

export function button(spec, place) {
  const { surface } = place;
  const words = h("span", { class: "button-words" }, plainText(spec.text ?? { text: "Open" }));
  const shared = {
    class: STYLES[spec.style] ?? "button", "aria-label": spec.accessibility_label,
    dataset: { action: spec.action_id ?? "" },
  };
  const press = async () => {
    if (spec.confirm && !(await confirmed(spec.confirm, surface.names))) return;
    await pending(node, () => surface.act(place.blockId, spec, spec.value === undefined ? {} : { value: spec.value }));
  };
  let node;
  if (spec.url && safeUrl(spec.url)) {
    // A link button opens its address and still tells the app, which must acknowledge it.
    const away = { href: spec.url, target: "_blank", rel: "noopener noreferrer", onclick: () => void press() };
    node = h("a", { ...shared, ...away }, words, h("span", { class: "sr-only" }, " (opens a new tab)"));
  } else node = h("button", { ...shared, type: "button", onclick: press }, words);
  return node;
}

/** Marks `node` as busy while `run` is under way; further presses do nothing, focus stays. */
export async function pending(node, run) {
  if (node.getAttribute("aria-busy") === "true") return null;
  node.setAttribute("aria-busy", "true");
  node.setAttribute("aria-disabled", "true");
  const shown = new Promise((resolve) => setTimeout(resolve, 250));
  try {
    return await run();
  } finally {
    await shown; // a flicker of a few milliseconds would look like nothing happened
    node.removeAttribute("aria-busy");
    node.removeAttribute("aria-disabled");
  }
}

export function overflow(spec, place) {
  const { surface } = place;
  const node = h("button", {
    class: "button button-icon", type: "button", "aria-haspopup": "menu", "aria-expanded": "false",
    "aria-label": "More actions", dataset: { action: spec.action_id ?? "" },
    onclick: () => openMenu(node, (spec.options ?? []).map(item), { label: "More actions", align: "end" }),
  }, icon("dots"));
  const item = (option) => ({
    label: plainText(option.text), detail: option.description && plainText(option.description),
    run: () => choose(option),
  });
  const choose = async (option) => {
    if (option.url && safeUrl(option.url)) window.open(safeUrl(option.url), "_blank", "noopener");
    if (spec.confirm && !(await confirmed(spec.confirm, surface.names))) return;
    await pending(node, () => surface.act(place.blockId, spec, { selected_option: option }));
  };
  return node;
}
