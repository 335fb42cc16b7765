// The list of keyboard shortcuts.

import { h } from "./dom.js";

const KEYS = [
  ["/", "Start a command from anywhere"],
  ["Tab", "Take the suggestion"],
  ["↑", "What you sent before (in an empty field)"],
  ["Shift Enter", "New line"],
  ["Esc", "Close the list, the thread or the dialog"],
  ["Alt ⇧ 1 – 9", "Become another person"],
  ["Alt ↑ / Alt ↓", "Previous or next conversation"],
  ["↑ / ↓", "From message to message (in the list)"],
  ["Ctrl /", "This list"],
];

export function showHelp() {
  const done = h("button", { class: "button button-primary", type: "button", onclick: () => dialog.close() }, "Done");
  const dialog = h("dialog", { class: "dialog confirm", "aria-labelledby": "help-title" },
    h("h2", { class: "dialog-title", id: "help-title" }, "Keyboard"),
    h("dl", { class: "keys" }, KEYS.map(([key, words]) => [h("dt", {}, h("kbd", {}, key)), h("dd", {}, words)])),
    h("div", { class: "dialog-buttons" }, done));
  dialog.addEventListener("close", () => dialog.remove());
  dialog.addEventListener("keydown", (event) => event.stopPropagation());
  document.body.append(dialog);
  dialog.showModal();
  done.focus();
}
