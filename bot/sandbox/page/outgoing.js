// What a person typed, in the form that the wire wants: names become ids, Slack's three characters are escaped.

/** "@Grace Hopper look at #general" -> "<@U0GRACE> look at <#C0GENERAL>". */
export function outgoing(text, names) {
  const escaped = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const people = new Map();
  for (const person of [names.bot, ...names.people()]) {
    people.set(`@${person.name}`.toLowerCase(), `<@${person.id}>`);
    if (person.handle) people.set(`@${person.handle}`.toLowerCase(), `<@${person.id}>`);
  }
  for (const channel of names.channels()) people.set(`#${channel.name}`.toLowerCase(), `<#${channel.id}>`);
  const longest = [...people.keys()].sort((a, b) => b.length - a.length).map((key) => key.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"));
  if (longest.length === 0) return escaped;
  const pattern = new RegExp(`(?<![\\p{L}\\p{N}])(${longest.join("|")})(?![\\p{L}\\p{N}])`, "giu");
  return escaped.replace(pattern, (found) => people.get(found.toLowerCase()));
}
