// One Block Kit block as a node. A block that this page does not know is shown as a labelled placeholder.

import { element, image } from "./element.js";
import { h, uid } from "./dom.js";
import { icon } from "./icon.js";
import { markdown } from "./markdown.js";
import { plainText, textObject } from "./mrkdwn.js";
import { plan, taskCard } from "./plan.js";
import { richText } from "./richtext.js";
import { table } from "./table.js";

const DRAW = {
  header: (block) => h("div", { class: "header", role: "heading", "aria-level": "3" }, plainText(block.text)),
  section, context, actions, input,
  divider: () => h("hr", { class: "divider" }),
  image: (block) => h("figure", { class: "figure" },
    block.title && h("figcaption", {}, plainText(block.title)), image(block, "picture")),
  rich_text: (block, { names }) => richText(block, names),
  markdown: (block) => markdown(block.text),
  plan: (block, { names }) => plan(block, names),
  task_card: (block, { names }) => taskCard(block, names),
  table: (block, { names }) => table(block, names),
  alert,
  context_actions: actions,
};

/**
 * block: Slack's JSON; surface: where it lives; error: the validation message beside an input; identity: {id}, the
 * block's name when something in it is pressed, which an update may change.
 */
export function drawBlock(block, surface, error = null, identity = { id: block?.block_id }) {
  const draw = Object.hasOwn(DRAW, block?.type) ? DRAW[block.type] : null;
  const body = draw ? draw(block, surface, identity, error) : unknown(block);
  const kind = draw ? block.type : "unknown";
  return h("div", { class: `block block-${kind}`, dataset: { blockId: block?.block_id ?? "" } }, body);
}

/** Where an element stands; asked for its block's name at the moment of a press. */
const placed = (surface, identity) => ({ surface, get blockId() { return identity.id; } });

function section(block, surface, identity) {
  const { names } = surface;
  const fields = (block.fields ?? []).map((field) => h("div", { class: "section-field" }, textObject(field, names)));
  return h("div", { class: block.accessory ? "section with-accessory" : "section" },
    h("div", { class: "section-main" }, block.text && h("div", { class: "text" }, textObject(block.text, names)),
      fields.length > 0 && h("div", { class: "section-fields" }, fields)),
    block.accessory && h("div", { class: block.accessory.type === "image" ? "accessory accessory-image" : "accessory" },
      element(block.accessory, placed(surface, identity))));
}

function context(block, surface, identity) {
  return h("div", { class: "context" },
  (block.elements ?? []).map((part) => element(part, placed(surface, identity))));
}

function actions(block, surface, identity) {
  return h("div", { class: "actions", role: "group", "aria-label": "Actions" },
  (block.elements ?? []).map((part) => element(part, placed(surface, identity))));
}

function input(block, surface, _identity, error) {
  const id = uid("field");
  const label = block.label?.text ?? "";
  const notes = [error && `${id}-error`, block.hint && `${id}-hint`].filter(Boolean).join(" ");
  const place = {
    surface, blockId: block.block_id, inInput: true, dispatch: block.dispatch_action === true, label,
    required: !block.optional, describedBy: notes || null,
  };
  return h("div", { class: error ? "input has-error" : "input" },
    h("div", { class: "input-label" }, plainText(block.label),
      block.optional && h("span", { class: "optional" }, "optional")),
    element(block.element ?? {}, place),
    error && h("div", { class: "input-error", id: `${id}-error`, role: "alert" }, icon("alert", 14), error),
    block.hint && h("div", { class: "input-hint", id: `${id}-hint` }, plainText(block.hint)));
}

const LEVELS = { info: "Note", warning: "Warning", error: "Error", success: "Success", default: "Note" };

function alert(block, { names }) {
  const level = Object.hasOwn(LEVELS, block.level) ? block.level : "default";
  const words = typeof block.text === "string" ? block.text : textObject(block.text, names);
  return h("div", { class: `alert alert-${level}`, role: level === "error" ? "alert" : "note" },
    h("strong", { class: "alert-level" }, LEVELS[level]), h("span", {}, words));
}

const unknown = (block) => h("div", { class: "unknown" },
  h("strong", {}, String(block?.type ?? "block")), " blocks are not drawn here. Slack itself would show it.");
