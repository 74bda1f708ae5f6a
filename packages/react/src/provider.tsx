import { useEffect, useInsertionEffect, useLayoutEffect, useMemo, useRef } from "react";
import type { ReactNode } from "react";
import type { AuthInput, FetchToken, User, UsersyncClient } from "@usersync/client";

import { UsersyncContext, provide } from "./context";
import type { Provided } from "./context";

/** The properties of every provider. */
export interface ProviderProps {
  client: UsersyncClient;
  children?: ReactNode;
  /** The current user as the server has read them: shown at once, and confirmed in the background. */
  initialUser?: User | null;
}

/** For an app that calls `client.session.setAuth` itself. */
export function UsersyncProvider({ client, initialUser, children }: ProviderProps): ReactNode {
  const provided = useProvide(client, initialUser);
  return <UsersyncContext.Provider value={provided}>{children}</UsersyncContext.Provider>;
}

/** For any sign-in library: `useAuth` is a hook that returns the library's state. */
export function UsersyncProviderWithAuth(props: ProviderProps & { useAuth: () => AuthInput }): ReactNode {
  const { client, initialUser, children, useAuth } = props;
  const { isLoading, isAuthenticated, sessionKey, subject, fetchToken } = useAuth();
  // The server may have rendered a user who is not signed in any more.
  const isSomebodyElse = isAuthenticated && subject != null && subject !== initialUser?.externalId;
  const provided = useProvide(client, isSomebodyElse ? null : initialUser);

  // Libraries return a new function at every render. It is kept here; only the session's key counts.
  const latest = useRef<FetchToken>(fetchToken);
  useInsertionEffect(() => {
    latest.current = fetchToken;
  });

  useEffectBeforePaint(() => {
    clearTimeout(leaving.get(client));
    client.session.setAuth({
      isLoading,
      isAuthenticated,
      sessionKey,
      subject,
      fetchToken: (options) => latest.current(options),
    });
  }, [client, isLoading, isAuthenticated, sessionKey, subject]);

  useEffect(
    () => () => {
      // StrictMode unmounts the provider and mounts it again immediately: that is not a sign-out.
      leaving.set(client, setTimeout(() => client.session.setAuth(null)));
    },
    [client],
  );

  return <UsersyncContext.Provider value={provided}>{children}</UsersyncContext.Provider>;
}

const leaving = new WeakMap<UsersyncClient, ReturnType<typeof setTimeout>>();

// Before the browser paints, so that the previous user is never shown. A server has no effects, and warns of this one.
const useEffectBeforePaint = typeof window === "undefined" ? useEffect : useLayoutEffect;

function useProvide(client: UsersyncClient, initialUser: User | null | undefined): Provided {
  const { current: first } = useRef(initialUser);
  const isDropped = first != null && initialUser === null;
  return useMemo(() => provide(client, isDropped ? null : first), [client, first, isDropped]);
}
