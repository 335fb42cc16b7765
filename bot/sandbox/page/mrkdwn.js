// Slack's mrkdwn as DOM nodes. Reads markers, never HTML; what it does not understand stays as written.

import { h, link, unescape } from "./dom.js";
import { emoji } from "./emoji.js";
import { reference } from "./reference.js";

const FENCE = "```";
const MARKS = { "*": "strong", _: "em", "~": "s" };
const DEEPEST = 5; // quotes within quotes
const WORD = /[\p{L}\p{N}]/u;
const QUOTE = /^(?:>|&gt;) ?/;
const ITEM = /^(\s*)(?:[•◦▪-]|(\d{1,3})[.)])\s+(?=\S)/;

/** A fragment for `text`. `names` looks up people and channels and knows the reader's zone. */
export function mrkdwn(text, names, depth = 0) {
  const out = document.createDocumentFragment();
  const pieces = String(text ?? "").split(FENCE);
  // An unpaired last fence stays as the characters that it is.
  if (pieces.length % 2 === 0) pieces.splice(-2, 2, pieces.slice(-2).join(FENCE));
  pieces.forEach((piece, index) => {
    if (index % 2 === 1) {
      out.append(h("pre", { class: "pre", tabindex: "0" }, plain(piece.replace(/^\n/, "").replace(/\n$/, ""))));
      return;
    }
    let prose = index > 0 ? piece.replace(/^\n/, "") : piece;
    if (index < pieces.length - 1) prose = prose.replace(/\n$/, "");
    if (prose) lines(prose, names, out, depth);
  });
  return out;
}

/** Code keeps its characters; a link inside it shows its address or its words. */
function plain(code) {
  return unescape(code.replace(/<(?:https?:|mailto:)[^<>|]*(?:\|([^<>]*))?>/g, (whole, label) =>
    label ?? whole.slice(1, -1)));
}

function lines(text, names, out, depth) {
  const rows = text.split("\n");
  let index = 0;
  let paragraph = null;
  while (index < rows.length) {
    const row = rows[index];
    if (depth < DEEPEST && (row.startsWith(">>>") || row.startsWith("&gt;&gt;&gt;"))) {
      const rest = [row.replace(/^(?:>>>|&gt;&gt;&gt;) ?/, ""), ...rows.slice(index + 1)].join("\n");
      out.append(h("blockquote", { class: "quote" }, mrkdwn(rest, names, depth + 1)));
      return;
    }
    if (depth < DEEPEST && QUOTE.test(row)) {
      const quoted = [];
      while (index < rows.length && QUOTE.test(rows[index])) quoted.push(rows[index++].replace(QUOTE, ""));
      const body = document.createDocumentFragment();
      lines(quoted.join("\n"), names, body, depth + 1);
      out.append(h("blockquote", { class: "quote" }, body));
      paragraph = null;
      continue;
    }
    if (ITEM.test(row)) {
      index = list(rows, index, names, out);
      paragraph = null;
      continue;
    }
    if (paragraph) paragraph.append(h("br"));
    else {
      paragraph = h("div", { class: "prose" });
      out.append(paragraph);
    }
    paragraph.append(inline(row, names));
    index += 1;
  }
}

function list(rows, start, names, out) {
  const number = rows[start].match(ITEM)[2];
  const box = number ? h("ol", { class: "list", start: number }) : h("ul", { class: "list" });
  let index = start;
  for (; index < rows.length; index += 1) {
    const match = rows[index].match(ITEM);
    if (!match || Boolean(match[2]) !== Boolean(number)) break;
    const nested = match[1].length >= 2 ? "nested" : null;
    box.append(h("li", { class: nested }, inline(rows[index].slice(match[0].length), names)));
  }
  out.append(box);
  return index;
}

/** One line: marks, code, references, emoji, bare links. */
export function inline(text, names, depth = 0) {
  const out = document.createDocumentFragment();
  let buffer = "";
  let index = 0;
  const flush = () => {
    if (buffer) out.append(document.createTextNode(unescape(buffer)));
    buffer = "";
  };
  const put = (node, length) => {
    flush();
    out.append(node);
    index += length;
  };
  while (index < text.length) {
    const character = text[index];
    const before = index > 0 ? text[index - 1] : "";
    if (character === "`") {
      const end = text.indexOf("`", index + 1);
      if (end > index + 1) {
        put(h("code", { class: "code" }, plain(text.slice(index + 1, end))), end + 1 - index);
        continue;
      }
    } else if (character === "<") {
      const match = /^<([^<>\n]+)>/.exec(text.slice(index, index + 3200));
      if (match) {
        put(reference(match[1], names), match[0].length);
        continue;
      }
    } else if (Object.hasOwn(MARKS, character) && depth < 6 && !WORD.test(before) && before !== character) {
      const end = closing(text, index);
      if (end > 0) {
        put(h(MARKS[character], {}, inline(text.slice(index + 1, end), names, depth + 1)), end + 1 - index);
        continue;
      }
    } else if (character === ":") {
      const match = /^:([a-z0-9_+-]{1,40}):(?::skin-tone-[2-6]:)?/.exec(text.slice(index, index + 60));
      const node = match && emoji(match[1]);
      if (node) {
        put(node, match[0].length);
        continue;
      }
    } else if (character === "h" && !WORD.test(before)) {
      const match = /^https?:\/\/[^\s<>|"'`]*[^\s<>|"'`.,;:!?)\]*_~]/.exec(text.slice(index, index + 3000));
      if (match) {
        const url = unescape(match[0]);
        put(link(url, url), match[0].length);
        continue;
      }
    }
    buffer += character;
    index += 1;
  }
  flush();
  return out;
}

/** Where the mark that opens at `start` ends, or -1: it hugs its words and ends at a word's end. */
function closing(text, start) {
  const mark = text[start];
  if (start + 1 >= text.length || /[\s]/.test(text[start + 1]) || text[start + 1] === mark) return -1;
  const limit = Math.min(text.length, start + 3000); // keeps a hostile line of marks from costing a second
  for (let end = start + 2; end < limit; end += 1) {
    if (text[end] === "`") {
      const skip = text.indexOf("`", end + 1);
      if (skip > 0) end = skip;
      continue;
    }
    if (text[end] === "<") {
      const skip = text.indexOf(">", end + 1);
      if (skip > 0) end = skip;
      continue;
    }
    if (text[end] !== mark || /\s/.test(text[end - 1])) continue;
    if (end + 1 >= text.length || !WORD.test(text[end + 1])) return end;
  }
  return -1;
}

/** A text object ({type, text}) as nodes. */
export function textObject(object, names) {
  if (!object) return document.createDocumentFragment();
  if (object.type === "mrkdwn") return mrkdwn(object.text, names);
  return plainText(object);
}

/** A plain_text object: characters and emoji, nothing else. */
export function plainText(object) {
  const out = document.createDocumentFragment();
  String(object?.text ?? "").split(/(:[a-z0-9_+-]{1,40}:|\n)/).forEach((piece) => {
    if (piece === "\n") out.append(h("br"));
    else if (piece) out.append((/^:.+:$/.test(piece) && emoji(piece.slice(1, -1))) || document.createTextNode(piece));
  });
  return out;
}
