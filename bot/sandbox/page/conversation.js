// The middle pane of a channel or direct message: its timeline and its composer.

import { Composer } from "./composer.js";
import { h } from "./dom.js";
import { History } from "./history.js";
import { Timeline } from "./timeline.js";
import { welcome } from "./welcome.js";

export class Conversation {
  /** app: {store, marks, perform, say(channel, text), hints, openThread, dismiss, attach} */
  constructor(app, channel, main) {
    const { store } = app;
    const { names } = store;
    this.app = app;
    this.channel = channel;
    this.composer = new Composer({
      label: `Message ${channel.title}`, placeholder: main ? "Message, or / for a command" : `Message ${channel.title}`,
      hint: "Enter sends · Shift Enter starts a new line · / lists commands",
      send: (text) => app.say(channel.id, text), history: new History(store.me),
      context: { names, commands: store.commands, hints: app.hints },
      attach: (file) => app.attach(channel.id, file),
    });
    this.timeline = new Timeline({
      label: `Messages in ${channel.title}`, channel: channel.id,
      context: { names, perform: app.perform, openThread: app.openThread, dismiss: app.dismiss },
      top: welcome(channel, names, { main, type: (words) => this.composer.type(words) }),
      mark: app.marks.at(channel.id),
    });
    this.node = h("div", { class: "conversation" }, this.timeline.node, this.composer.node);
  }

  update() {
    this.timeline.update(this.app.store.timeline(this.channel.id));
  }

  close() {
    this.timeline.close();
  }
}
