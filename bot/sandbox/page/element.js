// Block elements: the table from an element's type to the module that draws it.

import { button, overflow } from "./button.js";
import { choices } from "./choices.js";
import { h } from "./dom.js";
import { picker } from "./picker.js";
import { plainText, textObject } from "./mrkdwn.js";
import { select } from "./select.js";
import { textInput } from "./textinput.js";

const KINDS = {
  button, workflow_button: button, overflow, radio_buttons: choices, checkboxes: choices,
  datepicker: picker, timepicker: picker, datetimepicker: picker,
  plain_text_input: textInput, number_input: textInput, email_text_input: textInput, url_text_input: textInput,
};

/** place: {surface, blockId, inInput, label, describedBy}. Unknown elements say their type. */
export function element(spec, place) {
  const { names } = place.surface;
  if (spec.type === "image") return image(spec);
  if (spec.type === "mrkdwn" || spec.type === "plain_text") return h("span", { class: "text" }, textObject(spec, names));
  if (/_select$/.test(spec.type)) return select(spec, place);
  const draw = Object.hasOwn(KINDS, spec.type) ? KINDS[spec.type] : null;
  return draw ? draw(spec, place) : h("span", { class: "unknown" }, `Element not shown here: ${spec.type}`);
}

/** An image of any block; where it cannot be loaded its description takes its place. */
export function image(spec, className = "thumb") {
  const url = spec.image_url ?? (spec.slack_file?.id ? `/sandbox/files/${encodeURIComponent(spec.slack_file.id)}` : spec.slack_file?.url);
  const picture = h("img", { class: className, src: url, alt: spec.alt_text ?? "", loading: "lazy" });
  picture.addEventListener("error", () =>
    picture.replaceWith(h("span", { class: "image-missing" }, plainText({ text: spec.alt_text || "Image not available" }))));
  return picture;
}
