import { useEffect, useMemo, useState } from "react";
import { isUsersyncError } from "@usersync/client";
import type { Identity, PublicUser, Session, User, UsersyncError } from "@usersync/client";

import { useProvided, useSession } from "./context";
import type { Provided } from "./context";

/** Whether a user with a row is signed in. */
export function useUsersyncAuth(): {
  status: Session["status"];
  isLoading: boolean;
  isAuthenticated: boolean;
  isRefreshing: boolean;
  error: UsersyncError | undefined;
  retry(): void;
} {
  const session = useSession();
  const { retry } = useProvided().client.session;
  return useMemo(() => {
    const { status } = session;
    return {
      status,
      isLoading: status === "loading" || status === "pending",
      isAuthenticated: status === "signedIn",
      isRefreshing: "refreshing" in session && session.refreshing,
      error: "error" in session ? session.error : undefined,
      retry,
    };
  }, [session, retry]);
}

/** The session: it has a `user` exactly when `status` is `signedIn`. With `suspense`, the user. */
export function useCurrentUser(options?: { suspense?: false }): Session;
export function useCurrentUser(options: { suspense: true }): User;
export function useCurrentUser(options?: { suspense?: boolean }): Session | User {
  const session = useSession();
  const provided = useProvided();
  if (!options?.suspense) return session;
  if (session.status === "signedIn") return session.user;
  if (session.status === "loading" || session.status === "pending") throw nextSession(provided, session);
  throw session.status === "failed" ? session.error : nobody(session.status);
}

/** The user, inside `<Authenticated>`. */
export function useCurrentUserOrThrow(): User {
  const session = useSession();
  if (session.status === "signedIn") return session.user;
  throw nobody(session.status);
}

function nobody(status: Session["status"]): Error {
  return new Error(`There is no current user: the session is ${status}. Use this hook inside <Authenticated>.`);
}

/** React waits for a promise that is thrown. It must be the same one until it ends. */
const waiting = new WeakMap<Session, Promise<void>>();

function nextSession({ subscribe, getSnapshot }: Provided, session: Session): Promise<void> {
  let promise = waiting.get(session);
  if (!promise) {
    promise = new Promise((resolve) => {
      const stop = subscribe(() => {
        if (getSnapshot() === session) return;
        stop();
        resolve();
      });
    });
    waiting.set(session, promise);
  }
  return promise;
}

/** Stores the user from the token's claims as soon as it is known that there is no row. */
export function useStoreUserEffect(): {
  isLoading: boolean;
  isAuthenticated: boolean;
  userId: string | null;
  error: UsersyncError | undefined;
} {
  const session = useSession();
  const { client } = useProvided();
  const [failure, setFailure] = useState<UsersyncError>();
  const isPending = session.status === "pending";
  useEffect(() => {
    if (!isPending) return;
    const controller = new AbortController();
    // The stream delivers the row; doing it twice is harmless.
    client.storeCurrentUser({ signal: controller.signal }).catch((error: unknown) => {
      if (!controller.signal.aborted && isUsersyncError(error)) setFailure(error);
    });
    return () => {
      controller.abort();
      setFailure(undefined);
    };
  }, [client, isPending]);
  const error = failure ?? ("error" in session ? session.error : undefined);
  return {
    isLoading: !error && (session.status === "loading" || isPending),
    isAuthenticated: session.status === "signedIn",
    userId: session.status === "signedIn" ? session.user.id : null,
    error,
  };
}

/** Another user; `undefined` until it is known, `null` if there is none. Those on one page are one request. */
export function useUser(id: string | null | undefined): { user: PublicUser | null | undefined; isLoading: boolean } {
  const answer = useAnswer(`user ${id}`, (client, signal) => (id ? client.user(id, { signal }) : Promise.resolve(null)));
  return { user: id ? answer : null, isLoading: Boolean(id) && answer === undefined };
}

const noUsers: ReadonlyMap<string, PublicUser> = new Map();

/** Other users by id, as far as they are known. */
export function useUsers(ids: readonly string[]): ReadonlyMap<string, PublicUser> {
  return useAnswer(`users ${ids.join()}`, (client, signal) => client.users(ids, { signal })) ?? noUsers;
}

/** The content of the token; `undefined` until it is known. */
export function useIdentity(): Identity | undefined {
  return useAnswer("identity", (client, signal) => client.identity({ signal }));
}

/** Sends one request for each query and signed-in user, and keeps the answer until either changes. */
function useAnswer<T>(
  question: string,
  ask: (client: Provided["client"], signal: AbortSignal) => Promise<T>,
): T | undefined {
  const session = useSession();
  const { client } = useProvided();
  const whose = session.status === "signedIn" ? session.user.id : null;
  const key = `${whose} ${question}`;
  const [answer, setAnswer] = useState<{ key: string; value: T }>();
  useEffect(() => {
    if (whose === null) return;
    const controller = new AbortController();
    const keep = (value: T) => {
      if (!controller.signal.aborted) setAnswer({ key, value });
    };
    // The client has already repeated temporary failures; after any other failure the answer is not known.
    ask(client, controller.signal).then(keep, () => {});
    return () => controller.abort();
    // The function is a new one at every render; the query key identifies the request.
  }, [client, key]);
  return answer?.key === key ? answer.value : undefined;
}
