// Radio buttons and checkboxes.

import { commit } from "./commit.js";
import { h, uid } from "./dom.js";
import { textObject } from "./mrkdwn.js";

export function choices(spec, place) {
  const { surface, blockId } = place;
  const single = spec.type === "radio_buttons";
  const name = uid("choice");
  const state = surface.state(blockId, spec);
  const before = single ? [state.selected_option] : state.selected_options;
  const picked = new Set(before.filter(Boolean).map((option) => option.value));
  const inputs = (spec.options ?? []).map((option) => {
    const input = h("input", {
      type: single ? "radio" : "checkbox", name, value: option.value, checked: picked.has(option.value),
      onchange: change, dataset: { action: spec.action_id ?? "" },
    });
    return [input, option];
  });
  const node = h("div", {
    class: "choices", role: single ? "radiogroup" : "group", "aria-label": place.label,
    "aria-describedby": place.describedBy,
  }, inputs.map(([input, option]) => h("label", { class: "choice" }, input,
    h("span", {}, h("span", { class: "choice-words" }, textObject(option.text, surface.names)),
      option.description && h("span", { class: "choice-detail" }, textObject(option.description, surface.names))))));

  async function change() {
    const chosen = inputs.filter(([input]) => input.checked).map(([, option]) => option);
    const news = single ? { selected_option: chosen[0] ?? null } : { selected_options: chosen };
    const kept = await commit(node, spec, place, news);
    if (kept) picked.clear();
    if (kept) chosen.forEach((option) => picked.add(option.value));
    else inputs.forEach(([input]) => { input.checked = picked.has(input.value); });
  }
  return node;
}
