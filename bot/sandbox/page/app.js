// Puts the page together: one wire, one store, the panes; turns the address into what is shown.

import { Announcer } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { h } from "./dom.js";
import { Faults } from "./faults.js";
import { showHelp } from "./help.js";
import { Home } from "./home.js";
import { icon } from "./icon.js";
import { Modal } from "./modal.js";
import { isDirect } from "./names.js";
import { outgoing } from "./outgoing.js";
import { ReadMarks } from "./readmarks.js";
import { DIRECT, HOME, address, become, read } from "./route.js";
import { Sidebar } from "./sidebar.js";
import { Store } from "./store.js";
import { themeButton } from "./theme.js";
import { Thread } from "./thread.js";
import { Toasts } from "./toast.js";
import { Wire } from "./wire.js";

const FIRST_PERSON = "U0ADA";

export class App {
  constructor(root) {
    this.toasts = new Toasts();
    this.announcer = new Announcer();
    this.sidebar = new Sidebar({ become: (person) => this.become(person) });
    this.faults = new Faults((name, seconds, label) => this.fault(name, seconds, label));
    this.modal = new Modal({
      perform: (body) => this.perform(body),
      submit: (viewId, state) => this.perform({ kind: "submit", view_id: viewId, state }),
      close: (viewId, all) => this.perform({ kind: "close", view_id: viewId, all }),
    });
    this.title = h("h1", {});
    this.topic = h("span", { class: "pane-topic" });
    this.stage = h("div", { class: "stage" });
    this.side = h("div", { class: "side", hidden: true });
    this.main = h("main", { class: "main" }, h("header", { class: "pane-head" },
      h("a", { class: "button button-icon quiet only-phone", href: "#", "aria-label": "Back to channels", onclick: (event) => { event.preventDefault(); this.show("list"); } }, icon("back")),
      h("div", { class: "pane-title" }, this.title, this.topic), this.faults.chips, this.faults.button,
      h("button", { class: "button button-icon quiet not-phone", type: "button", "aria-label": "Keyboard shortcuts", title: "Keyboard shortcuts (Ctrl /)", onclick: showHelp }, icon("keys")),
      themeButton()), this.stage);
    this.shell = h("div", { class: "shell", dataset: { pane: "main" } }, this.sidebar.node, this.main, this.side);
    root.replaceChildren(this.shell, this.modal.node, this.toasts.node, this.announcer.node);
    addEventListener("hashchange", () => this.follow());
    addEventListener("popstate", () => this.follow());
    document.addEventListener("keydown", (event) => this.key(event));
    this.follow();
  }

  /** Makes the page show what the address says. */
  follow() {
    const route = read();
    const person = route.person ?? localStorage.getItem("sandbox.person") ?? FIRST_PERSON;
    if (this.wire?.person !== person) return this.enter(person);
    if (this.store.ready) this.open(route);
    return undefined;
  }

  /** Starts anew as `person`. */
  enter(person) {
    this.wire?.close();
    localStorage.setItem("sandbox.person", person);
    this.online = false;
    this.store = new Store();
    this.marks = new ReadMarks(this.store);
    this.shown = null;
    for (const kind of ["snapshot", "message", "modal", "home", "bot", "fault", "channels"]) {
      this.store.addEventListener(kind, ({ detail }) => this[`on_${kind}`](detail));
    }
    this.store.addEventListener("toast", ({ detail }) => this.toasts.show(detail.text, detail));
    this.wire = new Wire(person, {
      snapshot: (state) => this.store.load(state),
      event: (event) => this.store.apply(event),
      online: (online) => { this.online = online; this.drawSidebar(); },
      refused: (message) => this.toasts.show(`This workspace cannot be opened as ${person}: ${message}`, { error: true }),
    });
  }

  on_snapshot() {
    const drafts = this.shown?.conversation?.composer.text;
    const focused = document.activeElement?.matches?.(".composer-input");
    this.shown = null;
    this.faults.update(this.store.faults);
    this.open(read());
    if (drafts) this.shown.conversation.composer.text = drafts;
    if (focused) this.shown?.conversation?.composer.focus();
    this.on_modal();
  }

  on_message({ channel, message, fresh, gone }) {
    const { conversation, thread } = this.shown ?? {};
    if (conversation?.channel.id === channel) {
      conversation.update();
      if (document.hasFocus() && conversation.timeline.stuck) this.marks.mark(channel);
    }
    if (thread?.channel.id === channel) thread.update();
    if (fresh && !gone && message.user !== this.store.me) this.announcer.message(message, this.store.names);
    this.drawSidebar();
  }

  on_modal() { this.modal.update(this.store.modal, this.store.names); }

  on_home() { this.shown?.home?.update(this.store.home, this.store.names); }

  on_bot() { this.drawSidebar(); }

  on_channels() { this.on_snapshot(); }

  on_fault() { this.faults.update(this.store.faults); }

  // --- places

  places() {
    const { store } = this;
    const member = store.channels.filter((channel) => !isDirect(channel) && channel.is_member !== false);
    const channels = member.map((channel) => ({
      key: channel.name, href: address(channel.name), label: channel.name, icon: channel.is_private ? "lock" : "hash",
      unread: this.marks.unread(channel.id), section: "Channels",
    }));
    const direct = this.direct();
    return [...channels,
      { key: HOME, href: address(HOME), label: "Home", icon: "home", unread: 0, section: store.names.bot.name },
      { key: DIRECT, href: address(DIRECT), label: "Messages", icon: "chat", unread: direct ? this.marks.unread(direct.id) : 0, section: store.names.bot.name }];
  }

  direct() { return this.store.channels.find(isDirect); }

  /** The channel behind a place, with the title to show; the first channel where the place is unknown. */
  channelAt(place) {
    const { store } = this;
    const { bot } = store.names;
    if (place === DIRECT) return { ...(this.direct() ?? { id: bot.id, is_im: true }), title: bot.name, key: DIRECT };
    const member = store.channels.filter((channel) => !isDirect(channel) && channel.is_member !== false);
    const found = member.find((channel) => channel.name === place || channel.id === place) ?? member[0];
    return found && { ...found, title: `#${found.name}`, key: found.name };
  }

  open({ place, thread }) {
    if (place === HOME) this.openHome();
    else this.openChannel(this.channelAt(place));
    this.openSide(this.shown.conversation ? thread : null);
    this.drawSidebar();
  }

  openHome() {
    if (this.shown?.key !== HOME) {
      this.leave();
      const home = new Home((body) => this.perform(body));
      this.shown = { key: HOME, home };
      this.stage.replaceChildren(home.node);
      home.update(this.store.home, this.store.names);
      void this.perform({ kind: "home" });
    }
    this.headline(this.store.names.bot.name, "Home");
    this.show("main");
  }

  openChannel(channel) {
    if (!channel) return this.stage.replaceChildren(h("div", { class: "empty" }, h("h2", {}, "No channels"), h("p", {}, "This person is in no channel.")));
    if (this.shown?.key !== channel.key) {
      this.leave();
      const main = channel.name === "deployments" || this.store.channels[0]?.id === channel.id;
      const conversation = new Conversation(this.hands(), channel, main);
      this.shown = { key: channel.key, conversation };
      this.stage.replaceChildren(conversation.node);
      conversation.update();
      conversation.timeline.toBottom();
      this.marks.mark(channel.id);
      if (matchMedia("(hover: hover)").matches && !this.sidebar.node.contains(document.activeElement)) conversation.composer.focus();
    }
    this.headline(channel.title, channel.topic || "");
    return this.show("main");
  }

  openSide(root) {
    const { conversation, thread } = this.shown;
    if (thread?.root === root) return;
    thread?.close();
    this.shown.thread = null;
    this.side.hidden = !root;
    if (!root) return this.side.replaceChildren();
    this.shown.thread = new Thread(this.hands(), conversation.channel, root);
    this.side.replaceChildren(this.shown.thread.node);
    this.shown.thread.update();
    this.shown.thread.timeline.toBottom();
    this.shown.thread.composer.focus();
    return this.show("thread");
  }

  leave() {
    if (this.shown?.conversation) this.marks.mark(this.shown.conversation.channel.id);
    this.shown?.conversation?.close();
    this.shown?.thread?.close();
    this.side.hidden = true;
    this.side.replaceChildren();
  }

  headline(title, topic) {
    this.title.textContent = title;
    this.topic.textContent = topic;
    document.title = `${title} · ${this.store.team?.name ?? "Sandbox"}`;
  }

  /** On a phone one pane is on the screen: "list", "main" or "thread". */
  show(pane) { this.shell.dataset.pane = pane; }

  drawSidebar() {
    if (!this.store.ready) return;
    this.sidebar.update({
      team: this.store.team, names: this.store.names, places: this.places(), current: this.shown?.key,
      connected: Number(this.store.bot?.connected ?? 0) > 0, online: this.online,
    });
  }

  // --- what a person does

  hands() {
    return {
      store: this.store, marks: this.marks, perform: (body) => this.perform(body),
      say: (channel, text, thread) => this.say(channel, text, thread), hints: (text, signal) => this.wire.hints(text, signal),
      openThread: (ts) => { location.hash = address(this.shown.key, ts); },
      closeThread: () => this.closeThread(),
      dismiss: (message) => this.store.drop(this.shown.conversation.channel.id, message.ts),
      attach: (channel, file) => void this.attach(channel, file),
    };
  }

  /** Acts and says in a notice when that failed. Validation errors are not failures: they stand beside the fields. */
  async perform(body) {
    const answer = await this.wire.act(body);
    if (!answer.ok && !answer.errors) {
      this.toasts.show(explain(answer.error, body, this.store.names.bot.name), { error: true });
    }
    return answer;
  }

  async say(channel, text, thread = null) {
    if (text.startsWith("/") && !thread) return this.perform({ kind: "command", channel, text });
    if (text.startsWith("/")) {
      this.toasts.show(`Commands do not work in threads. Mention @${this.store.names.bot.name} instead.`, { error: true });
      return { ok: false };
    }
    return this.perform({ kind: "say", channel, text: outgoing(text, this.store.names), ...(thread ? { thread_ts: thread } : {}) });
  }

  async attach(channel, file) {
    if (!file) return;
    const data = await new Promise((resolve, reject) => {
      const reader = new FileReader();
      reader.addEventListener("load", () => resolve(String(reader.result).split(",", 2)[1] ?? ""));
      reader.addEventListener("error", () => reject(reader.error));
      reader.readAsDataURL(file);
    });
    await this.perform({ kind: "upload", channel, filename: file.name, mimetype: file.type, content_base64: data });
  }

  async fault(name, seconds, label) {
    const answer = await this.perform({ kind: "fault", name, seconds });
    if (answer.ok) this.toasts.show(label);
  }

  become(person) {
    become(person);
    this.follow();
  }

  closeThread() {
    const back = this.shown?.thread?.root;
    location.hash = address(this.shown.key);
    if (back) this.stage.querySelector(`.message[data-ts="${CSS.escape(back)}"]`)?.focus({ preventScroll: true });
  }

  key(event) {
    const typing = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.altKey && event.shiftKey && /^Digit[1-9]$/.test(event.code)) {
      const person = this.store.names?.humans()[Number(event.code.slice(5)) - 1];
      if (person) this.become(person.id);
    } else if (event.altKey && (event.key === "ArrowUp" || event.key === "ArrowDown")) this.neighbour(event.key === "ArrowDown" ? 1 : -1);
    else if (event.ctrlKey && event.key === "/") showHelp();
    else if (event.key === "Escape" && this.shown?.thread) this.closeThread();
    else if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && this.shown?.conversation) this.shown.conversation.composer.type("/");
    else return;
    event.preventDefault();
  }

  neighbour(step) {
    const places = this.places();
    const at = places.findIndex((place) => place.key === this.shown?.key);
    location.hash = places[(at + step + places.length) % places.length].href;
  }
}

const WORDS = {
  dispatch_failed: "is not connected, so nothing was delivered",
  operation_timeout: "did not answer within three seconds",
  dispatch_unknown_error: "answered with an error",
  app_not_connected: "is not connected, so nothing was delivered",
};

/** One sentence a person can use: what did not work and why, with Slack's own word for it. */
function explain(error = "unknown_error", body, bot) {
  const what = body.kind === "command" ? body.text.split(/\s/, 1)[0] : { say: "Your message", submit: "The form", suggest: "The list" }[body.kind] ?? "That";
  const why = Object.hasOwn(WORDS, error) ? `${bot} ${WORDS[error]}` : String(error).replaceAll("_", " ");
  return `${what} did not work: ${why}${Object.hasOwn(WORDS, error) ? ` (${error})` : ""}.`;
}
