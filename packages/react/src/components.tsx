import type { ReactNode } from "react";
import type { User, UsersyncError } from "@usersync/client";

import { useSession } from "./context";

interface Children {
  children?: ReactNode;
}

/** Shown while a user with a row is signed in. It stays through every refresh of the token. */
export function Authenticated({ children }: { children?: ReactNode | ((user: User) => ReactNode) }): ReactNode {
  const session = useSession();
  if (session.status !== "signedIn") return null;
  return typeof children === "function" ? children(session.user) : children;
}

/** Shown while no user is signed in. */
export function Unauthenticated({ children }: Children): ReactNode {
  return useSession().status === "signedOut" ? children : null;
}

/** Shown until it is known whether a user is signed in, and until their row exists (not that with `pending={false}`). */
export function AuthLoading({ children, pending = true }: Children & { pending?: boolean }): ReactNode {
  const { status } = useSession();
  return status === "loading" || (pending && status === "pending") ? children : null;
}

/** Shown, in addition to `<Authenticated>`, while a new token is being fetched or a new connection opened. */
export function AuthRefreshing({ children }: Children): ReactNode {
  const session = useSession();
  return session.status === "signedIn" && session.refreshing ? children : null;
}

/** Shown while the user has no row yet. */
export function UserPending({ children }: Children): ReactNode {
  return useSession().status === "pending" ? children : null;
}

/** Shown after the current user was deleted. */
export function UserDeleted({ children }: Children): ReactNode {
  return useSession().status === "deleted" ? children : null;
}

/** Shown when it cannot be determined whether a user is signed in. */
export function AuthFailed({ children }: { children: (error: UsersyncError) => ReactNode }): ReactNode {
  const session = useSession();
  return session.status === "failed" ? children(session.error) : null;
}
