// Puts the page together: one wire, one store, the panes; turns the address into what is shown.

import { Announcer } from "./announcer.js";
import { Conversation } from "./conversation.js";
import { h } from "./dom.js";
import { Faults } from "./faults.js";
import { showHelp } from "./help.js";
import { Home } from "./home.js";
import { iconButton } from "./iconbutton.js";
import { Modal } from "./modal.js";
import { isDirect } from "./names.js";
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
      iconButton("back", "Back to channels", () => this.show("list"), { className: "only-phone" }),
      h("div", { class: "pane-title" }, this.title, this.topic), this.faults.chips, this.faults.button,
      iconButton("keys", "Keyboard shortcuts (Ctrl /)", showHelp, { className: "not-phone" }),
      themeButton()), this.stage);
    this.shell = h("div", { class: "shell", dataset: { pane: "main" } }, this.sidebar.node, this.main, this.side);
    root.replaceChildren(this.shell, this.modal.node, this.toasts.node, this.announcer.node);
    addEventListener("hashchange", () => this.follow());
    addEventListener("popstate", () => this.follow());
    document.addEventListener("keydown", (event) => this.key(event));
    setInterval(() => this.shown?.conversation?.timeline.tick(), 30_000);
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
    for (const kind of ["Snapshot", "Message", "Modal", "Home", "Bot", "Fault", "Stranger", "Toast"]) {
      this.store.addEventListener(kind.toLowerCase(), ({ detail }) => this[`on${kind}`](detail));
    }
    this.wire = new Wire(person, {
      snapshot: (state) => this.store.load(state),
      event: (event) => this.store.apply(event),
      online: (online) => { this.online = online; this.drawSidebar(); },
      refused: (why) => this.toasts.show(`The workspace cannot be opened as ${person}: ${why}`, { error: true }),
    });
  }

  /** The first one draws the place; later ones, after a lost connection, bring what is drawn up to date. */
  onSnapshot() {
    this.onFault();
    this.open(read());
    this.shown.conversation?.update();
    this.shown.thread?.update();
    this.onHome();
    this.onModal();
  }

  onMessage({ channel, message, fresh, gone }) {
    const { conversation, thread } = this.shown ?? {};
    if (conversation?.channel.id === channel) {
      conversation.update();
      if (document.hasFocus() && conversation.timeline.stuck) this.marks.mark(channel);
    }
    if (thread?.channel.id === channel) thread.update();
    if (fresh && !gone && message.user !== this.store.me) this.announcer.message(message, this.store.names);
    this.drawSidebar();
  }

  onModal() { this.modal.update(this.store.modal, this.store.names); }

  onHome() { this.shown?.home?.update(this.store.home, this.store.names); }

  onBot() { this.drawSidebar(); }

  /** Something happened in a conversation that was not there before: take stock of all of them. */
  onStranger() { void this.wire.renew(); }

  onToast({ text, error }) { this.toasts.show(inWords(text), { error }); }

  onFault() { this.faults.update(this.store.faults); }

  // --- places

  places() {
    const { store } = this;
    const member = store.channels.filter((channel) => !isDirect(channel) && channel.is_member !== false);
    const channels = member.map((channel) => ({
      key: channel.name, href: address(channel.name), label: channel.name, icon: channel.is_private ? "lock" : "hash",
      unread: this.marks.unread(channel.id), section: "Channels",
    }));
    const direct = this.direct();
    const section = store.names.bot.name;
    const unread = direct ? this.marks.unread(direct.id) : 0;
    return [...channels,
      { key: HOME, href: address(HOME), label: "Home", icon: "home", unread: 0, section },
      { key: DIRECT, href: address(DIRECT), label: "Messages", icon: "chat", unread, section }];
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
    if (!channel) {
      const words = [h("h2", {}, "No channels"), h("p", {}, "This person is in no channel.")];
      this.leave();
      this.shown = {};
      this.headline("No channels", "");
      return this.stage.replaceChildren(h("div", { class: "empty" }, words));
    }
    if (this.shown?.key !== channel.key || this.shown.conversation.channel.id !== channel.id) {
      this.leave();
      const main = this.store.channels.find((c) => c.has_bot !== false && !isDirect(c))?.id === channel.id;
      const conversation = new Conversation(this.hands(), channel, main);
      this.shown = { key: channel.key, conversation };
      this.stage.replaceChildren(conversation.node);
      conversation.update();
      conversation.timeline.toBottom();
      this.marks.mark(channel.id);
      if (!this.sidebar.node.contains(document.activeElement)) this.write(conversation);
    }
    this.headline(channel.title, channel.topic || "");
    this.show("main");
    // The first look at the direct conversation makes it.
    if (channel.key === DIRECT && !this.direct()) {
      void this.perform({ kind: "home", tab: "messages" }).then(() => this.wire.renew());
    }
    return undefined;
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
    this.write(this.shown.thread);
    return this.show("thread");
  }

  /** Ready to type; not on a touch screen, where a keyboard would cover what was opened. */
  write(pane) {
    if (matchMedia("(hover: hover)").matches) pane.composer.focus();
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
      say: (channel, text, thread) => this.say(channel, text, thread),
      hints: (text, signal) => this.wire.hints(text, signal),
      openThread: (ts) => { location.hash = address(this.shown.key, ts); },
      closeThread: () => this.closeThread(),
      dismiss: (message) => this.store.drop(this.shown.conversation.channel.id, message.ts),
      attach: (channel, file) => void this.attach(channel, file),
    };
  }

  /** Acts and says in a notice when that failed. Validation errors are not failures: they stand beside the fields. */
  async perform(body) {
    const answer = await this.wire.act(body);
    // A command's failure was also told in the channel (`told`), where it is easily overlooked.
    const failure = answer.told ?? (!answer.ok && !answer.errors ? answer.error : null);
    if (failure) this.toasts.show(inWords(failure), { error: true });
    return { ...answer, ok: answer.ok && !failure };
  }

  async say(channel, text, thread = null) {
    if (text.startsWith("/") && !thread) return this.perform({ kind: "command", channel, text });
    if (text.startsWith("/")) {
      const { name } = this.store.names.bot;
      this.toasts.show(`Commands do not work in threads. Mention @${name} instead.`, { error: true });
      return { ok: false };
    }
    return this.perform({ kind: "say", channel, text, ...(thread ? { thread_ts: thread } : {}) });
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
    } else if (event.altKey && event.key === "ArrowUp") this.neighbour(-1);
    else if (event.altKey && event.key === "ArrowDown") this.neighbour(1);
    else if (event.ctrlKey && event.key === "/") showHelp();
    else if (event.key === "Escape" && this.shown?.thread) this.closeThread();
    else if (event.key === "/" && !typing && !event.metaKey) this.shown?.conversation?.composer.type("/");
    else return;
    event.preventDefault();
  }

  neighbour(step) {
    const places = this.places();
    const at = places.findIndex((place) => place.key === this.shown?.key);
    location.hash = places[(at + step + places.length) % places.length].href;
  }
}

const MEANING = {
  dispatch_failed: "The bot is not connected, so nothing was delivered.",
  operation_timeout: "The bot did not answer within three seconds.",
};

/** An error of the workspace, with what Slack's own word for it means. */
function inWords(error = "That did not work") {
  const known = Object.keys(MEANING).find((word) => error.includes(word));
  return known ? `${error}. ${MEANING[known]}` : error;
}
