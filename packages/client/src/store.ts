import { createConnection } from "./connection";
import type { ConnectionOptions } from "./connection";
import type { UsersyncError } from "./error";
import { initial, transition } from "./machine";
import type { Event } from "./machine";
import { watchPage } from "./page";
import { createTabs } from "./tabs";
import { createTimers } from "./timers";
import type { AuthInput, Session, User } from "./types";

/** Who is signed in, for any framework: a snapshot, and a subscription to its changes. */
export interface SessionStore {
  /** The same object as long as nothing has changed. */
  getSnapshot(): Session;
  /** Calls the listener after each change, until the returned function is called. */
  subscribe(listener: () => void): () => void;
  /** What the sign-in library says; `null` when nobody is signed in. Calling it again with the same is free. */
  setAuth(auth: AuthInput | null): void;
  /** Tries again now, instead of when the next attempt is due. */
  retry(): void;
  /** Ends every connection and timer, for good. */
  close(): void;
}

/** What the store works with. */
export interface StoreOptions extends ConnectionOptions {
  storeCurrentUser: (options: { signal: AbortSignal }) => Promise<{ user: User }>;
  /** When a user who has no row is stored from the token's claims, in milliseconds; `undefined`: never. */
  claimsAfter?: number | undefined;
  onDeleted?: ((event: { sub: string }) => void) | undefined;
}

/** Does what the state machine says. */
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
    if (next.status !== before.status) tabs.tell(next.status);
    tabs.follow(next.subject);
    if (next.session === before.session) return;
    for (const listener of [...listeners]) listener();
    if (next.status === "deleted" && next.subject) options.onDeleted?.({ sub: next.subject });
  };
  const retry = () => dispatch("wake");

  // Only what is signed in or pending can be refreshed.
  const connection = createConnection(options, dispatch, () => "refreshing" in state.session);
  const timers = createTimers((timer) => dispatch("timer", timer));
  const tabs = createTabs((message) => {
    if (message === "deleted") dispatch("deleted");
    if (message !== "signedOut") return;
    // The sign-in library of this tab is asked again: its token may be gone.
    tokens.forget();
    retry();
  });

  /** The commands of the state machine. */
  const does = {
    ...timers,
    connect: connection.connect,
    disconnect(forget: boolean) {
      connection.disconnect();
      for (const timer of ["retry", "refresh", "loading"] as const) timers.cancel(timer);
      if (!forget) return;
      timers.cancel("claims");
      storing?.abort();
      tokens.forget();
    },
    storeSoon: () => claimsAfter !== undefined && timers.schedule("claims", claimsAfter),
    store() {
      const { signal } = (storing = new AbortController());
      // Nobody waits for the answer any more once the row is there, or somebody else.
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
      stopWatching ??= watchPage({
        hidden: () => dispatch("hidden"),
        wake(isOnline) {
          // Nothing is amiss where a connection works and the token is good, though its timer may have been asleep.
          if (isOnline || !connection.isOpen() || tokens.dueIn()! <= 0) retry();
        },
      });
      dispatch("auth", auth);
    },
    retry,
    close() {
      isClosed = true;
      does.disconnect(true);
      stopWatching?.();
      tabs.follow(null);
    },
  };
}
