// Date, time and date-time pickers on the browser's own controls. A date-time is read in the acting person's zone.

import { commit } from "./commit.js";
import { dayKey, time } from "./clock.js";
import { h } from "./dom.js";

const KINDS = {
  datepicker: { input: "date", field: "selected_date" },
  timepicker: { input: "time", field: "selected_time" },
  datetimepicker: { input: "datetime-local", field: "selected_date_time" },
};

export function picker(spec, place) {
  const { surface, blockId } = place;
  const { input, field } = KINDS[spec.type];
  const zone = surface.names.zone;
  const moment = spec.type === "datetimepicker";
  const show = () => {
    const value = surface.state(blockId, spec)[field];
    return value === null ? "" : moment ? local(value, zone) : value;
  };
  const node = h("input", {
    class: "field field-narrow", type: input, value: show(),
    "aria-label": place.label ?? spec.placeholder?.text ?? "Choose",
    "aria-describedby": place.describedBy, dataset: { action: spec.action_id ?? "" },
    onchange: async () => {
      const value = node.value === "" ? null : moment ? seconds(node.value, zone) : node.value;
      if (!(await commit(node, spec, place, { [field]: value }))) node.value = show();
    },
  });
  if (!moment) return node;
  return h("span", { class: "with-note" }, node, h("span", { class: "note" }, zone.replaceAll("_", " ")));
}

const local = (value, zone) => {
  const date = new Date(Number(value) * 1000);
  return `${dayKey(date, zone)}T${time(date, zone)}`;
};

/** Unix seconds of a wall-clock time in `zone`: guess as if it were UTC, then correct by what the zone makes of it. */
function seconds(wall, zone) {
  const wanted = Date.parse(`${wall}Z`) / 1000;
  let guess = wanted;
  for (let round = 0; round < 2; round += 1) guess += wanted - Date.parse(`${local(guess, zone)}Z`) / 1000;
  return guess;
}
