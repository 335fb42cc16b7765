// Look-ups that rendering needs: people, channels, groups, and who is reading in which zone.

export class Names {
  /** Takes what a snapshot says; whoever holds this object sees the news. */
  load(state) {
    const people = (state.people ?? []).map((person) => ({
      id: person.id, handle: person.name ?? person.id, tz: person.tz, bot: Boolean(person.is_bot ?? person.bot),
      name: person.display_name || person.real_name || person.name || person.id, groups: person.groups ?? [],
    }));
    this.byId = new Map(people.map((person) => [person.id, person]));
    this.me = state.me;
    this.zone = usable(this.byId.get(this.me)?.tz);
    this.bot = { id: state.bot.user_id, name: state.bot.name, bot: true, ...this.byId.get(state.bot.user_id) };
    this.channelList = (state.channels ?? []).filter((channel) => !isDirect(channel));
    this.channelById = new Map((state.channels ?? []).map((channel) => [channel.id, channel]));
    this.groupById = new Map((state.groups ?? []).map((group) => [group.id, group.handle ?? group.name]));
  }

  person(id) { return this.byId.get(id) ?? (id === this.bot.id ? this.bot : undefined); }
  people() { return [...this.byId.values()]; }
  humans() { return this.people().filter((person) => !person.bot); }
  channel(id) { return this.channelById.get(id); }
  channels() { return this.channelList; }
  group(id) { return this.groupById.get(id); }
}

export const isDirect = (channel) => Boolean(channel.is_im);

/** A zone that this browser knows, else its own. */
function usable(zone) {
  try {
    return new Intl.DateTimeFormat("en", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}
