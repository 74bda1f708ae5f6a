// For scripts and backends, which wait for one user: loaded when it is used. A page follows `session` instead.

import { aborted, sleep } from "./clock";
import { pause } from "./error";
import type { UsersyncError } from "./error";
import type { RequestOptions } from "./http";
import type { SessionStore } from "./store";
import type { FetchToken, User, UserEvent } from "./types";

/** Requests the row again and again, until the user has one; `null` if none came in time. */
export async function waitFor(
  currentUser: (asked: RequestOptions) => Promise<User>,
  { timeoutSeconds = 60, signal }: { timeoutSeconds?: number; signal?: AbortSignal } = {},
): Promise<User | null> {
  const until = Date.now() + timeoutSeconds * 1000;
  do {
    try {
      return await currentUser({ wait: Math.min(20, Math.ceil((until - Date.now()) / 1000)), signal });
    } catch (cause) {
      const error = cause as UsersyncError;
      if (error.code !== "user_not_synced") throw error;
      // A service that is shutting down answers immediately: the next request reaches another one.
      await sleep(Math.min(pause(error, 1, Math.random()), until - Date.now()), signal);
    }
  } while (Date.now() < until);
  return null;
}

/** The changes of a separate session, which reconnects, refreshes the token and falls back like every session. */
export async function* follow(session: SessionStore, fetchToken: FetchToken, signal: AbortSignal): AsyncGenerator<UserEvent, void, void> {
  let wake = () => {};
  session.subscribe(() => wake());
  void aborted(signal).then(() => wake());
  try {
    session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "", fetchToken });
    for (let last: unknown; !signal.aborted; ) {
      const now = session.getSnapshot();
      const { status } = now;
      if (status === "failed") throw now.error;
      const current = status === "signedIn" ? now.user : status;
      if (status === "loading" || current === last) await new Promise<void>((resolve) => (wake = resolve));
      else yield status === "signedIn" ? { type: "user", user: now.user } : { type: status as "pending" | "deleted" };
      last = current;
      if (status === "deleted") return;
    }
  } finally {
    session.close();
  }
}
