// Sign-in by better-auth, whose server is in `server/providers.js`.

import { useState } from "react";
import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";
import { createUsersyncClient } from "@usersync/client";
import { UsersyncProviderWithBetterAuth } from "@usersync/react";

import { App, show } from "./messages";

const authClient = createAuthClient({ plugins: [jwtClient()] });

function SignIn() {
  const [problem, setProblem] = useState("");
  const submit = async (form: FormData) => {
    const [name, email, password] = ["name", "email", "password"].map((field) => String(form.get(field)));
    const known = await authClient.signIn.email({ email, password });
    const { error } = known.error ? await authClient.signUp.email({ name, email, password }) : known;
    setProblem(error?.message ?? "");
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void submit(new FormData(event.currentTarget));
      }}
    >
      <input name="name" aria-label="Name" placeholder="Ada Lovelace" required />
      <input name="email" aria-label="Email" type="email" placeholder="ada@example.com" required />
      <input name="password" aria-label="Password" type="password" minLength={8} required />
      <button>Sign in or up</button>
      {problem && <p role="alert">{problem}</p>}
    </form>
  );
}

const client = createUsersyncClient({ url: "" });

async function token() {
  const { data } = await authClient.token();
  return data?.token;
}

show(
  <UsersyncProviderWithBetterAuth client={client} authClient={authClient}>
    <App signIn={<SignIn />} signOut={() => void authClient.signOut()} token={token} />
  </UsersyncProviderWithBetterAuth>,
);
