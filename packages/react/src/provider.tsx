import { useEffect, useInsertionEffect, useLayoutEffect, useMemo, useRef } from "react";
import type { ReactNode } from "react";
import type { AuthInput, FetchToken, User, UsersyncClient } from "@usersync/client";

import { UsersyncContext, provide } from "./context";
import type { Provided } from "./context";

/** What every provider takes. */
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

/** For any sign-in library: `useAuth` is a hook that says what the library knows. */
export function UsersyncProviderWithAuth(props: ProviderProps & { useAuth: () => AuthInput }): ReactNode {
  const { client, initialUser, children, useAuth } = props;
  const { isLoading, isAuthenticated, sessionKey, subject, fetchToken } = useAuth();
  // The server may have rendered somebody who is not signed in any more.
  const isSomebodyElse = isAuthenticated && subject != null && subject !== initialUser?.externalId;
  const provided = useProvide(client, isSomebodyElse ? null : initialUser);

  // Libraries give a new function at every render. It is kept here, and only what names the session counts.
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
      // StrictMode takes the provider away and puts it back at once: that is no sign-out.
      leaving.set(client, setTimeout(() => client.session.setAuth(null)));
    },
    [client],
  );

  return <UsersyncContext.Provider value={provided}>{children}</UsersyncContext.Provider>;
}

const leaving = new WeakMap<UsersyncClient, ReturnType<typeof setTimeout>>();

// Before the browser paints, so that nobody sees the user before them. A server has no effects, and warns of this one.
const useEffectBeforePaint = typeof window === "undefined" ? useEffect : useLayoutEffect;

function useProvide(client: UsersyncClient, initialUser: User | null | undefined): Provided {
  const { current: first } = useRef(initialUser);
  const isDropped = first != null && initialUser === null;
  return useMemo(() => provide(client, isDropped ? null : first), [client, first, isDropped]);
}
