// Light, dark or what the system says; remembered in this browser.

import { h } from "./dom.js";
import { icon } from "./icon.js";

const ORDER = ["auto", "light", "dark"];
const DRAWING = { auto: "auto", light: "sun", dark: "moon" };
const KEY = "sandbox.theme";

export function themeButton() {
  let theme = ORDER.includes(localStorage.getItem(KEY)) ? localStorage.getItem(KEY) : "auto";
  const button = h("button", { class: "button button-icon quiet", type: "button", onclick: () => {
    theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
    localStorage.setItem(KEY, theme);
    apply();
  } });
  const apply = () => {
    document.documentElement.dataset.theme = theme;
    const words = `Theme: ${theme === "auto" ? "as the system" : theme}`;
    button.setAttribute("aria-label", words);
    button.title = words;
    button.replaceChildren(icon(DRAWING[theme]));
  };
  apply();
  return button;
}
