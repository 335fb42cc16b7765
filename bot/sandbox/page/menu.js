// A pop-up menu: roving focus, arrow keys, Escape and a click elsewhere close it. One instance at a time.

import { h } from "./dom.js";

/** items: [{label, detail?, danger?, checked?, run}] or "-" for a line. Opens beside `anchor`. */
export function openMenu(anchor, items, { label, align = "start" } = {}) {
  const entries = items.map((item) => (item === "-" ? h("hr", { class: "menu-line" }) : entry(item, close)));
  const menu = h("div", { class: "menu", role: "menu", popover: "auto", "aria-label": label }, entries);
  const buttons = entries.filter((node) => node.matches("button"));
  anchor.after(menu);
  anchor.setAttribute("aria-expanded", "true");
  menu.addEventListener("keydown", (event) => {
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to !== undefined) {
      event.preventDefault();
      buttons[(to + buttons.length) % buttons.length]?.focus();
    }
    if (event.key === "Tab") close();
    if (event.key === "Escape") event.stopPropagation();
  });
  menu.addEventListener("toggle", (event) => {
    if (event.newState !== "closed") return;
    anchor.setAttribute("aria-expanded", "false");
    if (menu.contains(document.activeElement) || document.activeElement === document.body) anchor.focus();
    menu.remove();
  });
  menu.showPopover();
  place(menu, anchor, align);
  (buttons.find((button) => button.getAttribute("aria-checked") === "true") ?? buttons[0])?.focus();

  function close() {
    menu.hidePopover();
  }
  return close;
}

function entry(item, close) {
  return h("button", {
    class: item.danger ? "menu-item danger" : "menu-item", type: "button", tabindex: "-1",
    role: item.checked === undefined ? "menuitem" : "menuitemradio",
    "aria-checked": item.checked === undefined ? null : String(item.checked),
    onclick: () => { close(); item.run(); },
  }, h("span", { class: "menu-label" }, item.label), item.detail && h("span", { class: "menu-detail" }, item.detail));
}

/** Puts a popover under `anchor`, or above it where there is no room. */
export function place(popup, anchor, align = "start", width = null) {
  const box = anchor.getBoundingClientRect();
  if (width) popup.style.width = `${box.width}px`;
  const height = popup.offsetHeight;
  const below = box.bottom + 4;
  const top = below + height > innerHeight - 8 && box.top - height - 4 > 8 ? box.top - height - 4 : below;
  const left = align === "end" ? box.right - popup.offsetWidth : box.left;
  popup.style.top = `${Math.max(8, top)}px`;
  popup.style.left = `${Math.max(8, Math.min(left, innerWidth - popup.offsetWidth - 8))}px`;
}
