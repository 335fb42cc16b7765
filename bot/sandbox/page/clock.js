// Times as the acting person reads them: always in that person's own zone. No state but a cache of formatters.

const formatters = new Map();

function formatter(zone, options) {
  const key = zone + JSON.stringify(options);
  if (!formatters.has(key)) formatters.set(key, new Intl.DateTimeFormat("en-GB", { timeZone: zone, ...options }));
  return formatters.get(key);
}

/** Seconds of a message's `ts` ("1700000000.000100") as a Date. */
export const dateOf = (ts) => new Date(Number(ts) * 1000);

export const time = (date, zone) => formatter(zone, { hour: "2-digit", minute: "2-digit" }).format(date);
export const timeWithSeconds = (date, zone) =>
  formatter(zone, { hour: "2-digit", minute: "2-digit", second: "2-digit" }).format(date);

/** A key that is the same for two moments of one day in that zone: 2026-11-23. */
export function dayKey(date, zone) {
  const parts = Object.fromEntries(
    formatter(zone, { year: "numeric", month: "2-digit", day: "2-digit" })
      .formatToParts(date).map((part) => [part.type, part.value]),
  );
  return `${parts.year}-${parts.month}-${parts.day}`;
}

/** "Today", "Yesterday", or null for any other day. */
function near(date, zone) {
  const now = Date.now();
  const day = dayKey(date, zone);
  if (day === dayKey(new Date(now), zone)) return "Today";
  if (day === dayKey(new Date(now - 86_400_000), zone)) return "Yesterday";
  return null;
}

export const dayName = (date, zone) =>
  near(date, zone) ?? formatter(zone, { weekday: "long", day: "numeric", month: "long" }).format(date);

export const full = (date, zone) =>
  formatter(zone, { weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit",
    minute: "2-digit", second: "2-digit", timeZoneName: "short" }).format(date);

/** "just now", "3 min ago", "2 h ago", "4 d ago". */
export function ago(date) {
  const seconds = Math.round((Date.now() - date.getTime()) / 1000);
  if (seconds < 0) return `in ${span(-seconds)}`;
  return seconds < 45 ? "just now" : `${span(seconds)} ago`;
}

function span(seconds) {
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return seconds < 86_400 ? `${Math.round(seconds / 3600)} h` : `${Math.round(seconds / 86_400)} d`;
}

const FIELDS = {
  date_num: (date, zone) => dayKey(date, zone),
  date: (date, zone) => formatter(zone, { day: "numeric", month: "long", year: "numeric" }).format(date),
  date_short: (date, zone) => formatter(zone, { day: "numeric", month: "short", year: "numeric" }).format(date),
  date_long: (date, zone) =>
    formatter(zone, { weekday: "long", day: "numeric", month: "long", year: "numeric" }).format(date),
  time,
  time_secs: timeWithSeconds,
  ago: (date) => ago(date),
};

/** A Slack date format ("{date_short_pretty} at {time}") filled in; null when the moment is not a number. */
export function fill(format, seconds, zone) {
  const date = new Date(Number(seconds) * 1000);
  if (!/^\d+$/.test(String(seconds)) || Number.isNaN(date.getTime())) return null;
  return format.replace(/\{(\w+)\}/g, (whole, field) => {
    const pretty = field.endsWith("_pretty");
    const name = pretty ? field.slice(0, -"_pretty".length) : field;
    if (!Object.hasOwn(FIELDS, name)) return whole;
    return (pretty && near(date, zone)?.toLowerCase()) || FIELDS[name](date, zone);
  });
}
