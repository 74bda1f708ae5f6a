// The app: everything that does not depend on who signs people in.

import { StrictMode, useEffect, useState } from "react";
import type { FormEvent, ReactNode } from "react";
import { createRoot } from "react-dom/client";
import {
  AuthFailed,
  AuthLoading,
  Authenticated,
  Unauthenticated,
  UserDeleted,
  UserPending,
  useUsers,
} from "@usersync/react";
import type { User } from "@usersync/client";

interface Message {
  id: string;
  authorId: string;
  body: string;
}

interface AppProps {
  signIn: ReactNode;
  signOut: () => void;
  /** The token that the messages server is asked with. */
  token: () => Promise<string | null | undefined>;
}

export function App({ signIn, signOut, token }: AppProps) {
  const leave = <button onClick={signOut}>Sign out</button>;
  return (
    <main>
      <h1>Messages</h1>
      <AuthLoading pending={false}>Loading…</AuthLoading>
      <Unauthenticated>{signIn}</Unauthenticated>
      <UserPending>Welcome! Your account is being prepared… {leave}</UserPending>
      <UserDeleted>Your account was deleted. {leave}</UserDeleted>
      <AuthFailed>{(error) => <p role="alert">{error.detail} {leave}</p>}</AuthFailed>
      <Authenticated>
        {(user) => (
          <>
            <p>Signed in as <strong>{nameOf(user)}</strong> {leave}</p>
            <Messages token={token} />
          </>
        )}
      </Authenticated>
    </main>
  );
}

function Messages({ token }: Pick<AppProps, "token">) {
  const [messages, setMessages] = useState<Message[]>([]);
  const [body, setBody] = useState("");
  const [problem, setProblem] = useState("");
  const authors = useUsers(messages.map((message) => message.authorId));

  const ask = async (init?: RequestInit) => {
    try {
      const headers = { authorization: `Bearer ${await token()}`, "content-type": "application/json" };
      const answer = await fetch("/messages", { ...init, headers });
      const said = (await answer.json()) as Message[] & { detail: string };
      if (answer.ok) setMessages(said);
      setProblem(answer.ok ? "" : said.detail);
      return answer.ok;
    } catch {
      setProblem("The messages could not be reached.");
      return false;
    }
  };
  useEffect(() => {
    void ask();
  }, []);

  const send = async (event: FormEvent) => {
    event.preventDefault();
    if (await ask({ method: "POST", body: JSON.stringify({ body }) })) setBody("");
  };

  return (
    <>
      <ul>
        {messages.map(({ id, authorId, body }) => (
          <li key={id}>
            <strong>{nameOf(authors.get(authorId))}</strong>: {body}
          </li>
        ))}
      </ul>
      <form onSubmit={(event) => void send(event)}>
        <input aria-label="Message" value={body} onChange={(event) => setBody(event.target.value)} required />
        <button>Send</button>
      </form>
      {problem && <p role="alert">{problem}</p>}
    </>
  );
}

/** Somebody who was deleted is not among the users any more. */
function nameOf(user: Pick<User, "name" | "nickname"> | undefined) {
  return user ? (user.name ?? user.nickname ?? "Anonymous") : "Somebody";
}

export function show(page: ReactNode) {
  createRoot(document.getElementById("root")!).render(<StrictMode>{page}</StrictMode>);
}
