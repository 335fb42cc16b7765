// The menu of troubles that the workspace can make, and chips that say which are on.

import { h } from "./dom.js";
import { icon } from "./icon.js";
import { iconButton } from "./iconbutton.js";
import { openMenu } from "./menu.js";

const FAULTS = [
  { name: "429", seconds: 5, label: "Rate limit for 5 s", detail: "Every Web API call is answered 429" },
  { name: "down", seconds: 10, label: "Slack down for 10 s", detail: "Calls fail, sockets close" },
  { name: "socket drop", seconds: 0, label: "Drop the sockets", detail: "The bot must reconnect" },
  { name: "duplicate deliveries", seconds: 10, label: "Duplicates for 10 s", detail: "Everything is delivered twice" },
];

const WORDS = { 429: "Rate limited", down: "Slack down", "duplicate deliveries": "Duplicates" };

export class Faults {
  /** start(name, seconds) asks the server for a fault. */
  constructor(start) {
    const items = FAULTS.map((fault) => ({ ...fault, run: () => void start(fault.name, fault.seconds, fault.label) }));
    const open = () => openMenu(this.button, items, { label: "Faults", align: "end" });
    this.button = iconButton("storm", "Faults: make Slack misbehave", open,
      { "aria-haspopup": "menu", "aria-expanded": "false" });
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
        `${WORDS[name] ?? name}, ${Math.ceil((end - Date.now()) / 1000)} s`)));
      if (running.length === 0) clearInterval(this.timer);
    };
    draw();
    if (ends.length) this.timer = setInterval(draw, 500);
  }
}
