// What the acting person can see, kept in step with the server's events. Changes are announced; nothing is drawn here.

import { Names } from "./names.js";

const compare = (a, b) => (a.ts < b.ts ? -1 : a.ts > b.ts ? 1 : 0);

export class Store extends EventTarget {
  constructor() {
    super();
    this.ready = false;
    this.names = new Names();
    this.lists = new Map(); // channel id -> messages of the channel and its threads, oldest first
  }

  announce(kind, detail = {}) {
    this.dispatchEvent(new CustomEvent(kind, { detail }));
  }

  load(state) {
    this.names.load(state);
    this.me = this.names.me;
    this.team = state.team;
    this.channels = state.channels ?? [];
    this.commands = state.commands ?? [];
    this.bot = state.bot ?? { connected: 0 };
    this.faults = state.faults ?? {};
    this.home = viewOf(state.home);
    this.modal = viewOf(state.modal);
    this.lists = new Map(Object.entries(state.messages ?? {}).map(([id, list]) =>
      [id, list.filter((message) => !message.deleted).sort(compare)]));
    for (const message of state.ephemerals ?? []) this.put(message.channel, { ...message, ephemeral: true });
    this.ready = true;
    this.announce("snapshot");
  }

  /** Applies one pushed event. */
  apply(event) {
    switch (event.type) {
      case "message": case "message_changed": case "ephemeral": {
        const message = { ...event.message };
        if (event.type === "ephemeral") message.ephemeral = true;
        const { channel } = event;
        if (!this.names.channel(channel)) return this.announce("stranger");
        if (event.root) this.put(channel, event.root);
        const known = this.put(channel, message);
        return this.announce("message", { channel, message, fresh: !known });
      }
      case "message_deleted":
        if (event.root) this.put(event.channel, event.root);
        return this.drop(event.channel, event.ts);
      case "modal":
        this.modal = viewOf(event.modal);
        return this.announce("modal");
      case "home":
        this.home = viewOf(event.home);
        return this.announce("home");
      case "bot":
        this.bot = event.bot;
        return this.announce("bot");
      case "fault":
        this.faults = event.faults ?? {};
        return this.announce("fault");
      case "toast":
        return this.announce("toast", { text: event.text, error: event.level === "error" });
      case "channels":
        return this.announce("stranger");
      default:
        return undefined;
    }
  }

  /** Puts a message in its place; true when an older version of it was there. */
  put(channel, message) {
    const list = this.list(channel);
    const at = list.findIndex((old) => old.ts === message.ts);
    if (at >= 0) list[at] = message;
    else {
      list.push(message);
      list.sort(compare);
    }
    return at >= 0;
  }

  drop(channel, ts) {
    const list = this.list(channel);
    const at = list.findIndex((old) => old.ts === ts);
    if (at < 0) return;
    const [message] = list.splice(at, 1);
    this.announce("message", { channel, message, fresh: false, gone: true });
  }

  list(channel) {
    if (!this.lists.has(channel)) this.lists.set(channel, []);
    return this.lists.get(channel);
  }

  message(channel, ts) {
    return this.list(channel).find((message) => message.ts === ts);
  }

  /** Top-level messages, and replies that were also sent to the channel. */
  timeline(channel) {
    return this.list(channel).filter((m) => !isReply(m) || m.subtype === "thread_broadcast" || m.reply_broadcast);
  }

  thread(channel, root) {
    return this.list(channel).filter((m) => m.ts === root || m.thread_ts === root);
  }
}

export const isReply = (message) => Boolean(message.thread_ts) && message.thread_ts !== message.ts;

const viewOf = (holder) => holder?.view ?? null;
