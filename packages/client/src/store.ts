import { createConnection } from "./connection";
import type { ConnectionOptions } from "./connection";
import type { UsersyncError } from "./error";
import { initial, transition } from "./machine";
import type { Event, Timer } from "./machine";
import { watchPage } from "./page";
import { createTabs } from "./tabs";
import type { AuthInput, Session, User } from "./types";

/** Who is signed in, for any framework: a snapshot, and a subscription to its changes. */
export interface SessionStore {
  /** The same object as long as nothing has changed. */
  getSnapshot(): Session;
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
  /** The state of the sign-in library; `null` when no user is signed in. Repeated calls with the same values are cheap. */
  setAuth(auth: AuthInput | null): void;
  /** Tries again now, instead of when the next attempt is due. */
  retry(): void;
  /** Ends every connection and timer, for good. */
  close(): void;
}

/** The dependencies of the store. */
export interface StoreOptions extends ConnectionOptions {
  storeCurrentUser: (options: { signal: AbortSignal }) => Promise<{ user: User }>;
  /** When a user who has no row is stored from the token's claims, in milliseconds; `undefined`: never. */
  claimsAfter?: number | undefined;
  onDeleted?: ((event: { sub: string }) => void) | undefined;
}

/** Browsers fire a timer of more than 2^31 ms immediately. */
const longestTimer = 12 * 3_600_000;

/** Runs the commands of the state machine. */
export function createStore(options: StoreOptions): SessionStore {
  const { tokens, claimsAfter } = options;
  const listeners = new Set<() => void>();
  let state = initial;
  let isClosed = false;
  let stopWatching: (() => void) | undefined;
  let storing: AbortController | undefined;

  const dispatch = (...event: Event): void => {
    if (isClosed) return;
    const before = state;
    const [next, commands] = transition(before, event);
    state = next;
    for (const [name, ...rest] of commands) (does[name] as (...rest: unknown[]) => void)(...rest);
    if (next.session !== before.session) tabs.publish(next.status);
    tabs.follow(next.subject);
    if (next.session === before.session) return;
    for (const listener of [...listeners]) listener();
    // The service has read the token, so the user is known.
    if (next.status === "deleted") options.onDeleted?.({ sub: next.subject! });
  };

  // Only what is signed in or pending can be refreshed.
  const connection = createConnection(options, dispatch, () => "refreshing" in state.session);
  const timers: { [timer in Timer]?: ReturnType<typeof setTimeout> } = {};
  const tabs = createTabs((message) => {
    if (message === "deleted") return dispatch(message);
    // Requests the token from this tab's sign-in library again: it may have been removed.
    tokens.forget();
    dispatch("wake");
  });

  /** The commands of the state machine. */
  const does = {
    connect() {
      does.schedule("retry");
      void connection.connect();
    },
    disconnect(forget: boolean) {
      connection.disconnect();
      does.schedule("retry");
      does.schedule("refresh");
      if (!forget) return;
      does.schedule("loading");
      does.schedule("claims");
      storing?.abort();
      tokens.forget();
    },
    schedule(timer: Timer, ms = NaN) {
      clearTimeout(timers[timer]);
      if (ms >= 0) timers[timer] = setTimeout(() => dispatch("timer", timer), Math.min(ms, longestTimer));
    },
    claims: () => does.schedule("claims", claimsAfter),
    store() {
      const { signal } = (storing = new AbortController());
      // The answer is not needed any more after the row arrived, or after the user changed.
      const isWanted = () => !signal.aborted && state.status === "pending";
      options.storeCurrentUser({ signal }).then(
        ({ user }) => isWanted() && dispatch("user", user),
        (error: UsersyncError) => isWanted() && dispatch("failed", Math.random(), error, "claims"),
      );
    },
  };

  return {
    getSnapshot: () => state.session,
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    setAuth(auth) {
      if (isClosed) return;
      tokens.fetch = auth?.fetchToken;
      stopWatching ??= watchPage(
        () => dispatch("hidden"),
        (isOnline) => {
          // All is well if the connection works and the token is valid, although its timer may have been suspended.
          if (isOnline || connection.hasEnded() || tokens.dueIn() <= 0) dispatch("wake");
        },
      );
      dispatch("auth", auth);
    },
    retry: () => dispatch("wake"),
    close() {
      isClosed = true;
      does.disconnect(true);
      stopWatching?.();
      tabs.follow(null);
    },
  };
}
