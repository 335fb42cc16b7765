// The conversation with the server as one person: a snapshot, live events after it, and acts. After a lost
// connection it takes a new snapshot, because events of the meantime are gone.

const FIRST_PAUSE = 400;
const LONGEST_PAUSE = 5000;

export class Wire {
  /** listener: {snapshot(state), event(event), online(bool), refused(message)} */
  constructor(person, listener) {
    this.person = person;
    this.listener = listener;
    this.closed = false;
    this.pause = FIRST_PAUSE;
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(`${scheme}//${location.host}/sandbox/events?as=${encodeURIComponent(this.person)}`);
    let early = []; // events that overtake the snapshot
    let seen = 0;
    const take = (event) => {
      if (typeof event.seq === "number" && event.seq <= seen) return;
      seen = event.seq ?? seen;
      this.listener.event(event);
    };
    socket.addEventListener("open", async () => {
      try {
        const state = await this.snapshot();
        if (this.closed) return;
        seen = state.seq ?? 0;
        this.pause = FIRST_PAUSE;
        this.listener.snapshot(state);
        this.listener.online(true);
        const waiting = early;
        early = null;
        waiting.forEach(take);
      } catch (error) {
        this.listener.refused(error.message);
        socket.close();
      }
    });
    socket.addEventListener("message", ({ data }) => {
      const event = JSON.parse(data);
      if (early) early.push(event);
      else take(event);
    });
    socket.addEventListener("close", () => {
      if (this.closed) return;
      this.listener.online(false);
      setTimeout(() => this.closed || this.connect(), this.pause * (0.75 + Math.random() / 2));
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    });
    this.socket = socket;
  }

  close() {
    this.closed = true;
    this.socket.close();
  }

  async snapshot() {
    const answer = await fetch(`/sandbox/state?as=${encodeURIComponent(this.person)}`, { cache: "no-store" });
    const state = await answer.json().catch(() => null);
    if (!answer.ok || !state || state.ok === false) throw new Error(state?.error ?? `the server answered ${answer.status}`);
    return state;
  }

  /** Does something as this person; always resolves to {ok, error?, ...}. */
  async act(body) {
    try {
      const answer = await fetch("/sandbox/act", {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ as: this.person, ...body }),
      });
      const result = await answer.json().catch(() => ({}));
      return answer.ok ? { ok: true, ...result } : { error: `the server answered ${answer.status}`, ...result, ok: false };
    } catch {
      return { ok: false, error: "the workspace server cannot be reached" };
    }
  }

  /** Completions for a half-typed command. */
  async hints(text, signal) {
    const query = new URLSearchParams({ as: this.person, text });
    try {
      const answer = await fetch(`/sandbox/hints?${query}`, { signal });
      return answer.ok ? await answer.json() : {};
    } catch {
      return {};
    }
  }
}
