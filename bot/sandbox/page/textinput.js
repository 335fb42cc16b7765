// Text, number, email and address inputs.

import { commit } from "./commit.js";
import { h } from "./dom.js";

const KINDS = {
  number_input: { type: "text", inputmode: "decimal" },
  email_text_input: { type: "email", inputmode: "email", autocomplete: "off" },
  url_text_input: { type: "url", inputmode: "url", autocomplete: "off" },
};

export function textInput(spec, place) {
  const { surface, blockId } = place;
  const triggers = spec.dispatch_action_config?.trigger_actions_on ?? ["on_enter_pressed"];
  const node = h(spec.multiline ? "textarea" : "input", {
    class: "field", type: spec.multiline ? null : "text", rows: spec.multiline ? 4 : null, ...KINDS[spec.type],
    value: surface.state(blockId, spec).value ?? "", placeholder: spec.placeholder?.text, maxlength: spec.max_length,
    "aria-label": place.label, "aria-describedby": place.describedBy, "aria-required": place.required ? "true" : null,
    dataset: { action: spec.action_id ?? "", focus: spec.focus_on_load ? "load" : "" }, spellcheck: "false",
    oninput: () => {
      surface.set(blockId, spec, { value: node.value === "" ? null : node.value });
      if (triggers.includes("on_character_entered")) tell();
    },
    onkeydown: (event) => {
      if (event.key === "Enter" && !spec.multiline && place.dispatch && triggers.includes("on_enter_pressed")) {
        event.preventDefault();
        tell();
      }
    },
  });
  const tell = () => place.dispatch && commit(node, spec, place, { value: node.value === "" ? null : node.value });
  return node;
}
