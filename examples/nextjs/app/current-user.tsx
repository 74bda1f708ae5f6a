"use client";

import { useState } from "react";
import type { ReactNode } from "react";
import { createUsersyncClient } from "@usersync/client";
import type { FetchToken, User } from "@usersync/client";
import { AuthLoading, Authenticated, Unauthenticated, UserDeleted, UsersyncProviderWithAuth } from "@usersync/react";

interface Props {
  /** Whose token there is; `null` if nobody is signed in. */
  subject: string | null;
  initialUser: User | null;
  signOut: () => Promise<void>;
  /** What is shown to nobody in particular: the sign-in. */
  children: ReactNode;
}

const fetchToken: FetchToken = async ({ signal }) => {
  const answer = await fetch("/api/token", { signal });
  if (!answer.ok) throw new Error(`/api/token answered ${answer.status}`);
  return ((await answer.json()) as { token: string | null }).token;
};

export function CurrentUser({ subject, initialUser, signOut, children }: Props) {
  const [client] = useState(() => createUsersyncClient({ url: "", store: { claimsAfterMs: 1000 } }));
  const useAuth = () => ({
    isLoading: false,
    isAuthenticated: subject !== null,
    sessionKey: subject,
    subject,
    fetchToken,
  });
  const leave = <button onClick={() => void signOut()}>Sign out</button>;
  return (
    <UsersyncProviderWithAuth client={client} useAuth={useAuth} initialUser={initialUser}>
      <AuthLoading>Loading…</AuthLoading>
      <Unauthenticated>{children}</Unauthenticated>
      <UserDeleted>Your account was deleted. {leave}</UserDeleted>
      <Authenticated>
        {(user) => (
          <p>
            Signed in as <strong>{user.name}</strong> {leave}
          </p>
        )}
      </Authenticated>
    </UsersyncProviderWithAuth>
  );
}
