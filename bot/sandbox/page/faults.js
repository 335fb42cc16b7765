// The menu of troubles that the workspace can make, and chips that say which are on.

import { h } from "./dom.js";
import { icon } from "./icon.js";
import { openMenu } from "./menu.js";

const FAULTS = [
  { name: "429", seconds: 5, label: "Rate limit for 5 s", detail: "Every Web API call is answered 429" },
  { name: "down", seconds: 10, label: "Slack down for 10 s", detail: "Calls fail, sockets close" },
  { name: "socket drop", seconds: 0, label: "Drop the sockets", detail: "The bot must reconnect" },
  { name: "duplicate deliveries", seconds: 10, label: "Duplicate deliveries for 10 s", detail: "Everything arrives twice" },
];

export class Faults {
  /** start(name, seconds) asks the server for a fault. */
  constructor(start) {
    this.button = h("button", {
      class: "button button-icon quiet", type: "button", "aria-haspopup": "menu", "aria-expanded": "false",
      "aria-label": "Faults: make Slack misbehave", title: "Faults: make Slack misbehave",
      onclick: () => openMenu(this.button, FAULTS.map((fault) => ({ ...fault, run: () => void start(fault.name, fault.seconds, fault.label) })),
        { label: "Faults", align: "end" }),
    }, icon("storm"));
    this.chips = h("div", { class: "fault-chips", role: "status" });
  }

  /** active: {name: seconds left}. */
  update(active) {
    clearInterval(this.timer);
    const ends = Object.entries(active ?? {}).filter(([, left]) => Number(left) > 0)
      .map(([name, left]) => [name, Date.now() + Number(left) * 1000]);
    const draw = () => {
      const running = ends.filter(([, end]) => end > Date.now());
      this.chips.replaceChildren(...running.map(([name, end]) => h("span", { class: "fault-chip" }, icon("storm", 14),
        `${name === "429" ? "Rate limited" : name === "down" ? "Slack down" : name}, ${Math.ceil((end - Date.now()) / 1000)} s`)));
      if (running.length === 0) clearInterval(this.timer);
    };
    draw();
    if (ends.length) this.timer = setInterval(draw, 500);
  }
}
