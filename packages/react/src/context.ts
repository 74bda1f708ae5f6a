import { createContext, useContext, useSyncExternalStore } from "react";
import type { Context } from "react";
import type { Session, User, UsersyncClient } from "@usersync/client";

/** The value that a provider passes down. */
export interface Provided {
  client: UsersyncClient;
  subscribe: (listener: () => void) => () => void;
  getSnapshot: () => Session;
  getServerSnapshot: () => Session;
}

// One context for all copies of this package, so that two of them do not make two contexts.
const key = Symbol.for("usersync.react.context");
const realm = globalThis as { [key]?: Context<Provided | null> };
export const UsersyncContext: Context<Provided | null> = (realm[key] ??= createContext<Provided | null>(null));

const loading: Session = { status: "loading" };

/**
 * The client's session, preceded by the user that the server has rendered, until the client has its own result: any answer
 * of the service, or no user signed in.
 */
export function provide(client: UsersyncClient, initialUser: User | null | undefined): Provided {
  const { subscribe, getSnapshot } = client.session;
  let initial: Session | undefined = initialUser
    ? { status: "signedIn", user: initialUser, refreshing: true, live: false }
    : undefined;
  const first = initial ?? loading;
  return {
    client,
    subscribe,
    getSnapshot: () => {
      const now = getSnapshot();
      if (now.status !== "loading") initial = undefined;
      return initial ?? now;
    },
    getServerSnapshot: () => first,
  };
}

export function useProvided(): Provided {
  const provided = useContext(UsersyncContext);
  if (!provided) throw new Error("There is no usersync provider above this component, such as <UsersyncProviderWithAuth>.");
  return provided;
}

/** The session: whether a user is signed in, and which. */
export function useSession(): Session {
  const { subscribe, getSnapshot, getServerSnapshot } = useProvided();
  return useSyncExternalStore(subscribe, getSnapshot, getServerSnapshot);
}
