// The markdown block: a small subset of standard markdown as DOM nodes. Raw HTML in it is text like any other.

import { h, link } from "./dom.js";
import { emoji } from "./emoji.js";

const INLINE = new RegExp(
  ["(`+)(?<code>.+?)\\1", "\\*\\*(?<bold>\\S(?:.*?\\S)?)\\*\\*", "__(?<bold2>\\S(?:.*?\\S)?)__",
    "~~(?<strike>\\S(?:.*?\\S)?)~~", "\\*(?<em>[^\\s*](?:[^*]*?[^\\s*])?)\\*",
    "(?<![\\p{L}\\p{N}])_(?<em2>[^\\s_](?:[^_]*?[^\\s_])?)_(?![\\p{L}\\p{N}])",
    "!?\\[(?<label>[^\\]]{0,500})\\]\\((?<url>[^()\\s]{1,3000})\\)", "<?(?<bare>https?://[^\\s<>]*[^\\s<>.,;:!?)*_])>?",
    ":(?<emoji>[a-z0-9_+-]{1,40}):", "\\\\(?<escaped>[\\\\`*_~\\[\\]()#>!|-])"].join("|"), "u");

const DEEPEST = 5; // quotes within quotes

/** A fragment for the text of a markdown block. */
export function markdown(source, depth = 0) {
  const rows = String(source ?? "").replace(/\r\n?/g, "\n").split("\n");
  const out = document.createDocumentFragment();
  let index = 0;
  const take = (test) => {
    const taken = [];
    while (index < rows.length && test(rows[index])) taken.push(rows[index++]);
    return taken;
  };
  while (index < rows.length) {
    const row = rows[index];
    let match;
    if (!row.trim()) index += 1;
    else if ((match = /^ {0,3}(`{3,}|~{3,})/.exec(row))) {
      index += 1;
      const body = take((line) => !line.trimStart().startsWith(match[1]));
      index += 1;
      out.append(h("pre", { class: "pre", tabindex: "0" }, body.join("\n")));
    } else if ((match = /^(#{1,6})\s+(.*?)\s*#*$/.exec(row))) {
      index += 1;
      const heading = { class: `md-heading md-h${match[1].length}`, role: "heading", "aria-level": "4" };
      out.append(h("div", heading, spans(match[2])));
    } else if (/^ {0,3}([-*_])(?:\s*\1){2,}\s*$/.test(row)) {
      index += 1;
      out.append(h("hr", { class: "divider" }));
    } else if (depth < DEEPEST && /^ {0,3}>/.test(row)) {
      const quoted = take((line) => /^ {0,3}>/.test(line)).map((line) => line.replace(/^ {0,3}> ?/, ""));
      out.append(h("blockquote", { class: "quote" }, markdown(quoted.join("\n"), depth + 1)));
    } else if (isItem(row)) out.append(list(take(isItem)));
    else if (row.includes("|") && /^\s*\|?\s*:?-{2,}/.test(rows[index + 1] ?? "")) {
      out.append(table(take((line) => line.includes("|"))));
    } else {
      const text = take((line) => line.trim() && !/^ {0,3}(?:#{1,6}\s|>|`{3}|~{3})/.test(line) && !isItem(line));
      if (text.length === 0) text.push(rows[index++]);
      out.append(h("div", { class: "prose md-paragraph" }, text.map((line, n) => [n > 0 && h("br"), spans(line)])));
    }
  }
  return out;
}

const ITEM = /^(\s*)(?:[-*+]|(\d{1,9})[.)])\s+(\[[ xX]\]\s+)?/;
const isItem = (row) => ITEM.test(row);

function list(rows) {
  const start = ITEM.exec(rows[0])[2];
  return h(start ? "ol" : "ul", { class: "list", start }, rows.map((row) => {
    const [lead, indent, , box] = ITEM.exec(row);
    const state = box && (/x/i.test(box) ? "☑ " : "☐ ");
    return h("li", { class: indent.length >= 2 ? "nested" : null }, state, spans(row.slice(lead.length)));
  }));
}

function table(rows) {
  const cells = (row) => row.trim().replace(/^\||\|$/g, "").split("|").map((cell) => spans(cell.trim()));
  const [head, , ...body] = rows;
  return h("div", { class: "table-scroll", tabindex: "0" }, h("table", { class: "table" },
    h("thead", {}, h("tr", {}, cells(head).map((cell) => h("th", { scope: "col" }, cell)))),
    h("tbody", {}, body.map((row) => h("tr", {}, cells(row).map((cell) => h("td", {}, cell)))))));
}

function spans(text, depth = 0) {
  const out = document.createDocumentFragment();
  let rest = text;
  let match;
  while (depth < 6 && (match = INLINE.exec(rest))) {
    out.append(rest.slice(0, match.index), span(match, depth));
    rest = rest.slice(match.index + match[0].length);
  }
  out.append(rest);
  return out;
}

function span(match, depth) {
  const { code, bold, bold2, strike, em, em2, label, url, bare, emoji: name, escaped } = match.groups;
  const inner = (words) => spans(words, depth + 1);
  if (code !== undefined) return h("code", { class: "code" }, code);
  if (bold ?? bold2) return h("strong", {}, inner(bold ?? bold2));
  if (strike) return h("s", {}, inner(strike));
  if (em ?? em2) return h("em", {}, inner(em ?? em2));
  if (url) return link(url, label ? inner(label) : url);
  if (bare) return link(bare, bare);
  if (name) return emoji(name) ?? match[0];
  return escaped;
}
