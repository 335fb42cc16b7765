// The list above the composer: commands, their arguments, people and channels. It offers; the composer decides.

import { avatar } from "./avatar.js";
import { h, uid } from "./dom.js";

const PAUSE = 90; // milliseconds without a key before the server is asked for arguments

export class Completion {
  /** context: {names, commands, hints(text, signal)}; accept(from, to, words) replaces that part of the text. */
  constructor(context, accept) {
    Object.assign(this, { context, accept });
    this.id = uid("completion");
    this.usage = h("div", { class: "completion-usage" });
    this.options = h("div", { role: "listbox", id: this.id, "aria-label": "Suggestions" });
    this.node = h("div", { class: "completion", hidden: true }, this.usage, this.options);
    this.entries = [];
    this.active = -1;
  }

  get open() { return !this.node.hidden; }
  get activeId() { return this.active >= 0 ? `${this.id}-${this.active}` : null; }

  /** Looks at the text before the caret and shows what fits. */
  async look(text, caret) {
    clearTimeout(this.timer);
    this.request?.abort();
    const before = text.slice(0, caret);
    const word = /(^|[\s(])([@#])([\p{L}\p{N}_.-]*(?: \p{L}*)?)$/u.exec(before);
    if (word && !(word[2] === "#" && before.startsWith("/"))) {
      const entries = word[2] === "@" ? this.people(word[3]) : this.channels(word[3]);
      if (entries.length) return this.show(entries, caret - word[3].length - 1, caret, { eager: true });
    }
    if (!before.startsWith("/") || this.context.commands.length === 0) return this.close();
    const [name] = before.split(/\s/, 1);
    if (!/\s/.test(before)) {
      const fitting = this.context.commands.filter((command) => command.command.startsWith(name));
      return this.show(fitting.map((command) => ({
        words: `${command.command} `, title: command.command, usage: command.usage_hint, detail: command.description,
      })), 0, caret, { eager: !fitting.some((command) => command.command === name) });
    }
    const command = this.context.commands.find((known) => known.command === name);
    if (!command) return this.close();
    this.show([], 0, caret, { command });
    return new Promise((resolve) => {
      this.timer = setTimeout(async () => {
        this.request = new AbortController();
        const { signal } = this.request;
        const answer = await this.context.hints(before, signal);
        const word_ = /\S*$/.exec(before)[0];
        if (!signal.aborted) this.show(this.arguments(answer), caret - word_.length, caret, { command });
        resolve();
      }, PAUSE);
    });
  }

  people(query) {
    const wanted = query.toLowerCase();
    const { names } = this.context;
    return [names.bot, ...names.humans()]
      .filter((p) => p.name.toLowerCase().startsWith(wanted) || (p.handle ?? "").toLowerCase().startsWith(wanted))
      .map((p) => ({
        words: `@${p.name} `, title: p.name, detail: p.bot ? "app" : `@${p.handle}`, face: avatar(p, "s"),
      }));
  }

  channels(query) {
    return this.context.names.channels().filter((c) => c.name.startsWith(query.toLowerCase()))
      .map((c) => ({ words: `#${c.name} `, title: `#${c.name}`, detail: "" }));
  }

  arguments(answer) {
    const list = answer.hints ?? [];
    return list.slice(0, 12).map((hint) => ({
      words: `${hint.text} `, title: hint.label ?? hint.text, detail: hint.description ?? hint.detail ?? "",
      whole: hint.text.startsWith("/"), // the whole line, not only its last word
    }));
  }

  show(entries, from, to, { eager = false, command = null } = {}) {
    if (entries.length === 0 && !command) return this.close();
    Object.assign(this, { entries, from, to });
    this.active = -1;
    const hint = command && (command.usage_hint || command.description || "");
    this.usage.replaceChildren(...(command ? [h("strong", {}, command.command), " ", hint] : []));
    this.usage.hidden = !command;
    this.options.replaceChildren(...entries.map((entry, index) => h("div", {
      class: "completion-option", role: "option", id: `${this.id}-${index}`, "aria-selected": "false",
      onmousedown: (event) => { event.preventDefault(); this.take(index); },
    }, entry.face, h("span", { class: "completion-title" }, entry.title),
    entry.usage && h("span", { class: "completion-hint" }, entry.usage),
    entry.detail && h("span", { class: "completion-detail" }, entry.detail))));
    this.node.hidden = false;
    if (eager) this.mark(0);
    return undefined;
  }

  mark(index) {
    const options = [...this.options.children];
    options[this.active]?.setAttribute("aria-selected", "false");
    this.active = options.length ? (index + options.length) % options.length : -1;
    options[this.active]?.setAttribute("aria-selected", "true");
    options[this.active]?.scrollIntoView({ block: "nearest" });
  }

  move(step) {
    this.mark(this.active < 0 ? (step > 0 ? 0 : this.entries.length - 1) : this.active + step);
  }

  /** Takes the marked entry, or the first one; false when there is none. */
  take(index = Math.max(0, this.active)) {
    const entry = this.entries[index];
    if (!entry) return false;
    this.accept(entry.whole ? 0 : this.from, this.to, entry.words);
    return true;
  }

  close() {
    clearTimeout(this.timer);
    this.request?.abort();
    this.node.hidden = true;
    this.entries = [];
    this.active = -1;
  }
}
