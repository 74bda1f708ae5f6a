// The sign-in libraries' own hooks fit their providers, and no other's. It is compiled, not run.
import { useAuth0 } from "@auth0/auth0-react";
import { useAuth as useOldClerk } from "@clerk/clerk-react";
import { useAuth as useClerk } from "@clerk/react";
import { createUsersyncClient } from "@usersync/client";
import {
  UsersyncProviderWithAuth,
  UsersyncProviderWithAuth0,
  UsersyncProviderWithAuthKit,
  UsersyncProviderWithBetterAuth,
  UsersyncProviderWithClerk,
  UsersyncProviderWithOidc,
} from "@usersync/react";
import { useAccessToken, useAuth as useAuthKitSession } from "@workos-inc/authkit-nextjs/components";
import { useAuth as useAuthKit } from "@workos-inc/authkit-react";
import { jwtClient } from "better-auth/client/plugins";
import { createAuthClient } from "better-auth/react";
import { useAuth as useOidc } from "react-oidc-context";

const client = createUsersyncClient({ url: "https://users.example.com" });
const betterAuth = createAuthClient({ plugins: [jwtClient()] });
const withoutPlugin = createAuthClient();

/** Unresolved imports would be `any`, which fits everything. */
type IsAny<T> = 0 extends 1 & T ? true : false;
function known<_ extends false>(): void {}
known<IsAny<ReturnType<typeof useClerk>>>();
known<IsAny<ReturnType<typeof useOldClerk>>>();
known<IsAny<ReturnType<typeof useAuth0>>>();
known<IsAny<ReturnType<typeof useAuthKit>>>();
known<IsAny<ReturnType<typeof useAuthKitSession>>>();
known<IsAny<ReturnType<typeof useAccessToken>>>();
known<IsAny<ReturnType<typeof useOidc>>>();
known<IsAny<typeof betterAuth>>();

export const clerk = (
  <>
    <UsersyncProviderWithClerk client={client} useAuth={useClerk} />
    <UsersyncProviderWithClerk client={client} useAuth={useOldClerk} template={null} />
    {/* @ts-expect-error This is Auth0's. */}
    <UsersyncProviderWithClerk client={client} useAuth={useAuth0} />
    {/* @ts-expect-error This is AuthKit's. */}
    <UsersyncProviderWithClerk client={client} useAuth={useAuthKit} />
    {/* @ts-expect-error This is react-oidc-context's. */}
    <UsersyncProviderWithClerk client={client} useAuth={useOidc} />
  </>
);

export const auth0 = (
  <>
    <UsersyncProviderWithAuth0 client={client} useAuth0={useAuth0} />
    <UsersyncProviderWithAuth0 client={client} useAuth0={useAuth0} token="access" audience="https://api.example.com" />
    {/* @ts-expect-error This is Clerk's. */}
    <UsersyncProviderWithAuth0 client={client} useAuth0={useClerk} />
    {/* @ts-expect-error This is react-oidc-context's. */}
    <UsersyncProviderWithAuth0 client={client} useAuth0={useOidc} />
    {/* @ts-expect-error There are two kinds of tokens. */}
    <UsersyncProviderWithAuth0 client={client} useAuth0={useAuth0} token="refresh" />
  </>
);

export const authKit = (
  <>
    <UsersyncProviderWithAuthKit client={client} useAuth={useAuthKit} />
    <UsersyncProviderWithAuthKit client={client} useAuth={useAuthKitSession} useAccessToken={useAccessToken} />
    {/* @ts-expect-error AuthKit for Next.js has the token in a hook of its own. */}
    <UsersyncProviderWithAuthKit client={client} useAuth={useAuthKitSession} />
    {/* @ts-expect-error This is Clerk's. */}
    <UsersyncProviderWithAuthKit client={client} useAuth={useClerk} />
    {/* @ts-expect-error This is react-oidc-context's. */}
    <UsersyncProviderWithAuthKit client={client} useAuth={useOidc} />
  </>
);

export const oidc = (
  <>
    <UsersyncProviderWithOidc client={client} useAuth={useOidc} />
    <UsersyncProviderWithOidc client={client} useAuth={useOidc} token="access" />
    {/* @ts-expect-error This is Clerk's. */}
    <UsersyncProviderWithOidc client={client} useAuth={useClerk} />
    {/* @ts-expect-error This is Auth0's. */}
    <UsersyncProviderWithOidc client={client} useAuth={useAuth0} />
  </>
);

export const better = (
  <>
    <UsersyncProviderWithBetterAuth client={client} authClient={betterAuth} />
    {/* @ts-expect-error Its plugin jwtClient() is missing. */}
    <UsersyncProviderWithBetterAuth client={client} authClient={withoutPlugin} />
    {/* @ts-expect-error This is a hook. */}
    <UsersyncProviderWithBetterAuth client={client} authClient={useAuth0} />
  </>
);

export const own = (
  <>
    {/* @ts-expect-error A library's hook says other things than `useAuth` here. */}
    <UsersyncProviderWithAuth client={client} useAuth={useClerk} />
  </>
);
