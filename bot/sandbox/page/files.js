// Files of a message: pictures as pictures, text with its first lines, everything with a download.

import { h } from "./dom.js";
import { icon } from "./icon.js";

const PREVIEW_LINES = 8;
const LARGEST_PREVIEW = 200_000; // bytes; more would make the page slow for no use

export const attachments = (list) => h("div", { class: "files" }, list.map(file));

const address = (item) => `/sandbox/files/${encodeURIComponent(item.id)}`;

function file(item) {
  const name = item.title || item.name || "file";
  const type = item.mimetype ?? "";
  const bar = h("div", { class: "file-bar" }, icon("file"),
    h("span", { class: "file-name" }, name), h("span", { class: "file-size" }, size(item.size)),
    h("a", {
      class: "button button-icon quiet", href: address(item), download: item.name ?? "", title: "Download",
      "aria-label": `Download ${name}`,
    }, icon("download")));
  if (/^image\/(png|jpe?g|gif|webp|svg\+xml)$/.test(type)) {
    return h("figure", { class: "file" }, bar,
      h("img", { class: "picture", src: address(item), alt: item.alt_txt || name, loading: "lazy" }));
  }
  const text = /^text\/|json|yaml|xml|javascript/.test(type) || /\.(log|txt|ya?ml|json|md)$/.test(item.name ?? "");
  if (text && (item.size ?? 0) <= LARGEST_PREVIEW) {
    return h("div", { class: "file" }, bar, preview(item));
  }
  return h("div", { class: "file" }, bar);
}

function preview(item) {
  const body = h("pre", { class: "pre file-text", tabindex: "0" }, "Loading…");
  const more = h("button", { class: "link-button file-more", type: "button", hidden: true, "aria-expanded": "false" });
  void read(item).then((text) => {
    const lines = text.replace(/\n$/, "").split("\n");
    const short = lines.slice(0, PREVIEW_LINES).join("\n");
    const show = (open) => {
      body.textContent = open ? lines.join("\n") : short;
      more.textContent = open ? "Show less" : `Show all ${lines.length} lines`;
      more.setAttribute("aria-expanded", String(open));
    };
    more.hidden = lines.length <= PREVIEW_LINES;
    more.addEventListener("click", () => show(more.getAttribute("aria-expanded") !== "true"));
    show(false);
  }).catch(() => { body.textContent = "No preview; download it to read it."; });
  return [body, more];
}

async function read(item) {
  const answer = await fetch(address(item));
  if (!answer.ok) throw new Error(String(answer.status));
  return answer.text();
}

function size(bytes) {
  if (!Number.isFinite(bytes)) return "";
  if (bytes < 1000) return `${bytes} B`;
  return bytes < 1_000_000 ? `${(bytes / 1000).toFixed(1)} kB` : `${(bytes / 1_000_000).toFixed(1)} MB`;
}
