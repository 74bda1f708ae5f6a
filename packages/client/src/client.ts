import { createBatch } from "./batch";
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
  const { store, onDeleted } = options;
  const http = createHttp(options);
  const tokens = createTokens(http.clock, options.fetchToken);
  const get = async <T>(path: string, asked?: RequestOptions) => (await http.ask<T>(tokens.get, path, asked)).body;

  const currentUser = (asked?: RequestOptions) => get<User>("/v1/users/current", asked);

  const storeCurrentUser: UsersyncClient["storeCurrentUser"] = async (asked) => {
    const { status, body } = await http.ask<User>(tokens.get, "/v1/users/current", { ...asked, method: "POST" });
    return { user: body, created: status === 201 };
  };

  const findUsers = createBatch(
    async (ids) => (await get<{ users: PublicUser[] }>(`/v1/users?ids=${ids.map(encodeURIComponent).join()}`)).users,
  );

  const claimsAfter = store === "claims" ? 0 : typeof store === "object" ? store.claimsAfterMs : undefined;
  return {
    currentUser,
    storeCurrentUser,
    user: async (id, asked) => (await findUsers([id], asked?.signal)).get(id) ?? null,
    users: (ids, asked) => findUsers(ids, asked?.signal),
    waitForCurrentUser: async (asked) => (await import("./waiting")).waitFor(currentUser, asked),
    identity: (asked) => get<Identity>("/v1/identity", asked),

    async *events({ signal }) {
      const { follow } = await import("./waiting");
      const session = createStore({ http, currentUser, storeCurrentUser, tokens: createTokens(http.clock) });
      // The function that returns tokens when one is needed: a sign-in library may be attached later.
      yield* follow(session, async (asked) => tokens.fetch?.(asked), signal);
    },

    session: createStore({ http, currentUser, storeCurrentUser, tokens, claimsAfter, onDeleted }),
  };
}

/** The current user's row for TanStack Query or SWR: `{ queryKey, queryFn }`. */
export function currentUserQuery(client: UsersyncClient): {
  queryKey: readonly ["usersync", "current"];
  queryFn: (context: { signal: AbortSignal }) => Promise<User>;
} {
  return { queryKey: ["usersync", "current"], queryFn: ({ signal }) => client.currentUser({ signal }) };
}
