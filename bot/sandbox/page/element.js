// Block elements: the table from an element's type to the module that draws it.

import { button, overflow } from "./button.js";
import { choices } from "./choices.js";
import { h } from "./dom.js";
import { picker } from "./picker.js";
import { textObject } from "./mrkdwn.js";
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
  if (["mrkdwn", "plain_text"].includes(spec.type)) return h("span", { class: "text" }, textObject(spec, names));
  if (/_select$/.test(spec.type)) return select(spec, place);
  const draw = Object.hasOwn(KINDS, spec.type) ? KINDS[spec.type] : null;
  return draw ? draw(spec, place) : h("span", { class: "unknown" }, `Element not shown here: ${spec.type}`);
}

/** An image of any block; where it cannot be loaded its description takes its place. */
export function image(spec, className = "thumb") {
  const { id, url } = spec.slack_file ?? {};
  const src = spec.image_url ?? (id ? `/sandbox/files/${encodeURIComponent(id)}` : url);
  const picture = h("img", { class: className, src, alt: spec.alt_text ?? "", loading: "lazy" });
  const instead = () => h("span", { class: "image-missing" }, spec.alt_text || "Image not available");
  picture.addEventListener("error", () => picture.replaceWith(instead()));
  return picture;
}
