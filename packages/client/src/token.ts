import type { ServerClock } from "./clock";
import { UsersyncError, isUsersyncError } from "./error";
import type { GetToken } from "./http";
import { claimsOf } from "./jwt";
import type { FetchToken } from "./types";

/** Fetches tokens: one at a time, and from memory while they are valid. */
export interface Tokens {
  /** The app's current function that fetches a token. */
  fetch: FetchToken | undefined;
  get: GetToken;
  /** In how many milliseconds the token that is held should be replaced; unknown where its expiry cannot be read. */
  dueIn(): number | undefined;
  /** Forgets the token and everything that is in flight. */
  forget(): void;
}

export function createTokens(clock: ServerClock, fetch?: FetchToken): Tokens {
  let held: string | undefined;
  let refreshAt: number | undefined;
  let flight: Promise<string> | undefined;
  let abort = new AbortController();

  const dueIn = () => refreshAt && refreshAt - clock.now();

  const load = async ({ signal }: AbortController) => {
    try {
      const token = await tokens.fetch?.({ forceRefresh: !!held, signal });
      signal.throwIfAborted();
      held = token || undefined;
      refreshAt = refreshTime(token || "", clock.now());
    } catch (cause) {
      // An error with advice is passed on unchanged.
      if (isUsersyncError(cause)) throw cause;
      throw new UsersyncError("token", "token_failed", "`fetchToken` failed: see `cause`.", { retryable: true, cause });
    }
    if (held) return held;
    throw new UsersyncError("token", "no_token", "The library gave no token.");
  };

  const tokens: Tokens = {
    fetch,
    dueIn,
    async get(refused) {
      if (held && held !== refused && !(dueIn()! <= 0)) return held;
      const mine = (flight ??= load(abort).finally(() => {
        if (flight === mine) flight = undefined;
      }));
      return mine;
    },
    forget() {
      abort.abort();
      abort = new AbortController();
      held = refreshAt = flight = undefined;
    },
  };
  return tokens;
}

/**
 * Ten to fifteen seconds before a token expires, so that not all clients refresh at the same time, or a quarter of its
 * lifetime before; unknown if the token has no expiry.
 */
function refreshTime(token: string, now: number): number | undefined {
  const { exp, iat } = claimsOf(token);
  if (typeof exp !== "number") return undefined;
  const life = exp - (typeof iat === "number" ? iat : now / 1000);
  return (exp - Math.min(10 + 5 * Math.random(), Math.max(0, life) / 4)) * 1000;
}
