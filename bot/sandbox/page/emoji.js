// The common emoji names that a deployment bot and its people use. Unknown names stay as written.

import { h } from "./dom.js";

const NAMES = {
  rocket: "🚀", white_check_mark: "✅", heavy_check_mark: "✔️", x: "❌", warning: "⚠️", rotating_light: "🚨",
  no_entry: "⛔", no_entry_sign: "🚫", octagonal_sign: "🛑", hourglass: "⌛", hourglass_flowing_sand: "⏳",
  arrows_counterclockwise: "🔄", rewind: "⏪", fast_forward: "⏩", arrow_forward: "▶️", arrow_backward: "◀️",
  arrow_right: "➡️", arrow_left: "⬅️", arrow_up: "⬆️", arrow_down: "⬇️", leftwards_arrow_with_hook: "↩️",
  double_vertical_bar: "⏸️", pause_button: "⏸️", black_square_for_stop: "⏹️", lock: "🔒", unlock: "🔓", key: "🔑",
  snowflake: "❄️", fire: "🔥", bug: "🐛", wrench: "🔧", hammer: "🔨", gear: "⚙️", package: "📦", label: "🏷️",
  memo: "📝", clipboard: "📋", page_facing_up: "📄", mag: "🔍", link: "🔗", bell: "🔔", no_bell: "🔕",
  chart_with_upwards_trend: "📈", chart_with_downwards_trend: "📉", bar_chart: "📊", clock1: "🕐", stopwatch: "⏱️",
  calendar: "📅", red_circle: "🔴", large_blue_circle: "🔵", large_green_circle: "🟢", large_yellow_circle: "🟡",
  large_orange_circle: "🟠", white_circle: "⚪", black_circle: "⚫", information_source: "ℹ️", question: "❓",
  exclamation: "❗", bulb: "💡", zap: "⚡", boom: "💥", tada: "🎉", eyes: "👀", wave: "👋", raised_hands: "🙌",
  clap: "👏", pray: "🙏", ok_hand: "👌", thumbsup: "👍", "+1": "👍", thumbsdown: "👎", "-1": "👎", heart: "❤️",
  smile: "😄", slightly_smiling_face: "🙂", thinking_face: "🤔", sweat_smile: "😅", joy: "😂", cry: "😢",
  robot_face: "🤖", ship: "🚢", anchor: "⚓", bird: "🐦", hatching_chick: "🐣", construction: "🚧", traffic_light: "🚥",
  vertical_traffic_light: "🚦", checkered_flag: "🏁", triangular_flag_on_post: "🚩", shield: "🛡️", star: "⭐",
  sparkles: "✨", earth_africa: "🌍", globe_with_meridians: "🌐", house: "🏠", bust_in_silhouette: "👤",
  busts_in_silhouette: "👥", speech_balloon: "💬", wastebasket: "🗑️", recycle: "♻️", satellite: "🛰️",
};

/** The element for `:name:`, or null when the name is not known. */
export function emoji(name) {
  const character = Object.hasOwn(NAMES, name) ? NAMES[name] : null;
  if (!character) return null;
  const words = { "aria-label": name.replaceAll("_", " "), title: `:${name}:` };
  return h("span", { class: "emoji", role: "img", ...words }, character);
}
