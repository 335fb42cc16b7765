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
    const take = (event) => {
      if (event.seq <= this.seen) return;
      this.seen = event.seq;
      this.listener.event(event);
    };
    let opened = false;
    socket.addEventListener("open", async () => {
      opened = true;
      this.seen = -1; // the server may be a new one, which counts from the beginning
      try {
        await this.renew();
        if (this.closed) return;
        this.pause = FIRST_PAUSE;
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
    socket.addEventListener("close", async () => {
      if (this.closed || (!opened && (await this.isRefused()))) return;
      this.listener.online(false);
      setTimeout(() => this.closed || this.connect(), this.pause * (0.75 + Math.random() / 2));
      this.pause = Math.min(this.pause * 2, LONGEST_PAUSE);
    });
    this.socket = socket;
  }

  /** Whether the server is there and will not have this person; the listener then knows why. */
  async isRefused() {
    try {
      await this.snapshot();
    } catch (error) {
      if (error instanceof TypeError) return false; // the server cannot be reached
      this.listener.refused(error.message);
      return true;
    }
    return false;
  }

  close() {
    this.closed = true;
    this.socket.close();
  }

  /** Takes a new snapshot; what happened up to it is not told again. */
  async renew() {
    const state = await this.snapshot();
    if (this.closed) return;
    // Answers may overtake each other; an older picture never replaces a newer one.
    if (state.seq < this.seen) return this.renew();
    this.seen = state.seq;
    this.listener.snapshot(state);
  }

  async snapshot() {
    const answer = await fetch(`/sandbox/state?as=${encodeURIComponent(this.person)}`, { cache: "no-store" });
    const state = await answer.json().catch(() => null);
    if (!answer.ok || !state) throw new Error(state?.error ?? `the server answered ${answer.status}`);
    return state;
  }

  /** Does something as this person; always resolves to {ok, error?, ...}. */
  async act(body) {
    try {
      const answer = await fetch("/sandbox/act", {
        method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ as: this.person, ...body }),
      });
      const result = await answer.json().catch(() => ({}));
      if (answer.ok) return result;
      return { error: `the server answered ${answer.status}`, ...result, ok: false };
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
