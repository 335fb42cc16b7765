// Builds DOM nodes. The only way this page makes elements: text stays text, and a URL that could run code is
// dropped here, so no caller has to remember it. Must never parse a string as HTML.

const SAFE_SCHEMES = new Set(["http:", "https:", "mailto:", "tel:"]);
const ABSOLUTE = /^[a-z][a-z0-9+.-]*:/i;
const SVG = "http://www.w3.org/2000/svg";

/** The URL if a person may safely follow it, else null. Relative URLs stay on this server. */
export function safeUrl(url) {
  try {
    const parsed = new URL(String(url), document.baseURI);
    return SAFE_SCHEMES.has(parsed.protocol) ? parsed.href : null;
  } catch {
    return null;
  }
}

/** h("a", {class: "x", href, onclick: fn, dataset: {...}}, child, [children], "text", null) */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props ?? {})) set(element, name, value);
  append(element, children);
  return element;
}

function set(element, name, value) {
  if (value === null || value === undefined || value === false) return;
  if (name.startsWith("on")) {
    if (typeof value === "function") element.addEventListener(name.slice(2), value);
  } else if (name === "class") element.className = value;
  else if (name === "dataset") Object.assign(element.dataset, value);
  else if (name === "value" || name === "checked") element[name] = value;
  else if (name === "href" || name === "src") {
    const url = safeUrl(value);
    if (url) element.setAttribute(name, url);
  } else element.setAttribute(name, value === true ? "" : String(value));
}

/** Appends nodes, strings and nested arrays; skips null, undefined and false. */
export function append(parent, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    parent.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return parent;
}

/** A link that leaves the page; without a safe URL only its words remain. */
export function link(url, ...children) {
  const safe = ABSOLUTE.test(url) ? safeUrl(url) : null;
  if (!safe) return h("span", { class: "dead-link", title: "This address is not a web link" }, ...children);
  return h("a", { class: "link", href: safe, target: "_blank", rel: "noopener noreferrer" }, ...children);
}

/** An SVG element; used by the icons, with constant data only. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

let counter = 0;
/** A document-unique id for aria references. */
export function uid(prefix) {
  counter += 1;
  return `${prefix}-${counter}`;
}

/** Slack's three escapes, back to characters. */
export function unescape(text) {
  return String(text ?? "").replace(/&(amp|lt|gt);/g, (_, name) => ({ amp: "&", lt: "<", gt: ">" })[name]);
}
