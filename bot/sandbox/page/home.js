// The app's Home tab.

import { BlockList } from "./blocklist.js";
import { h } from "./dom.js";
import { icon } from "./icon.js";
import { Surface } from "./surface.js";

export class Home {
  constructor(perform) {
    this.perform = perform;
    this.page = h("div", { class: "home-page" });
    this.node = h("div", { class: "home scroller", tabindex: "0", "aria-label": "Home" }, this.page);
  }

  update(view, names) {
    if (!view?.blocks?.length) {
      this.id = null;
      this.page.replaceChildren(h("div", { class: "empty" }, icon("home", 34), h("h2", {}, "Nothing here yet"),
        h("p", {}, `${names.bot.name} publishes this page when it has something for you.`)));
      return;
    }
    if (this.id !== view.id) {
      this.id = view.id;
      const container = { type: "view", view_id: view.id };
      this.list = new BlockList(new Surface({ container, names, perform: this.perform }));
      this.page.replaceChildren(this.list.node);
    }
    this.list.surface.keepOnly(view.blocks);
    this.list.update(view.blocks);
  }
}
