import type { ServerClock } from "./clock";
import { claimsOf } from "./jwt";
import type { FetchToken } from "./types";

interface Cached {
  token: string;
  /** When another one is due, by the service's clock; unknown for a token whose expiry cannot be read. */
  refreshAt: number | undefined;
}

/** Gets tokens: one at a time, and from memory while they are good. */
export class Tokens {
  /** How the app gets a token: always the newest function, whichever function was there at first. */
  fetch: FetchToken | undefined;
  readonly #clock: ServerClock;
  #cached: Cached | undefined;
  #flight: { forced: boolean; token: Promise<string | null> } | undefined;
  #abort = new AbortController();

  constructor(clock: ServerClock, fetch?: FetchToken) {
    this.#clock = clock;
    this.fetch = fetch;
  }

  /** When the token that is held should be replaced, by the service's clock. */
  get refreshAt(): number | undefined {
    return this.#cached?.refreshAt;
  }

  /** A token that is good now; `null` when nobody is signed in. Throws what the app's function throws. */
  async get(force: boolean): Promise<string | null> {
    if (!force && this.#cached && !this.#isDue(this.#cached)) return this.#cached.token;
    // Whoever wants a new token is not served by a request for any token, and waits for it to end.
    if (this.#flight && force && !this.#flight.forced) await this.#flight.token.catch(() => {});
    if (!this.#flight) {
      const forced = force || this.#cached !== undefined;
      const flight = { forced, token: this.#ask(forced) };
      this.#flight = flight;
      const landed = () => {
        if (this.#flight === flight) this.#flight = undefined;
      };
      flight.token.then(landed, landed);
    }
    return this.#flight.token;
  }

  /** Forgets the token and everything that is under way. */
  forget(): void {
    this.#abort.abort();
    this.#abort = new AbortController();
    this.#cached = undefined;
    this.#flight = undefined;
  }

  async #ask(forced: boolean): Promise<string | null> {
    const { signal } = this.#abort;
    const first = (await this.fetch?.({ forceRefresh: forced, signal })) || null;
    let cached = first === null ? undefined : this.#read(first);
    if (cached && !forced && this.#isDue(cached)) {
      // The app's own cache gave one that expires at any moment.
      const second = (await this.fetch?.({ forceRefresh: true, signal })) || null;
      cached = second === null ? undefined : this.#read(second);
    }
    signal.throwIfAborted();
    this.#cached = cached;
    return cached?.token ?? null;
  }

  #read(token: string): Cached {
    const { exp, iat } = claimsOf(token) ?? {};
    if (typeof exp !== "number") return { token, refreshAt: undefined };
    const expires = exp * 1000;
    const lifetime = expires - (typeof iat === "number" ? iat * 1000 : this.#clock.now());
    return { token, refreshAt: expires - Math.min(10_000, Math.max(0, lifetime) / 4) };
  }

  #isDue({ refreshAt }: Cached): boolean {
    return refreshAt !== undefined && this.#clock.now() >= refreshAt;
  }
}
