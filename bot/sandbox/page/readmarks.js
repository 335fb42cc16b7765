// How far each person has read each channel, remembered in this browser.

const key = (person, channel) => `sandbox.read.${person}.${channel}`;

export class ReadMarks {
  constructor(store) { this.store = store; }

  /** The ts up to which the acting person has read, or null when they never opened the channel. */
  at(channel) { return localStorage.getItem(key(this.store.me, channel)); }

  /** Marks everything that is there as read. */
  mark(channel) {
    const last = this.store.timeline(channel).at(-1);
    if (last) localStorage.setItem(key(this.store.me, channel), last.ts);
  }

  unread(channel) {
    const mark = this.at(channel) ?? "";
    return this.store.timeline(channel).filter((m) => m.ts > mark && m.user !== this.store.me).length;
  }
}
