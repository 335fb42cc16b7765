// Portraits: the bot's mark, a bubble for strangers, and a person's initials on a colour of their own.

import { h } from "./dom.js";
import { icon } from "./icon.js";

const TONES = 6;

export function avatar(person, size = "m") {
  const props = { class: `avatar avatar-${size}`, "aria-hidden": "true" };
  if (!person) return h("span", { ...props, class: `${props.class} avatar-other` }, icon("chat", size === "s" ? 14 : 20));
  if (person.bot) {
    return h("span", { ...props, class: `${props.class} avatar-bot` }, icon("arch", size === "s" ? 14 : 22));
  }
  const tone = [...person.id].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) >>> 0, 7) % TONES;
  const initials = person.name.split(/\s+/).map((word) => [...word][0]).slice(0, 2).join("");
  return h("span", { ...props, class: `${props.class} tone-${tone}` }, initials.toUpperCase());
}
