// Sign-in by `usersync dev`: its issuer gives a token for anybody. No provider, no account.

import { useState, useSyncExternalStore } from "react";
import type { FormEvent } from "react";
import { createUsersyncClient } from "@usersync/client";
import { UsersyncProviderWithAuth } from "@usersync/react";

import { App, show } from "./messages";

// Who is signed in is kept like a sign-in library does: in the browser, for all of its windows.
const key = "signed-in-as";
const listeners = new Set<() => void>();
addEventListener("storage", () => listeners.forEach((listener) => listener()));

function setName(name: string | null) {
  if (name === null) localStorage.removeItem(key);
  else localStorage.setItem(key, name);
  listeners.forEach((listener) => listener());
}

function useName() {
  return useSyncExternalStore(
    (listener) => (listeners.add(listener), () => listeners.delete(listener)),
    () => localStorage.getItem(key),
  );
}

let cached: { name: string; token: string } | undefined;

async function getToken({ forceRefresh = false } = {}): Promise<string | null> {
  const name = localStorage.getItem(key);
  if (name === null) return null;
  if (cached?.name !== name || forceRefresh) {
    const body = JSON.stringify({ sub: subjectOf(name), claims: { name } });
    const answer = await fetch("/dev/token", { method: "POST", body });
    if (!answer.ok) throw new Error(`usersync dev answered ${answer.status}`);
    cached = { name, token: ((await answer.json()) as { token: string }).token };
  }
  return cached.token;
}

function subjectOf(name: string) {
  return `user_${name.toLowerCase().replaceAll(/\W+/g, "_")}`;
}

function useAuth() {
  const name = useName();
  const subject = name && subjectOf(name);
  return {
    isLoading: false,
    isAuthenticated: name !== null,
    sessionKey: subject,
    subject,
    fetchToken: getToken,
  };
}

function SignIn() {
  const [name, setDraft] = useState("Ada");
  const submit = (event: FormEvent) => {
    event.preventDefault();
    setName(name);
  };
  return (
    <form onSubmit={submit}>
      <input aria-label="Name" value={name} onChange={(event) => setDraft(event.target.value)} required />
      <button>Sign in</button>
    </form>
  );
}

// Without a webhook for a second, the user is stored from the token's claims.
const client = createUsersyncClient({ url: "", store: { claimsAfterMs: 1000 } });

show(
  <UsersyncProviderWithAuth client={client} useAuth={useAuth}>
    <App signIn={<SignIn />} signOut={() => setName(null)} token={getToken} />
  </UsersyncProviderWithAuth>,
);
