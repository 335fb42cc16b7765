// What stands above a channel's first message: where one is, and in the bot's channel what to try first.

import { h } from "./dom.js";
import { icon } from "./icon.js";

const TRY = ["/deploy checkout v1.2 staging", "/deploy status", "/deploy help"];

/** type(words) puts a command into the composer. */
export function welcome(channel, names, { type, main }) {
  const bot = names.bot.name;
  if (channel.is_im) {
    return intro("chat", bot, `This is your direct conversation with ${bot}. Nobody else sees it.`);
  }
  if (!main) return intro("hash", channel.name, channel.topic || `The beginning of #${channel.name}.`);
  const words = "Where releases happen. Everybody here sees what is deployed, by whom, and how it went.";
  const tries = TRY.map((line) => h("button", { class: "try", type: "button", onclick: () => type(line) }, line));
  return intro("hash", channel.name, words, h("div", { class: "first" },
    h("div", { class: "first-title" }, "Try your first deployment"),
    h("div", { class: "first-text" }, "Type ", h("code", { class: "code" }, TRY[0]), " and press Enter. Then become",
      " somebody else at the lower left: what one person requests, another approves."),
    h("div", { class: "first-tries" }, tries)));
}

const intro = (drawing, title, words, more = null) => h("div", { class: "intro" },
  h("div", { class: "intro-mark", "aria-hidden": "true" }, icon(drawing, 26)), h("h2", { class: "intro-title" }, title),
  h("p", { class: "intro-text" }, words), more);
