// Selects as a combobox: one field to type in, one list to choose from; single or multiple, local or asked of the app.

import { commit } from "./commit.js";
import { h, uid } from "./dom.js";
import { icon } from "./icon.js";
import { place as putUnder } from "./menu.js";
import { selection } from "./options.js";

const TYPING_PAUSE = 220; // milliseconds without a key before the app is asked

export function select(spec, place) {
  const kind = selection(spec, place.surface, place.blockId);
  const least = kind.remote ? spec.min_query_length ?? 3 : 0;
  const listId = uid("list");
  const input = h("input", {
    class: "select-input", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list",
    "aria-label": place.label ?? spec.placeholder?.text ?? "Choose", "aria-describedby": place.describedBy,
    dataset: { action: spec.action_id ?? "" },
  });
  const chips = h("span", { class: "chips" });
  const list = h("div", {
    class: "listbox", role: "listbox", id: listId, popover: "manual",
    "aria-multiselectable": kind.multiple ? "true" : null,
  });
  const node = h("div", { class: kind.multiple ? "select multiple" : "select", onmousedown: (event) => {
    if (event.target !== node) return;
    event.preventDefault();
    input.focus();
    open();
  } }, chips, input, h("span", { class: "select-arrow" }, icon("chevron", 16)), list);
  let entries = [];
  let active = -1;
  let asked = 0;
  let timer = 0;

  const shown = () => list.matches(":popover-open");

  function settle() {
    const chosen = kind.chosen();
    if (kind.multiple) {
      chips.replaceChildren(...chosen.map((e) => h("span", { class: "chip" }, e.label, h("button", {
        class: "chip-remove", type: "button", "aria-label": `Remove ${e.label}`, onclick: () => toggle(e),
      }, icon("close", 12)))));
      input.value = "";
    } else input.value = chosen[0]?.label ?? "";
    input.placeholder = chosen.length ? "" : spec.placeholder?.text ?? "Choose…";
  }

  function open() {
    if (shown()) return;
    list.showPopover();
    input.setAttribute("aria-expanded", "true");
    if (!kind.multiple) input.select();
    void refresh("");
  }

  function close() {
    clearTimeout(timer);
    asked += 1;
    if (shown()) list.hidePopover();
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
    settle();
  }

  async function refresh(query) {
    const turn = ++asked;
    if (query.trim().length < least) return say(`Type ${least} or more characters`);
    if (kind.remote) say("Searching…", true);
    const found = await kind.find(query);
    if (turn !== asked || !shown()) return; // an older answer must not overwrite a newer question
    entries = found;
    draw();
  }

  function say(words, busy = false) {
    entries = [];
    active = -1;
    const note = h("div", { class: "listbox-note", role: "status" }, busy && h("span", { class: "spinner" }), words);
    list.replaceChildren(note);
    putUnder(list, node, "start", true);
  }

  function draw() {
    if (entries.length === 0) return say("Nothing matches");
    const chosen = new Set(kind.chosen().map((e) => e.value));
    let group = "";
    list.replaceChildren(...entries.flatMap((e, index) => {
      const option = h("div", {
        class: "option", role: "option", id: `${listId}-${index}`, "aria-selected": String(chosen.has(e.value)),
        onmousedown: (event) => { event.preventDefault(); pick(index); },
      }, h("span", { class: "option-words" }, e.label), e.detail && h("span", { class: "option-detail" }, e.detail),
      chosen.has(e.value) && icon("check", 14));
      const title = e.group && e.group !== group && h("div", { class: "option-group", role: "presentation" }, e.group);
      group = e.group ?? "";
      return title ? [title, option] : [option];
    }));
    mark(Math.max(0, entries.findIndex((e) => chosen.has(e.value))));
    putUnder(list, node, "start", true);
  }

  function mark(index) {
    const options = [...list.querySelectorAll(".option")];
    options[active]?.classList.remove("active");
    active = options.length ? (index + options.length) % options.length : -1;
    options[active]?.classList.add("active");
    options[active]?.scrollIntoView({ block: "nearest" });
    if (active >= 0) input.setAttribute("aria-activedescendant", options[active].id);
  }

  function pick(index) {
    const entry = entries[index];
    if (!entry) return;
    if (kind.multiple) toggle(entry);
    else void apply([entry]);
    close();
  }

  function toggle(entry) {
    const chosen = kind.chosen();
    const without = chosen.filter((e) => e.value !== entry.value);
    if (without.length < chosen.length) void apply(without);
    else if (chosen.length < (spec.max_selected_items ?? Infinity)) void apply([...chosen, entry]);
    input.focus();
  }

  async function apply(next) {
    await commit(node, spec, place, kind.change(next));
    settle();
  }

  input.addEventListener("click", open);
  input.addEventListener("blur", close);
  input.addEventListener("input", () => {
    if (!shown()) { list.showPopover(); input.setAttribute("aria-expanded", "true"); }
    clearTimeout(timer);
    timer = setTimeout(() => void refresh(input.value), kind.remote ? TYPING_PAUSE : 0);
  });
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (shown()) mark(active + (event.key === "ArrowDown" ? 1 : -1));
      else open();
    } else if (event.key === "Enter") {
      event.preventDefault();
      if (shown()) pick(active);
      else open();
    } else if (event.key === "Escape" && shown()) {
      event.preventDefault();
      event.stopPropagation();
      close();
    } else if (event.key === "Backspace" && kind.multiple && input.value === "" && kind.chosen().length) {
      toggle(kind.chosen().at(-1));
    }
  });
  settle();
  return node;
}
