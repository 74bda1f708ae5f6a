// Sign-in by any OpenID Connect provider, here that of `server/providers.js`.

import { AuthProvider, useAuth } from "react-oidc-context";
import { createUsersyncClient } from "@usersync/client";
import { UsersyncProviderWithOidc } from "@usersync/react";

import { App, show } from "./messages";

// The provider sends no webhooks, so users are stored from the claims of their tokens.
const client = createUsersyncClient({ url: "", store: "claims" });

function Page() {
  const { user, signinRedirect, removeUser } = useAuth();
  return (
    <UsersyncProviderWithOidc client={client} useAuth={useAuth}>
      <App
        signIn={<button onClick={() => void signinRedirect()}>Sign in</button>}
        signOut={() => void removeUser()}
        token={async () => user?.id_token}
      />
    </UsersyncProviderWithOidc>
  );
}

show(
  <AuthProvider
    authority={`${location.origin}/oidc`}
    client_id="messages"
    redirect_uri={`${location.origin}/oidc.html`}
    scope="openid profile"
    onSigninCallback={() => history.replaceState({}, "", location.pathname)}
  >
    <Page />
  </AuthProvider>,
);
