// What a person sent before, newest last, for arrow-up in the composer. Kept per person in this browser.

const LONGEST = 50;

export class History {
  constructor(person) {
    this.key = `sandbox.history.${person}`;
    this.at = null;
    this.draft = "";
  }

  entries() {
    try {
      const entries = JSON.parse(localStorage.getItem(this.key) ?? "[]");
      return Array.isArray(entries) ? entries : [];
    } catch {
      return [];
    }
  }

  add(text) {
    const entries = this.entries().filter((entry) => entry !== text);
    localStorage.setItem(this.key, JSON.stringify([...entries, text].slice(-LONGEST)));
    this.at = null;
  }

  get browsing() { return this.at !== null; }

  /** One step back (-1) or forward (+1) from `current`; null when there is nothing that way. */
  step(direction, current) {
    const entries = this.entries();
    if (this.at === null) {
      if (direction > 0 || entries.length === 0) return null;
      this.draft = current;
      this.at = entries.length;
    }
    const next = this.at + direction;
    if (next < 0) return null;
    if (next >= entries.length) {
      this.at = null;
      return this.draft;
    }
    this.at = next;
    return entries[next];
  }

  stop() { this.at = null; }
}
