// The left pane: the workspace, its channels, the app, and who one is.

import { avatar } from "./avatar.js";
import { h } from "./dom.js";
import { icon } from "./icon.js";

export class Sidebar {
  /** actions: {become(personId)} */
  constructor(actions) {
    this.actions = actions;
    this.brand = h("div", { class: "brand" });
    this.status = h("div", { class: "bot-status", role: "status" });
    this.nav = h("nav", { class: "nav", "aria-label": "Workspace", onkeydown: (event) => this.walk(event) });
    this.people = h("div", {
      class: "people-row", role: "radiogroup", "aria-label": "Act as", onkeydown: (event) => this.turn(event),
    });
    const title = h("div", { class: "people-title" }, "You are", h("kbd", {}, "Alt ⇧ 1–9"));
    this.node = h("aside", { class: "sidebar", "aria-label": "Sidebar" },
      h("div", { class: "sidebar-head" }, this.brand, this.status), this.nav,
      h("div", { class: "people" }, title, this.people));
  }

  /** places: [{key, href, label, icon, unread, section}]; current: key of the open one. */
  update({ team, names, places, current, connected, online }) {
    this.brand.replaceChildren(h("span", { class: "brand-mark", "aria-hidden": "true" }, icon("arch", 20)),
      h("span", { class: "brand-name" }, team?.name ?? "Sandbox"));
    const words = !online ? "Reconnecting…" : connected ? "Bot connected" : "Bot not connected";
    if (this.status.textContent !== words) {
      this.status.replaceChildren(h("span", { class: `dot ${online && connected ? "dot-on" : "dot-off"}` }), words);
    }
    this.drawPlaces(places, current);
    this.drawPeople(names);
  }

  drawPlaces(places, current) {
    const key = JSON.stringify([places, current]);
    if (key === this.placeKey) return;
    this.placeKey = key;
    const focused = this.nav.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const sections = [...new Set(places.map((place) => place.section))];
    const row = (place) => {
      const here = place.key === current;
      const unread = !here && place.unread > 0;
      return h("li", {}, h("a", {
        class: unread ? "place unread" : "place", href: place.href, "aria-current": here ? "page" : null,
        dataset: { key: place.key },
      }, icon(place.icon), h("span", { class: "place-name" }, place.label),
      unread && h("span", { class: "count" }, place.unread, h("span", { class: "sr-only" }, " unread"))));
    };
    this.nav.replaceChildren(...sections.map((section) => h("div", { class: "nav-section" },
      h("h2", { class: "nav-title" }, section),
      h("ul", {}, places.filter((place) => place.section === section).map(row)))));
    if (focused) this.nav.querySelector(`[data-key="${CSS.escape(focused)}"]`)?.focus();
  }

  drawPeople(names) {
    const key = JSON.stringify([names.me, names.humans()]);
    if (key === this.peopleKey) return;
    this.peopleKey = key;
    const focused = this.people.contains(document.activeElement);
    this.people.replaceChildren(...names.humans().map((person) => h("button", {
      class: "person", type: "button", role: "radio", "aria-checked": String(person.id === names.me),
      tabindex: person.id === names.me ? "0" : "-1", "aria-label": person.name, dataset: { person: person.id },
      title: [person.name, ...person.groups.map((group) => `@${group}`)].join(", "),
      onclick: () => this.actions.become(person.id),
    }, avatar(person), h("span", { class: "person-name", "aria-hidden": "true" }, person.name.split(" ")[0]))));
    if (focused) this.people.querySelector("[aria-checked=true]")?.focus();
  }

  walk(event) {
    const links = [...this.nav.querySelectorAll(".place")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || !links[to]) return;
    event.preventDefault();
    links[to].focus();
  }

  turn(event) {
    const buttons = [...this.people.children];
    const at = buttons.indexOf(document.activeElement);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step === undefined || at < 0) return;
    event.preventDefault();
    const next = buttons[(at + step + buttons.length) % buttons.length];
    next.focus();
    this.actions.become(next.dataset.person);
  }
}
