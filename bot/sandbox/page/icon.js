// The page's icons: 20 × 20 line drawings, one path each. Decoration only; the words beside them carry meaning.

import { svg } from "./dom.js";

const PATHS = {
  hash: "M8 3.5 6.2 16.5M13.8 3.5 12 16.5M3.5 7.5h13M3 12.5h13",
  home: "M3 9.2 10 3.5l7 5.7V16a1 1 0 0 1-1 1h-3.7v-4.6H7.7V17H4a1 1 0 0 1-1-1z",
  chat: "M4 4h12a1.2 1.2 0 0 1 1.2 1.2v7.2a1.2 1.2 0 0 1-1.2 1.2H9.2L5.6 16.6v-3H4a1.2 1.2 0 0 1-1.2-1.2V5.2A1.2 1.2 0 0 1 4 4z",
  reply: "M8 5 3.5 9.5 8 14M4 9.5h7.5a5 5 0 0 1 5 5v1",
  close: "M5 5l10 10M15 5 5 15",
  back: "M12 4.5 6.5 10l5.5 5.5",
  send: "M3.4 16.6 17 10 3.4 3.4 5 9l6 1-6 1z",
  sun: "M10 6.4a3.6 3.6 0 1 0 0 7.2 3.6 3.6 0 0 0 0-7.2zM10 2v1.8M10 16.2V18M2 10h1.8M16.2 10H18M4.3 4.3l1.3 1.3M14.4 14.4l1.3 1.3M4.3 15.7l1.3-1.3M14.4 5.6l1.3-1.3",
  moon: "M16.4 12.1A6.9 6.9 0 0 1 7.9 3.6a6.9 6.9 0 1 0 8.5 8.5z",
  auto: "M10 3a7 7 0 1 0 0 14 7 7 0 0 0 0-14zM10 3v14M10 6.5h4.6M10 10h6M10 13.5h4.6",
  storm: "M11.2 2.5 4.5 11h4.6l-.6 6.5L15.5 9h-4.8z",
  file: "M5.2 2.8h6.1l3.7 3.7v10.7H5.2zM11 2.8v4h4",
  download: "M10 3.2v9.2M6.2 8.8 10 12.6l3.8-3.8M4 16.4h12",
  check: "M4.5 10.6 8.3 14.4 15.7 6",
  chevron: "M5.5 8 10 12.5 14.5 8",
  dots: "M4.6 10h.01M10 10h.01M15.4 10h.01",
  eye: "M2.4 10S5.2 5 10 5s7.6 5 7.6 5-2.8 5-7.6 5-7.6-5-7.6-5zM10 7.8a2.2 2.2 0 1 0 0 4.4 2.2 2.2 0 0 0 0-4.4z",
  lock: "M5 9h10v7.6H5zM7 9V6.6a3 3 0 0 1 6 0V9",
  attach: "M14.8 9.4 9.6 14.6a3 3 0 0 1-4.3-4.3l5.9-5.9a2 2 0 0 1 2.9 2.9l-5.6 5.5a1 1 0 0 1-1.4-1.4l4.7-4.7",
  keys: "M2.8 5.5h14.4v9H2.8zM5.5 8.2h.01M8.5 8.2h.01M11.5 8.2h.01M14.5 8.2h.01M6.5 11.8h7",
  arch: "M3 16.5h14M5 16.5V9.8a5 5 0 0 1 10 0v6.7M8 16.5v-6a2 2 0 0 1 4 0v6M10 4.8V2.6",
  pending: "M10 4.2a5.8 5.8 0 1 0 0 11.6 5.8 5.8 0 0 0 0-11.6z",
  alert: "M10 3 17.5 16.2h-15zM10 8v3.8M10 13.9h.01",
};

/** The drawing called `name`, hidden from screen readers. */
export function icon(name, size = 18) {
  return svg(
    "svg",
    { viewBox: "0 0 20 20", width: size, height: size, class: `icon icon-${name}`, "aria-hidden": "true" },
    svg("path", { d: PATHS[name] }),
  );
}
