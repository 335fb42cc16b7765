// table blocks: the first row is the header, columns keep their alignment.

import { h } from "./dom.js";
import { richText } from "./richtext.js";

export function table(block, names) {
  const [head, ...body] = block.rows ?? [];
  const align = (index) => {
    const settings = block.column_settings?.[index] ?? {};
    return `align-${["left", "center", "right"].includes(settings.align) ? settings.align : "left"}` +
      (settings.is_wrapped ? " wrapped" : "");
  };
  const row = (cells, tag, scope) =>
    h("tr", {}, (cells ?? []).map((cell, index) => h(tag, { class: align(index), scope }, content(cell, names))));
  return h("div", { class: "table-scroll", tabindex: "0", role: "region", "aria-label": "Table" },
    h("table", { class: "table" }, h("thead", {}, row(head, "th", "col")),
      h("tbody", {}, body.map((cells) => row(cells, "td", null)))));
}

function content(cell, names) {
  if (cell?.type === "rich_text") return richText(cell, names);
  return String(cell?.text ?? cell?.value ?? "");
}
