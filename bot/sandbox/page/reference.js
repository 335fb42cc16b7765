// What stands between < and > in a message: a person, a channel, a group, a date, a link. Foreign text only becomes
// text nodes here.

import { fill, full } from "./clock.js";
import { h, link, unescape } from "./dom.js";

/** One reference without its brackets ("@U0ADA|ada") as a node. `names` looks up people, channels, groups. */
export function reference(source, names) {
  const bar = source.indexOf("|");
  const target = bar < 0 ? source : source.slice(0, bar);
  const label = bar < 0 ? null : unescape(source.slice(bar + 1));
  if (target.startsWith("@")) return person(target.slice(1), names, label);
  if (target.startsWith("#")) return channel(target.slice(1), names, label);
  if (target.startsWith("!")) return special(target.slice(1), label, names);
  const url = unescape(target);
  if (!url.includes(":")) return document.createTextNode(unescape(`<${source}>`)); // not an address: as it was written
  return link(url, label || url.replace(/^mailto:/, ""));
}

export function person(id, names, label = null) {
  const name = names.person(id)?.name ?? label ?? id;
  return h("span", { class: id === names.me ? "mention mention-me" : "mention" }, `@${name}`);
}

export function channel(id, names, label = null) {
  const known = names.channel(id);
  const text = `#${known?.name ?? label ?? id}`;
  return known ? h("a", { class: "mention", href: `#${known.name}` }, text) : h("span", { class: "mention" }, text);
}

export const group = (id, names, label = null) =>
  h("span", { class: "mention" }, label ? (label.startsWith("@") ? label : `@${label}`) : `@${names.group(id) ?? id}`);

function special(source, label, names) {
  const [kind, ...rest] = source.split("^");
  if (kind === "subteam") return group(rest[0], names, label);
  if (kind === "date") {
    const [seconds, format = "", url] = rest;
    return moment(seconds, unescape(format), url && unescape(url), label, names);
  }
  if (["here", "channel", "everyone"].includes(kind)) return h("span", { class: "mention" }, `@${kind}`);
  return document.createTextNode(label ?? `<${source}>`);
}

/** A moment in the reader's zone, with the exact time on hover. */
export function moment(seconds, format, url, fallback, names) {
  const words = fill(format || "{date_short_pretty} at {time}", seconds, names.zone);
  if (words === null) return document.createTextNode(fallback ?? "");
  const date = new Date(Number(seconds) * 1000);
  const node = h("time", { datetime: date.toISOString(), title: full(date, names.zone) }, words);
  return url ? link(url, node) : node;
}
