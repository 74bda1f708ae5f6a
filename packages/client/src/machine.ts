// Who is signed in, as a pure state machine: a state and an event give the next state and what is to be done.
// It knows no clock, no network and no framework; `store.ts` does what it says.

import { UsersyncError } from "./error";
import type { Session, User } from "./types";

/** What the sign-in library said last, without its function. */
export interface Auth {
  isLoading: boolean;
  isAuthenticated: boolean;
  sessionKey: string | null;
  subject: string | null;
}

export interface State {
  readonly auth: Auth | undefined;
  readonly session: Session;
  /** The `sub` of whom the session is about, once it is known. */
  readonly subject: string | null;
  /** Whether the service has confirmed the user in this session. */
  readonly confirmed: boolean;
  /** Failed attempts in a row. */
  readonly failures: number;
  /** How often in a row there was no token. */
  readonly noToken: number;
  /** Whether the user was asked to be stored from the token's claims. */
  readonly stored: boolean;
  /** Whether a stream is open that tells of changes. */
  readonly isLive: boolean;
}

export type Event =
  | { type: "auth"; auth: Auth | null }
  /** A token is there, and is due to be replaced in so many milliseconds. */
  | { type: "token"; subject: string | null; refreshIn: number | undefined }
  | { type: "noToken" }
  /** The service took the token. What was told last still holds, and changes come at once if this is a stream. */
  | { type: "open"; isLive: boolean }
  | { type: "user"; user: User }
  | { type: "pending" }
  | { type: "deleted" }
  | { type: "expired" }
  /** The token was refused, and so was another one. */
  | { type: "refused"; error: UsersyncError }
  /** Something that time may mend: the network, a service that is restarted, a token that could not be got. */
  | { type: "unavailable"; error: UsersyncError | undefined; retryIn: number }
  /** Something that only the developer can mend. */
  | { type: "misconfigured"; error: UsersyncError }
  | { type: "storeFailed"; error: UsersyncError; retryIn: number }
  /** The page is visible again, the network is back, or the app asks to try again. */
  | { type: "wake" }
  | { type: "hidden" }
  | { type: "timer"; timer: Timer };

/** Each runs at most once at a time. */
export type Timer = "retry" | "refresh" | "claims" | "loading";

export type Command =
  | { do: "connect"; force: boolean }
  /** Ends every request and connection; with `forget`, the token goes as well. */
  | { do: "disconnect"; forget: boolean }
  | { do: "store" }
  | { do: "schedule"; timer: Timer; ms: number }
  | { do: "cancel"; timer: Timer }
  | { do: "announceDeletion"; subject: string };

/** When a user who is pending is stored from the token's claims, in milliseconds; `undefined`: never. */
export type ClaimsAfter = number | undefined;

/** How long a sign-in library may be loading before the user is taken from the screen. */
const longestLoading = 10_000;
const secondToken = 1000;
/** Between two attempts with a token that the service refuses. */
const refusedPause = 60_000;

export const initial: State = {
  auth: undefined,
  session: { status: "loading" },
  subject: null,
  confirmed: false,
  failures: 0,
  noToken: 0,
  stored: false,
  isLive: false,
};

/** The next state, and what is to be done, in order. */
export function transition(state: State, event: Event, claimsAfter: ClaimsAfter): [State, Command[]] {
  if (event.type === "auth") return onAuth(state, event.auth);
  // What was under way for somebody who is not signed in any more says nothing.
  // A deletion is final until there is another session.
  if (!isSignedIn(state) || state.session.status === "deleted") return [state, []];
  switch (event.type) {
    case "token":
      return onToken(state, event.subject, event.refreshIn);
    case "noToken":
      return onNoToken(state);
    case "open":
      return [settled({ ...state, failures: 0, isLive: event.isLive }), []];
    case "user":
      return onUser(state, event.user);
    case "pending":
      return onPending(state, claimsAfter);
    case "deleted":
      return onDeleted(state);
    case "expired":
      return [state, [{ do: "connect", force: false }]];
    case "refused": {
      const schedule: Command = { do: "schedule", timer: "retry", ms: refusedPause };
      return [state.confirmed ? troubled(state, event.error) : failed(state, event.error), [schedule]];
    }
    case "unavailable":
      return [
        troubled({ ...state, failures: state.failures + 1 }, event.error),
        [{ do: "schedule", timer: "retry", ms: event.retryIn }],
      ];
    case "misconfigured": {
      // A service that has answered before, and now something else answers, may be back soon.
      const isPassing = state.confirmed && event.error.kind === "protocol";
      const next = isPassing ? troubled(state, event.error) : failed(state, event.error);
      return [next, [{ do: "schedule", timer: "retry", ms: isPassing ? secondToken : refusedPause }]];
    }
    case "storeFailed": {
      const next = { ...state, failures: state.failures + 1 };
      const again: Command[] = event.error.retryable ? [{ do: "schedule", timer: "claims", ms: event.retryIn }] : [];
      return [state.session.status === "pending" ? troubled(next, event.error) : state, again];
    }
    case "wake":
      return [state, [{ do: "cancel", timer: "retry" }, { do: "connect", force: false }]];
    case "hidden":
      return [shown({ ...state, isLive: false }, {}), [{ do: "disconnect", forget: false }]];
    case "timer":
      return onTimer(state, event.timer);
  }
}

function isSignedIn({ auth }: State): boolean {
  return auth !== undefined && (auth.isAuthenticated || auth.isLoading);
}

function onAuth(state: State, next: Auth | null): [State, Command[]] {
  const before = state.auth;
  if (next === null || (!next.isLoading && !next.isAuthenticated)) {
    const auth = next ?? { isLoading: false, isAuthenticated: false, sessionKey: null, subject: null };
    if (state.session.status === "signedOut") return [{ ...state, auth }, []];
    return [{ ...initial, auth, session: { status: "signedOut" } }, [{ do: "disconnect", forget: true }]];
  }
  if (next.isLoading) {
    // What the library says of the session while it loads is not its last word.
    const auth = before && { ...before, isLoading: true };
    const { status } = state.session;
    if (!auth || !before.isAuthenticated) {
      const waiting = { ...next, isAuthenticated: false, sessionKey: null, subject: null };
      return [status === "loading" ? { ...state, auth: waiting } : { ...initial, auth: waiting }, []];
    }
    if (before.isLoading) return [state, []];
    return [refreshing({ ...state, auth }, true), [{ do: "schedule", timer: "loading", ms: longestLoading }]];
  }
  const stopWaiting: Command = { do: "cancel", timer: "loading" };
  if (before?.isAuthenticated && before.sessionKey === next.sessionKey) {
    const known = { ...state, auth: next };
    if (!before.isLoading) return [known, []];
    // Taken from the screen while the library was loading for long: the service tells again who it is.
    if (state.session.status === "loading" && state.confirmed) {
      return [known, [stopWaiting, { do: "connect", force: false }]];
    }
    return [refreshing(known, false), [stopWaiting]];
  }
  const isSameUser = next.subject !== null && next.subject === state.subject && state.session.status !== "deleted";
  const kept = isSameUser ? { ...refreshing(state, false), auth: next, noToken: 0 } : undefined;
  return [
    kept ?? { ...initial, auth: next, subject: next.subject },
    [{ do: "disconnect", forget: true }, { do: "connect", force: false }],
  ];
}

function onToken(state: State, subject: string | null, refreshIn: number | undefined): [State, Command[]] {
  const isOther = state.subject !== null && subject !== null && subject !== state.subject;
  // Never show one user's data to another.
  const next = isOther ? { ...initial, auth: state.auth } : state;
  const timer = "refresh";
  return [
    { ...next, subject: subject ?? next.subject, noToken: 0 },
    [refreshIn === undefined ? { do: "cancel", timer } : { do: "schedule", timer, ms: refreshIn }],
  ];
}

function onNoToken(state: State): [State, Command[]] {
  const noToken = state.noToken + 1;
  if (noToken === 1) return [{ ...state, noToken }, [{ do: "schedule", timer: "retry", ms: secondToken }]];
  const detail = "The sign-in library says that somebody is signed in, and gives no token.";
  const error = new UsersyncError({ kind: "token", code: "no_token", detail, retryable: true });
  return [failed({ ...state, noToken }, error), [{ do: "schedule", timer: "retry", ms: refusedPause }]];
}

function onUser(state: State, user: User): [State, Command[]] {
  const { session, isLive } = state;
  const isSame = session.status === "signedIn" && JSON.stringify(session.user) === JSON.stringify(user);
  const signedIn: Session = { status: "signedIn", user, refreshing: false, live: isLive };
  const cancel: Command[] = state.stored ? [{ do: "cancel", timer: "claims" }] : [];
  const next = { ...state, session: isSame ? session : signedIn, confirmed: true, failures: 0, stored: false };
  return [settled(next), cancel];
}

function onPending(state: State, claimsAfter: ClaimsAfter): [State, Command[]] {
  const pending: Session = { status: "pending", refreshing: state.auth?.isLoading ?? false };
  const session = state.session.status === "pending" && !state.session.error ? state.session : pending;
  const next = { ...state, session, failures: 0 };
  if (state.stored || claimsAfter === undefined) return [next, []];
  const store: Command =
    claimsAfter > 0 ? { do: "schedule", timer: "claims", ms: claimsAfter } : { do: "store" };
  return [{ ...next, stored: true }, [store]];
}

function onDeleted(state: State): [State, Command[]] {
  const announce: Command[] =
    state.subject === null ? [] : [{ do: "announceDeletion", subject: state.subject }];
  return [{ ...state, session: { status: "deleted" } }, [{ do: "disconnect", forget: true }, ...announce]];
}

function onTimer(state: State, timer: Timer): [State, Command[]] {
  switch (timer) {
    case "retry":
      return [state, [{ do: "connect", force: false }]];
    case "refresh":
      return [state, [{ do: "connect", force: true }]];
    case "claims":
      return [state, state.session.status === "pending" ? [{ do: "store" }] : []];
    case "loading":
      return [state.auth?.isLoading ? { ...state, session: { status: "loading" } } : state, []];
  }
}

/** Everything is as it should be: no error, and nothing under way but what the sign-in library does. */
function settled(state: State): State {
  return shown(state, { refreshing: state.auth?.isLoading ?? false, error: undefined });
}

/** Something went wrong that may pass: who is on the screen stays. */
function troubled(state: State, error: UsersyncError | undefined): State {
  return shown({ ...state, isLive: false }, { refreshing: true, error });
}

function failed(state: State, error: UsersyncError): State {
  return { ...state, isLive: false, session: { status: "failed", error } };
}

function refreshing(state: State, refreshing: boolean): State {
  return shown(state, { refreshing });
}

/** What is shown of a session that has something to show; the same object if nothing of it changes. */
function shown(state: State, change: { refreshing?: boolean; error?: UsersyncError | undefined }): State {
  const { session, isLive } = state;
  if (!("refreshing" in session)) return state;
  const { error, ...rest } = { ...session, ...change };
  const next = { ...rest, ...(error && { error }), ...("live" in rest && { live: isLive }) } as Session;
  const keys = ["refreshing", "error", "live"] as const;
  const isSame = keys.every((key) => (session as Record<string, unknown>)[key] === (next as Record<string, unknown>)[key]);
  return isSame ? state : { ...state, session: next };
}
