// One message on the screen, updated in place when it is edited.

import { avatar } from "./avatar.js";
import { BlockList } from "./blocklist.js";
import { dateOf, full, time, ago } from "./clock.js";
import { h } from "./dom.js";
import { emoji } from "./emoji.js";
import { attachments } from "./files.js";
import { icon } from "./icon.js";
import { iconButton } from "./iconbutton.js";
import { mrkdwn } from "./mrkdwn.js";
import { Surface } from "./surface.js";

export class MessageView {
  /** context: {names, perform, openThread(ts) | null, dismiss(message)} */
  constructor(message, channel, context) {
    this.context = context;
    this.channel = channel;
    this.surface = new Surface({
      container: { type: "message", channel, ts: message.ts, ...(message.ephemeral ? { is_ephemeral: true } : {}) },
      names: context.names, perform: context.perform,
    });
    this.blocks = new BlockList(this.surface);
    this.gutter = h("div", { class: "gutter" });
    this.head = h("div", { class: "message-head" });
    this.content = h("div", { class: "content" });
    this.extras = h("div", { class: "extras" });
    this.node = h("article", { class: "message", tabindex: "-1", dataset: { ts: message.ts } },
      this.gutter, h("div", { class: "message-main" }, this.head, this.content, this.extras), this.toolbar(message));
  }

  /** compact: the author's name is left out because the message above is theirs too. */
  update(message, { compact = false, broadcast = false } = {}) {
    const first = this.message === undefined;
    if (this.message === message && this.compact === compact) return;
    const before = this.message;
    this.message = message;
    this.compact = compact;
    const card = message.bot && message.blocks?.some((block) => block.type === "header");
    const marks = ["message", compact && "compact", message.ephemeral && "ephemeral", card && "card"];
    this.node.className = marks.filter(Boolean).join(" ");
    this.drawHead(message, compact);
    this.drawContent(message, before, first);
    this.drawExtras(message, broadcast);
  }

  drawHead(message, compact) {
    const { names } = this.context;
    const author = names.person(message.user) ?? { id: message.user, name: "Unknown", bot: message.bot };
    const name = message.username || author.name;
    const at = dateOf(message.ts);
    const exact = { class: "at", datetime: at.toISOString(), title: full(at, names.zone) };
    const clock = h("time", exact, time(at, names.zone));
    this.node.setAttribute("aria-label", `${name}, ${time(at, names.zone)}`);
    this.gutter.replaceChildren(compact ? clock : avatar(names.person(message.user)));
    if (compact) return this.head.replaceChildren();
    const badge = message.bot && h("span", { class: "badge" }, "APP");
    const private_ = message.ephemeral && h("span", { class: "only-you" }, icon("eye", 14), "Only visible to you");
    const parts = [h("span", { class: "author" }, name), badge, clock, this.edited(message), private_];
    return this.head.replaceChildren(...parts.filter(Boolean));
  }

  drawContent(message, before, first) {
    let fresh = [];
    // What a person typed is shown from its text: their rich_text block carries no formatting of its own.
    if (message.blocks?.length && (message.bot || message.blocks.some((block) => block.type !== "rich_text"))) {
      if (this.content.firstChild !== this.blocks.node) this.content.replaceChildren(this.blocks.node);
      fresh = this.blocks.update(message.blocks);
    } else if (first || before.text !== message.text || this.content.firstChild === this.blocks.node) {
      const text = h("div", { class: "text" }, mrkdwn(message.text, this.context.names));
      this.content.replaceChildren(text);
      fresh = [text];
    }
    if (first) return;
    for (const node of fresh) node.classList.add("flash");
  }

  drawExtras(message, broadcast) {
    const { names, openThread, dismiss } = this.context;
    const parts = [];
    if (message.edited && this.compact) parts.push(this.edited(message));
    if (broadcast) parts.push(h("span", { class: "edited" }, "also sent to the channel"));
    const signature = JSON.stringify(message.files ?? []);
    if (signature !== this.fileSignature) {
      this.fileSignature = signature;
      this.fileNode = message.files?.length ? attachments(message.files) : null;
    }
    if (this.fileNode) parts.unshift(this.fileNode);
    if (message.reactions?.length) {
      parts.push(h("div", { class: "reactions" }, message.reactions.map((reaction) => h("span", {
        class: "reaction", title: (reaction.users ?? []).map((id) => names.person(id)?.name ?? id).join(", "),
      }, emoji(reaction.name) ?? `:${reaction.name}:`, " ", reaction.count ?? reaction.users?.length ?? 1))));
    }
    if (message.reply_count > 0 && openThread) parts.push(this.replies(message));
    if (message.ephemeral) {
      const away = { class: "link-button", type: "button", onclick: () => dismiss(this.message) };
      parts.push(h("button", away, "Dismiss message"));
    }
    const focused = this.extras.querySelector(".replies") === document.activeElement;
    this.extras.replaceChildren(...parts);
    if (focused) this.extras.querySelector(".replies")?.focus({ preventScroll: true });
  }

  /** The mark stands beside the time, so that a first edit moves nothing. */
  edited(message) {
    if (!message.edited) return "";
    const at = dateOf(message.edited.ts ?? message.edited);
    const title = Number.isNaN(at.getTime()) ? null : full(at, this.context.names.zone);
    return h("span", { class: "edited", title }, "edited");
  }

  replies(message) {
    const { names, openThread } = this.context;
    const count = message.reply_count;
    const last = message.last_reply ?? message.latest_reply;
    return h("button", { class: "replies", type: "button", onclick: () => openThread(message.ts) },
      h("span", { class: "faces" }, (message.reply_users ?? []).slice(0, 3).map((id) => avatar(names.person(id), "s"))),
      h("span", { class: "replies-count" }, `${count} ${count === 1 ? "reply" : "replies"}`),
      last && h("span", { class: "replies-last", dataset: { last } }, `last reply ${ago(dateOf(last))}`));
  }

  tick() {
    const words = this.extras.querySelector(".replies-last");
    if (words) words.textContent = `last reply ${ago(dateOf(words.dataset.last))}`;
  }

  toolbar(message) {
    if (!this.context.openThread || message.ephemeral) return null;
    const open = () => this.context.openThread(this.message.thread_ts ?? this.message.ts);
    return h("div", { class: "toolbar" }, iconButton("reply", "Reply in thread", open));
  }
}
