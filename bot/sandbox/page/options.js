// Where a select's options come from, and in which words its choice is told to the app.

const PEOPLE = (surface) => surface.names.people().map((person) => entry(person.id, person.name, `@${person.handle}`));
const CHANNELS = (surface) => surface.names.channels().map((channel) => entry(channel.id, `#${channel.name}`));

const entry = (value, label, detail = "") => ({ value, label, detail, option: null });
const fromOption = (option, group = "") => ({
  value: option.value, label: option.text?.text ?? option.value, detail: option.description?.text ?? "", group, option,
});

/** [{value, label, detail, group, option}] of options or option_groups as Slack writes them. */
export const listed = (source) => [
  ...(source.options ?? []).map((option) => fromOption(option)),
  ...(source.option_groups ?? []).flatMap((group) =>
    (group.options ?? []).map((option) => fromOption(option, group.label?.text ?? ""))),
];

/** How one select type behaves: {multiple, remote, find(query) -> entries, chosen() -> entries, change(entries)}. */
export function selection(spec, surface, blockId) {
  const multiple = spec.type.startsWith("multi_");
  const base = spec.type.replace("multi_", "");
  const state = () => surface.state(blockId, spec);
  if (base === "static_select" || base === "external_select") {
    const remote = base === "external_select";
    return {
      multiple, remote,
      find: async (query) =>
        (remote ? listed(await surface.suggest(blockId, spec, query)) : matching(listed(spec), query)),
      chosen: () => (multiple ? state().selected_options : [state().selected_option])
        .filter(Boolean).map((option) => fromOption(option)),
      change: (entries) => (multiple ? { selected_options: entries.map((e) => e.option) }
        : { selected_option: entries[0]?.option ?? null }),
    };
  }
  const name = { channels_select: "channel", conversations_select: "conversation" }[base] ?? "user";
  const field = `selected_${name}${multiple ? "s" : ""}`;
  const all = () => (name === "user" ? PEOPLE(surface)
    : name === "channel" ? CHANNELS(surface) : [...CHANNELS(surface), ...PEOPLE(surface)]);
  return {
    multiple, remote: false,
    find: async (query) => matching(all(), query),
    chosen: () => [].concat(state()[field] ?? []).map((id) => all().find((e) => e.value === id) ?? entry(id, id)),
    change: (entries) => ({ [field]: multiple ? entries.map((e) => e.value) : entries[0]?.value ?? null }),
  };
}

function matching(entries, query) {
  const wanted = query.trim().toLowerCase();
  return wanted ? entries.filter((e) => `${e.label} ${e.detail}`.toLowerCase().includes(wanted)) : entries;
}
