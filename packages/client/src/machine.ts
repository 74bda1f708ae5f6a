// The session as a pure state machine: from a state and an event follow the next state and the commands.
// It uses no clock, no network and no framework; `store.ts` runs the commands.

import { isTokenRefused, pause } from "./error";
import type { UsersyncError } from "./error";
import type { AuthInput, Session, User } from "./types";

/** The last state of the sign-in library, without its function. */
export type Auth = Omit<AuthInput, "fetchToken">;

export interface State {
  readonly auth: Auth | null;
  /** The session that the app sees, calculated from the rest. */
  readonly session: Session;
  readonly status: Session["status"];
  /** The user that the service has confirmed in this session. Shown while the status is `signedIn`. */
  readonly user: User | undefined;
  readonly error: UsersyncError | undefined;
  /** Failed attempts in a row. */
  readonly failures: number;
  /** Whether a stream of changes is open. */
  readonly live: boolean;
  /** The `sub` of the session's user, when it is known. */
  readonly subject: string | null | undefined;
}

/** Each runs at most once at a time. */
export type Timer = "retry" | "refresh" | "claims" | "loading";

export type Command =
  /** Connects now instead of when the timer `retry` ends. */
  | ["connect"]
  /** Ends the connection; with `forget` every request, and the token goes as well. */
  | ["disconnect", forget: boolean]
  /** The user has no row: stores them from the token's claims, when the app wants that. */
  | ["claims"]
  | ["store"]
  /** Sets a timer; without a time, or with `NaN`, it is cancelled. */
  | ["schedule", timer: Timer, ms?: number | undefined];

type Step = [Partial<State>, ...Command[]];

/** How long a sign-in library may be loading before the user is removed from the screen. */
const longestLoading = 10_000;
/** The pause before a token is requested again, if the app returns one that expires very soon. */
const shortPause = 1000;
/** The pause between two attempts if only another token or another configuration would help. */
const longPause = 60_000;

/** The pause between two requests for a row that has not come yet, where streams do not work. */
const pollPendingEvery = 2000;

export const initial: State = {
  auth: null,
  session: { status: "loading" },
  status: "loading",
  user: undefined,
  error: undefined,
  failures: 0,
  live: false,
  subject: null,
};

/** The events: each is the name of a function of this table, and its arguments after the state. */
const events = {
  /** The state of the sign-in library has changed. */
  auth({ auth: before, status, subject }: State, auth: Auth | null): Step {
    if (!(auth?.isLoading || auth?.isAuthenticated)) return [{ ...initial, status: "signedOut" }, ["disconnect", true]];
    if (auth.isLoading) {
      if (!before) return [initial];
      // The library's state of the session is not final while it loads.
      return before.isLoading ? [{}] : [{ auth: { ...before, isLoading: true } }, ["schedule", "loading", longestLoading]];
    }
    if (before?.sessionKey === auth.sessionKey) return [{ auth }, ["schedule", "loading"]];
    const isSameUser = auth.subject && auth.subject === subject && status === "signedIn";
    const kept = isSameUser ? {} : { ...initial, subject: auth.subject };
    return [{ ...kept, auth }, ["disconnect", true], ["connect"]];
  },

  /** There is a token, which has to be replaced in `dueIn` milliseconds. */
  token({ auth, subject: before }: State, subject: string | undefined, dueIn: number): Step {
    // Never show one user's data to another.
    const isOther = before && subject && subject !== before;
    return [
      { ...(isOther && { ...initial, auth }), subject: subject ?? before },
      ["schedule", "refresh", Math.max(shortPause, dueIn)],
    ];
  },

  /**
   * The service has accepted the token. The last known state is still valid. With a stream, changes arrive immediately;
   * without one, the user is requested again in `pollIn` milliseconds.
   */
  open({ status, error }: State, pollIn?: number): Step {
    // A failure stays on the screen until the service sends the user.
    const next = { live: !pollIn, failures: 0, error: status === "failed" ? error : undefined };
    return [next, ["schedule", "retry", pollIn]];
  },

  user({ user: before }: State, user: User): Step {
    const isSame = JSON.stringify(before) === JSON.stringify(user);
    return [{ ...fine, status: "signedIn", user: isSame ? before : user }, ["schedule", "claims"]];
  },

  pending({ status }: State): Step {
    const next = { ...fine, status: "pending" as const, user: undefined };
    return status === "pending" ? [next] : [next, ["claims"]];
  },

  deleted: (): Step => [{ ...fine, status: "deleted", user: undefined }, ["disconnect", true]],

  /**
   * The session cannot be followed, or with the timer `claims` the user not be stored. No error: the stream broke
   * off, as it does when the service is restarted.
   */
  failed(state: State, random: number, error?: UsersyncError, timer: "retry" | "claims" = "retry"): Step {
    const code = error?.code;
    if (code === "user_deleted") return events.deleted();
    // Only where streams do not work: a stream would have sent `pending`.
    if (code === "user_not_synced") return [...events.pending(state), ["schedule", "retry", pollPendingEvery]];
    const failures = state.failures + 1;
    const isRefused = isTokenRefused(error);
    const isPassing =
      !error || error.retryable || error.status >= 500 ||
      // Some libraries give no token right after the sign-in, and a moment later they do.
      (code === "no_token" && state.error?.code !== code) ||
      // A service that has answered before may be back soon, if something else answers now.
      (state.user && (isRefused || error.kind === "protocol"));
    const status = isPassing ? state.status : "failed";
    // A service that is restarted ends all streams at once: not all clients come back in the same second.
    const again = error ? pause(error, failures, random) : 500 + 2500 * random;
    const ms = isRefused || !isPassing ? longPause : again;
    return [{ status, failures, error, live: timer === "claims" && state.live }, ["schedule", timer, ms]];
  },

  /** The page is visible again, the network is back, the token has expired, or the app asks to try again. */
  wake: (): Step => [{}, ["connect"]],

  hidden: (): Step => [{ live: false }, ["disconnect", false]],

  timer({ status }: State, timer: Timer): Step {
    // The user is not shown for longer: when the library has loaded, the service has to confirm them again.
    if (timer === "loading") return [initial, ["disconnect", true]];
    if (timer !== "claims") return [{}, ["connect"]];
    return status === "pending" ? [{}, ["store"]] : [{}];
  },
};

type Events = typeof events;
type After<Arguments> = Arguments extends [State, ...infer Rest] ? Rest : [];
export type Event = { [Name in keyof Events]: [Name, ...After<Parameters<Events[Name]>>] }[keyof Events];

/** Nothing is wrong any more. */
const fine = { error: undefined, failures: 0 };

/** The next state, and the commands in their order. */
export function transition(state: State, [name, ...rest]: Event): [State, Command[]] {
  // Results for a user who is not signed in any more are ignored.
  // A deletion is final until there is another session.
  if (name !== "auth" && (!state.auth || state.status === "deleted")) return [state, []];
  const [change, ...commands] = (events[name] as (state: State, ...rest: unknown[]) => Step)(state, ...rest);
  const next = { ...state, ...change };
  return [{ ...next, session: sessionOf(next) }, commands];
}

/** What the app sees: the same object as before if nothing of it has changed. */
function sessionOf({ session, status, user, error, failures, live, auth }: State): Session {
  const isSignedIn = status === "signedIn";
  const next: Shown = {
    status,
    ...(isSignedIn && { user, live }),
    ...((isSignedIn || status === "pending") && { refreshing: Boolean(failures || auth?.isLoading) }),
    ...(error && status !== "loading" && { error }),
  };
  const before: Shown = session;
  const isSame = Object.keys({ ...before, ...next }).every((key) => before[key] === next[key]);
  return isSame ? session : (next as unknown as Session);
}

type Shown = { readonly [key: string]: unknown };
