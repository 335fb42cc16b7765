// The right pane: one message and its replies.

import { Composer } from "./composer.js";
import { h } from "./dom.js";
import { History } from "./history.js";
import { iconButton } from "./iconbutton.js";
import { Timeline } from "./timeline.js";

export class Thread {
  /** app: {store, perform, say(channel, text, thread), dismiss, closeThread} */
  constructor(app, channel, root) {
    Object.assign(this, { app, channel, root });
    const { store } = app;
    this.composer = new Composer({
      label: "Reply in thread", placeholder: "Reply…",
      hint: `Commands do not work here; mention @${store.names.bot.name}`,
      send: (text) => app.say(channel.id, text, root), history: new History(`${store.me}.thread`),
      context: { names: store.names, commands: [], hints: app.hints },
    });
    this.timeline = new Timeline({
      label: "Thread", channel: channel.id,
      context: { names: store.names, perform: app.perform, openThread: null, dismiss: app.dismiss },
      rule: (message) => (message.ts === root ? this.count() : null),
    });
    this.node = h("section", { class: "thread", "aria-label": "Thread" },
      h("header", { class: "pane-head" },
        iconButton("back", "Back to the channel", app.closeThread, { className: "only-phone" }),
        h("div", { class: "pane-title" }, h("h2", {}, "Thread"), h("span", { class: "pane-topic" }, channel.title)),
        iconButton("close", "Close thread", app.closeThread, { className: "not-phone" })),
      this.timeline.node, this.composer.node);
  }

  count() {
    const replies = this.app.store.thread(this.channel.id, this.root).length - 1;
    return replies === 0 ? "No replies yet" : `${replies} ${replies === 1 ? "reply" : "replies"}`;
  }

  update() {
    this.timeline.update(this.app.store.thread(this.channel.id, this.root));
  }

  close() {
    this.timeline.close();
  }
}
