import { createBatch } from "./batch";
import { aborted, sleep } from "./clock";
import { UsersyncError, pause } from "./error";
import { createHttp } from "./http";
import type { RequestOptions } from "./http";
import { createStore } from "./store";
import type { SessionStore } from "./store";
import { createTokens } from "./token";
import type { FetchToken, Identity, LogEvent, PublicUser, User, UserEvent } from "./types";

/** The options of a client. */
export interface ClientOptions {
  /** Where usersync is: `https://users.example.com`, or `""` for the page's own origin. */
  url: string;
  /** Fetches a token, if no sign-in library is attached to `session`. */
  fetchToken?: FetchToken;
  /** Another `fetch`, such as `expo/fetch`. */
  fetch?: typeof globalThis.fetch;
  /** How long an answer may take, in addition to a requested `wait`: 15. */
  timeoutSeconds?: number;
  /** How often a request is repeated after a temporary failure: 3. */
  retries?: number;
  /**
   * What to do about a user who has no row yet: `"wait"` for the webhook (the default), store them from the token's
   * `"claims"` immediately, or after this number of milliseconds.
   */
  store?: "wait" | "claims" | { claimsAfterMs: number };
  /** Called once when the current user was deleted. Sign out here. */
  onDeleted?: (event: { sub: string }) => void;
  /** Called for every request. */
  log?: (event: LogEvent) => void;
}

/** Sends requests to usersync as the user of the token. */
export interface UsersyncClient {
  /** The user's row. Throws `user_not_synced` and `user_deleted`. With `wait`, waits that many seconds for the row. */
  currentUser(options?: { wait?: number; signal?: AbortSignal }): Promise<User>;
  /** Waits until the user has a row; `null` if none came in time (60 s). */
  waitForCurrentUser(options?: { timeoutSeconds?: number; signal?: AbortSignal }): Promise<User | null>;
  /** Stores the user from the token's claims, if no webhook has yet. Doing it twice is harmless. */
  storeCurrentUser(options?: { signal?: AbortSignal }): Promise<{ user: User; created: boolean }>;
  /** The content of the token, whether or not its user has a row. */
  identity(options?: { signal?: AbortSignal }): Promise<Identity>;
  /** Another user; `null` if there is none. Those requested in one tick are one request. */
  user(id: string, options?: { signal?: AbortSignal }): Promise<PublicUser | null>;
  /** Other users by their id; those that do not exist are left out. */
  users(ids: Iterable<string>, options?: { signal?: AbortSignal }): Promise<ReadonlyMap<string, PublicUser>>;
  /** The changes of the current user, until the signal is aborted or the user is deleted. */
  events(options: { signal: AbortSignal }): AsyncIterable<UserEvent>;
  readonly session: SessionStore;
}

/** Creates a client. It does not connect before its first use. */
export function createUsersyncClient(options: ClientOptions): UsersyncClient {
  const { store = "wait", onDeleted } = options;
  const http = createHttp(options);
  const tokens = createTokens(http.clock, options.fetchToken);
  const ask = <T>(path: string, asked?: RequestOptions) => http.ask<T>(tokens.get, path, asked);

  const currentUser: UsersyncClient["currentUser"] = async (asked) =>
    (await ask<User>(`/v1/users/current${asked?.wait ? `?wait=${asked.wait}` : ""}`, asked)).body;

  const storeCurrentUser: UsersyncClient["storeCurrentUser"] = async (asked) => {
    const { status, body } = await ask<User>("/v1/users/current", { ...asked, method: "POST" });
    return { user: body, created: status === 201 };
  };

  const userById = createBatch(
    async (ids) => (await ask<{ users: PublicUser[] }>(`/v1/users?ids=${ids.map(encodeURIComponent).join()}`)).body.users,
  );
  const user: UsersyncClient["user"] = (id, asked) => abortable(userById(id), asked?.signal);

  const parts = { http, tokens, currentUser, storeCurrentUser };
  const claimsAfter = store === "wait" ? undefined : store === "claims" ? 0 : store.claimsAfterMs;
  return {
    currentUser,
    storeCurrentUser,
    user,
    waitForCurrentUser: (asked) => waitFor(currentUser, asked),
    identity: async (asked) => (await ask<Identity>("/v1/identity", asked)).body,

    async users(ids, asked) {
      const found = await Promise.all([...new Set(ids)].map((id) => user(id, asked)));
      return new Map(found.flatMap((one) => (one ? [[one.id, one]] : [])));
    },

    events: ({ signal }) =>
      // The function that returns tokens when one is needed: a sign-in library may be attached later.
      follow(createStore({ ...parts, tokens: createTokens(http.clock) }), async (asked) => tokens.fetch?.(asked), signal),

    session: createStore({ ...parts, claimsAfter, onDeleted }),
  };
}

async function waitFor(
  currentUser: UsersyncClient["currentUser"],
  { timeoutSeconds = 60, signal }: { timeoutSeconds?: number; signal?: AbortSignal } = {},
): Promise<User | null> {
  const until = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const wait = Math.min(20, Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    try {
      return await currentUser({ wait, ...(signal && { signal }) });
    } catch (error) {
      if ((error as UsersyncError).code !== "user_not_synced") throw error;
      if (Date.now() >= until) return null;
      // A service that is shutting down answers immediately: the next request reaches another one.
      await sleep(Math.min(pause(error as UsersyncError, 1, Math.random()), until - Date.now()), signal);
    }
  }
}

/** A promise that ends when the signal does. The request continues for other callers that wait for it. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return Promise.race([promise, aborted(signal).then(() => Promise.reject(signal.reason as Error))]);
}

/** The changes of a separate session, which reconnects, refreshes the token and falls back like every session. */
async function* follow(session: SessionStore, fetchToken: FetchToken, signal: AbortSignal): AsyncGenerator<UserEvent, void, void> {
  let wake = () => {};
  session.subscribe(() => wake());
  const end = aborted(signal);
  try {
    session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "", fetchToken });
    for (let last: unknown; !signal.aborted; ) {
      const now = session.getSnapshot();
      if (now.status === "failed") throw now.error;
      const user = now.status === "signedIn" && now.user;
      const current = user || now.status;
      if (current === "loading" || current === last) {
        await Promise.race([end, new Promise<void>((resolve) => (wake = resolve))]);
        continue;
      }
      last = current;
      yield user ? { type: "user", user } : { type: now.status as "pending" | "deleted" };
      if (current === "deleted") return;
    }
  } finally {
    session.close();
  }
}

/** The current user's row for TanStack Query or SWR: `{ queryKey, queryFn }`. */
export function currentUserQuery(client: UsersyncClient): {
  queryKey: readonly ["usersync", "current"];
  queryFn: (context: { signal: AbortSignal }) => Promise<User>;
} {
  return { queryKey: ["usersync", "current"], queryFn: ({ signal }) => client.currentUser({ signal }) };
}
