import { createBatch } from "./batch";
import { aborted, sleep } from "./clock";
import { UsersyncError, pause } from "./error";
import { createHttp } from "./http";
import type { RequestOptions } from "./http";
import { createStore } from "./store";
import type { SessionStore } from "./store";
import { createTokens } from "./token";
import type { FetchToken, Identity, LogEvent, PublicUser, User, UserEvent } from "./types";

/** How a client is made. */
export interface ClientOptions {
  /** Where usersync is: `https://users.example.com`, or `""` for the page's own origin. */
  url: string;
  /** How a token is got, where no sign-in library is attached to `session`. */
  fetchToken?: FetchToken;
  /** Another `fetch`, such as `expo/fetch`. */
  fetch?: typeof globalThis.fetch;
  /** How long an answer may take, beyond what was asked to wait: 15. */
  timeoutSeconds?: number;
  /** How often a request is repeated after a passing fault: 3. */
  retries?: number;
  /**
   * What is done about a user who has no row yet: `"wait"` for the webhook (the default), store them from the token's
   * `"claims"` at once, or after so many milliseconds.
   */
  store?: "wait" | "claims" | { claimsAfterMs: number };
  /** Called once when the current user was deleted. Sign out here. */
  onDeleted?: (event: { sub: string }) => void;
  /** Told of every request. */
  log?: (event: LogEvent) => void;
}

/** Asks usersync as whom the token speaks for. */
export interface UsersyncClient {
  /** The user's row. Throws `user_not_synced` and `user_deleted`. With `wait`, that many seconds for the row to come. */
  currentUser(options?: { wait?: number; signal?: AbortSignal }): Promise<User>;
  /** Waits until the user has a row; `null` if none came in time (60 s). */
  waitForCurrentUser(options?: { timeoutSeconds?: number; signal?: AbortSignal }): Promise<User | null>;
  /** Stores the user from the token's claims, if no webhook has yet. Doing it twice is harmless. */
  storeCurrentUser(options?: { signal?: AbortSignal }): Promise<{ user: User; created: boolean }>;
  /** What the token says, whether or not its user has a row. */
  identity(options?: { signal?: AbortSignal }): Promise<Identity>;
  /** Another user; `null` if there is none. Those asked for in one tick are one request. */
  user(id: string, options?: { signal?: AbortSignal }): Promise<PublicUser | null>;
  /** Other users by their id; those who are not there are left out. */
  users(ids: Iterable<string>, options?: { signal?: AbortSignal }): Promise<ReadonlyMap<string, PublicUser>>;
  /** What happens to the current user, until the signal is aborted or the user is deleted. */
  events(options: { signal: AbortSignal }): AsyncIterable<UserEvent>;
  readonly session: SessionStore;
}

/** Makes a client. It connects to nothing before it is asked. */
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
      // Whatever gives tokens when one is needed: a sign-in library may be attached later.
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
      // A service that is being stopped answers at once: the next question reaches another one.
      await sleep(Math.min(pause(error as UsersyncError, 1, Math.random()), until - Date.now()), signal);
    }
  }
}

/** A promise that ends when the signal does. The request goes on for the others who wait for it. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return Promise.race([promise, aborted(signal).then(() => Promise.reject(signal.reason as Error))]);
}

/** What a session of its own tells: it reconnects, refreshes the token and falls back as every session does. */
async function* follow(session: SessionStore, fetchToken: FetchToken, signal: AbortSignal): AsyncGenerator<UserEvent, void, void> {
  let wake = () => {};
  session.subscribe(() => wake());
  const end = aborted(signal);
  try {
    session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "", fetchToken });
    for (let told: unknown; !signal.aborted; ) {
      const now = session.getSnapshot();
      if (now.status === "failed") throw now.error;
      const user = now.status === "signedIn" && now.user;
      const news = user || now.status;
      if (news === "loading" || news === told) {
        await Promise.race([end, new Promise<void>((resolve) => (wake = resolve))]);
        continue;
      }
      told = news;
      yield user ? { type: "user", user } : { type: now.status as "pending" | "deleted" };
      if (news === "deleted") return;
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
