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
  /** In how many milliseconds the token that is held should be replaced; `NaN` where its expiry cannot be read. */
  dueIn(): number;
  /** Forgets the token and everything that is in flight. */
  forget(): void;
}

export function createTokens(clock: ServerClock, fetch?: FetchToken): Tokens {
  let held: string | undefined;
  let refreshAt = NaN;
  let flight: Promise<string> | undefined;
  let abort = new AbortController();

  const dueIn = () => refreshAt - clock.now();

  const load = async (signal: AbortSignal) => {
    try {
      const token = await tokens.fetch?.({ forceRefresh: !!held, signal });
      signal.throwIfAborted();
      if (!token) throw new UsersyncError("token", "no_token", "`fetchToken` gave no token.");
      refreshAt = refreshTime(token, clock.now());
      return (held = token);
    } catch (cause) {
      // An error with advice is passed on unchanged.
      if (isUsersyncError(cause)) throw cause;
      throw new UsersyncError("token", "token_failed", "`fetchToken` failed: see `cause`.", { retryable: true, cause });
    }
  };

  /** Its end is noticed after its start, also if the app's function throws immediately. */
  const begin = ({ signal }: AbortController) =>
    (flight = load(signal).finally(() => {
      // What was aborted may have been replaced already.
      if (!signal.aborted) flight = undefined;
    }));

  const tokens: Tokens = {
    fetch,
    dueIn,
    get: async (refused) => (held && held !== refused && !(dueIn() <= 0) ? held : (flight ?? begin(abort))),
    forget() {
      abort.abort();
      abort = new AbortController();
      held = flight = undefined;
    },
  };
  return tokens;
}

/**
 * Ten to fifteen seconds before a token expires, so that not all clients refresh at the same time, or a quarter of its
 * lifetime before; `NaN` if the token has no expiry.
 */
function refreshTime(token: string, now: number): number {
  const { exp = NaN, iat = now / 1000 } = claimsOf(token);
  return 1000 * (exp - Math.min(10 + 5 * Math.random(), (exp - iat) / 4));
}
