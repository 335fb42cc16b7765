// A scrolling list of messages: groups, day dividers, a "new" line; keeps nodes by message, stays at the bottom when
// it was there.

import { dateOf, dayKey, dayName } from "./clock.js";
import { h } from "./dom.js";
import { icon } from "./icon.js";
import { MessageView } from "./message.js";
import { isReply } from "./store.js";

const GROUP_SECONDS = 300;
const NEAR_BOTTOM = 60; // pixels

export class Timeline {
  /** top: a node above the first message; rule(message) may return a divider's words after that message. */
  constructor({ label, context, channel, top = null, rule = null, mark = null }) {
    Object.assign(this, { context, channel, top, rule, mark });
    this.views = new Map();
    this.dividers = new Map();
    this.list = h("div", { class: "timeline-list" });
    this.jump = h("button", {
      class: "jump", type: "button", hidden: true, onclick: () => this.toBottom(true),
    }, "New messages", icon("chevron", 16));
    this.scroller = h("div", { class: "scroller", tabindex: "0", role: "log", "aria-live": "off", "aria-label": label },
      h("div", { class: "spacer" }), this.list);
    this.node = h("div", { class: "timeline" }, this.scroller, this.jump);
    this.scroller.addEventListener("scroll", () => {
      this.stuck = this.atBottom();
      if (this.stuck) this.jump.hidden = true;
    }, { passive: true });
    this.scroller.addEventListener("keydown", (event) => this.walk(event));
    this.stuck = true;
    this.observer = new ResizeObserver(() => this.stuck && this.toBottom());
    this.observer.observe(this.list);
    this.observer.observe(this.scroller);
  }

  atBottom() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    return scrollHeight - scrollTop - clientHeight < NEAR_BOTTOM;
  }

  toBottom(smooth = false) {
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    this.scroller.scrollTo({ top: this.scroller.scrollHeight, behavior: smooth && !calm ? "smooth" : "instant" });
    this.jump.hidden = true;
  }

  /** Draws exactly these messages. */
  update(messages) {
    const stuck = this.stuck;
    const known = this.views.size > 0;
    const wanted = [];
    const keys = new Set();
    const used = new Set();
    let before = null;
    let marked = false;
    const divide = (key, make) => {
      used.add(key);
      if (!this.dividers.has(key)) this.dividers.set(key, make());
      wanted.push(this.dividers.get(key));
    };
    if (this.top) wanted.push(this.top);
    let added = 0;
    for (const message of messages) {
      const at = dateOf(message.ts);
      const { zone } = this.context.names;
      const newDay = !before || dayKey(dateOf(before.ts), zone) !== dayKey(at, zone);
      if (newDay && !this.rule) divide(`day-${dayKey(at, zone)}`, () => divider(dayName(at, zone), "day"));
      const isNew = this.mark && !marked && message.ts > this.mark && message.user !== this.context.names.me;
      if (isNew && before) divide("new", () => divider("New", "fresh"));
      if (isNew) marked = true;
      if (!this.views.has(message.ts)) {
        this.views.set(message.ts, new MessageView(message, this.channel, this.context));
        added += 1;
      }
      const view = this.views.get(message.ts);
      view.update(message, {
        compact: !newDay && !isNew && this.grouped(before, message), broadcast: !this.rule && isReply(message),
      });
      wanted.push(view.node);
      keys.add(message.ts);
      before = message;
      const words = this.rule?.(message);
      if (words) {
        divide(`rule-${words}`, () => divider(words, "rule"));
        before = null;
      }
    }
    for (const [ts] of this.views) if (!keys.has(ts)) this.views.delete(ts);
    for (const [key] of this.dividers) if (!used.has(key)) this.dividers.delete(key);
    this.place(wanted);
    if (stuck) this.toBottom();
    else if (known && added > 0) this.jump.hidden = false;
  }

  /** Time passes: "2 min ago" becomes "3 min ago". */
  tick() {
    for (const view of this.views.values()) view.tick();
  }

  place(wanted) {
    const keep = new Set(wanted);
    for (const node of [...this.list.children]) if (!keep.has(node)) node.remove();
    wanted.forEach((node, index) => {
      if (this.list.children[index] !== node) this.list.insertBefore(node, this.list.children[index] ?? null);
    });
  }

  grouped(before, message) {
    return Boolean(before) && before.user === message.user && before.username === message.username &&
      Boolean(before.ephemeral) === Boolean(message.ephemeral) && !message.ephemeral &&
      Number(message.ts) - Number(before.ts) < GROUP_SECONDS;
  }

  /** Arrow keys go from message to message while the list itself or a message has the focus. */
  walk(event) {
    if (event.target !== this.scroller && !event.target.matches(".message")) return;
    const nodes = [...this.list.querySelectorAll(".message")];
    const at = nodes.indexOf(document.activeElement);
    const last = nodes.length - 1;
    const to = { ArrowDown: at + 1, ArrowUp: at < 0 ? last : at - 1, Home: 0, End: last }[event.key];
    if (to === undefined || !nodes[to]) return;
    event.preventDefault();
    nodes[to].focus({ preventScroll: true });
    nodes[to].scrollIntoView({ block: "nearest" });
  }

  close() {
    this.observer.disconnect();
  }
}

function divider(words, kind) {
  return h("div", { class: `rule rule-${kind}`, role: "separator", "aria-label": words }, h("span", {}, words));
}
