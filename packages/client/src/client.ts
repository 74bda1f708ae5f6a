import { UserBatch } from "./batch";
import { sleep } from "./clock";
import { UsersyncError } from "./error";
import { Http, pause } from "./http";
import type { RequestOptions } from "./http";
import { Store } from "./store";
import type { SessionStore } from "./store";
import { Tokens } from "./token";
import type { FetchToken, Identity, PublicUser, User, UserEvent } from "./types";

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
  const { timeoutSeconds = 15, retries = 3, store = "wait" } = options;
  const http = new Http(options.url, options.fetch);
  const tokens = new Tokens(http.clock, options.fetchToken);
  const ask = <T>(path: string, more?: Partial<RequestOptions>) =>
    http.ask<T>(tokens, path, { timeoutSeconds, retries, ...more });

  const currentUser: UsersyncClient["currentUser"] = async ({ wait, signal } = {}) => {
    const seconds = wait ?? 0;
    const query = seconds > 0 ? `?wait=${seconds}` : "";
    const more = { signal, timeoutSeconds: timeoutSeconds + seconds };
    return (await ask<User>(`/v1/users/current${query}`, more)).body;
  };

  const storeCurrentUser: UsersyncClient["storeCurrentUser"] = async ({ signal } = {}) => {
    const { status, body } = await ask<User>("/v1/users/current", { method: "POST", signal });
    return { user: body, created: status === 201 };
  };

  const batch = new UserBatch(
    async (ids) => (await ask<{ users: PublicUser[] }>(`/v1/users?ids=${ids.map(encodeURIComponent).join()}`)).body.users,
  );
  const user: UsersyncClient["user"] = (id, { signal } = {}) => abortable(batch.get(id), signal);

  const parts = {
    http,
    tokens,
    currentUser: (signal: AbortSignal) => currentUser({ signal }),
    storeCurrentUser: async (signal: AbortSignal) => (await storeCurrentUser({ signal })).user,
    claimsAfter: store === "wait" ? undefined : store === "claims" ? 0 : store.claimsAfterMs,
    onDeleted: options.onDeleted,
  };
  // Whatever gives tokens when one is needed: a sign-in library may be attached later.
  const fetchToken: FetchToken = async (asked) => tokens.fetch?.(asked);

  return {
    currentUser,
    storeCurrentUser,
    user,

    async waitForCurrentUser({ timeoutSeconds: within = 60, signal } = {}) {
      const until = Date.now() + within * 1000;
      for (;;) {
        const left = Math.ceil((until - Date.now()) / 1000);
        const answer = await currentUser({ wait: Math.min(20, Math.max(0, left)), ...(signal && { signal }) }).catch(
          (error: unknown) => {
            if (!(error instanceof UsersyncError) || error.code !== "user_not_synced") throw error;
            return error;
          },
        );
        if (!(answer instanceof UsersyncError)) return answer;
        if (Date.now() >= until) return null;
        // A service that is being stopped answers at once: the next question reaches another one.
        await sleep(Math.min(pause(answer, 1), until - Date.now()), signal);
      }
    },

    async identity({ signal } = {}) {
      return (await ask<Identity>("/v1/identity", { signal })).body;
    },

    async users(ids, { signal } = {}) {
      const found = await Promise.all([...new Set(ids)].map((id) => user(id, signal && { signal })));
      return new Map(found.filter((one) => one !== null).map((one) => [one.id, one]));
    },

    events({ signal }) {
      const own = new Tokens(http.clock);
      return follow(new Store({ ...parts, tokens: own, claimsAfter: undefined, onDeleted: undefined }), fetchToken, signal);
    },

    session: new Store(parts),
  };
}

/** A promise that ends when the signal does. The request goes on for the others who wait for it. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(signal.reason as Error);
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
    if (signal.aborted) stop();
  });
}

/** What a session of its own tells: it reconnects, refreshes the token and falls back as every session does. */
async function* follow(session: SessionStore, fetchToken: FetchToken, signal: AbortSignal): AsyncGenerator<UserEvent, void, void> {
  let told: unknown;
  let wake = () => {};
  const unsubscribe = session.subscribe(() => wake());
  const abort = () => wake();
  signal.addEventListener("abort", abort);
  try {
    session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "", fetchToken });
    while (!signal.aborted) {
      const now = session.getSnapshot();
      const news = now.status === "signedIn" ? now.user : now.status;
      if (now.status === "failed") throw now.error;
      if (now.status !== "loading" && news !== told) {
        told = news;
        if (now.status === "signedIn") yield { type: "user", user: now.user };
        else yield { type: now.status === "deleted" ? "deleted" : "pending" };
        if (now.status === "deleted") return;
        continue;
      }
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    unsubscribe();
    signal.removeEventListener("abort", abort);
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
