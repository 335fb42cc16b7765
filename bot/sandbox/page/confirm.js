// The confirm dialog of a button, select or menu, worded by the app.

import { h, uid } from "./dom.js";
import { textObject } from "./mrkdwn.js";

/** Resolves true when the person confirms; Escape and the other button mean no. */
export function confirmed(confirm, names) {
  const id = uid("confirm");
  const deny = h("button", { class: "button", type: "button" }, textObject(confirm.deny ?? plain("Cancel"), names));
  const agree = h("button", {
    class: confirm.style === "danger" ? "button button-danger solid" : "button button-primary", type: "button",
  }, textObject(confirm.confirm ?? plain("Yes"), names));
  const dialog = h("dialog", {
    class: "dialog confirm", role: "alertdialog", "aria-labelledby": id, "aria-describedby": `${id}-text`,
  },
    h("h2", { class: "dialog-title", id }, textObject(confirm.title ?? plain("Are you sure?"), names)),
    h("div", { class: "dialog-text", id: `${id}-text` }, textObject(confirm.text, names)),
    h("div", { class: "dialog-buttons" }, deny, agree));
  return new Promise((resolve) => {
    let answer = false;
    agree.addEventListener("click", () => { answer = true; dialog.close(); });
    deny.addEventListener("click", () => dialog.close());
    dialog.addEventListener("keydown", (event) => event.stopPropagation());
    dialog.addEventListener("close", () => { dialog.remove(); resolve(answer); });
    document.body.append(dialog);
    dialog.showModal();
    deny.focus();
  });
}

const plain = (text) => ({ type: "plain_text", text });
