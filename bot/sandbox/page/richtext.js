// rich_text blocks: sections, lists, quotes and preformatted text as DOM nodes.

import { h, link } from "./dom.js";
import { emoji } from "./emoji.js";
import { channel, group, moment, person } from "./reference.js";

/** All elements of a rich_text block. */
export function richText(block, names) {
  const out = document.createDocumentFragment();
  for (const element of block?.elements ?? []) out.append(part(element, names));
  return out;
}

function part(element, names) {
  const inner = () => (element.elements ?? []).map((child) => run(child, names));
  switch (element.type) {
    case "rich_text_section":
      return h("div", { class: "prose" }, inner());
    case "rich_text_quote":
      return h("blockquote", { class: "quote" }, inner());
    case "rich_text_preformatted":
      return h("pre", { class: "pre", tabindex: "0" }, inner());
    case "rich_text_list": {
      const ordered = element.style === "ordered";
      const props = { class: `list indent-${Math.min(Number(element.indent) || 0, 5)}` };
      if (ordered && Number(element.offset)) props.start = Number(element.offset) + 1;
      return h(ordered ? "ol" : "ul", props, (element.elements ?? []).map((item) => h("li", {}, part(item, names))));
    }
    default:
      return h("div", { class: "prose" }, run(element, names));
  }
}

function run(element, names) {
  let node;
  switch (element.type) {
    case "text": node = lines(element.text); break;
    case "link": node = link(element.url, element.text || element.url); break;
    case "emoji": node = emoji(element.name) ?? document.createTextNode(`:${element.name}:`); break;
    case "user": node = person(element.user_id, names); break;
    case "channel": node = channel(element.channel_id, names); break;
    case "usergroup": node = group(element.usergroup_id, names); break;
    case "broadcast": node = h("span", { class: "mention" }, `@${element.range}`); break;
    case "date": node = moment(element.timestamp, element.format, element.url, element.fallback, names); break;
    case "color": node = h("code", { class: "code" }, String(element.value)); break;
    default: node = document.createTextNode(String(element.text ?? ""));
  }
  return styled(node, element.style ?? {});
}

const STYLES = [["code", "code"], ["underline", "u"], ["strike", "s"], ["italic", "em"], ["bold", "strong"]];

function styled(node, style) {
  return STYLES.reduce(
    (inner, [name, tag]) => (style[name] ? h(tag, { class: tag === "code" ? "code" : null }, inner) : inner), node);
}

function lines(text) {
  const out = document.createDocumentFragment();
  String(text ?? "").split("\n").forEach((line, index) => {
    if (index > 0) out.append(h("br"));
    out.append(line);
  });
  return out;
}
