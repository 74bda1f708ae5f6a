// One provider for each sign-in library. Their types are structural, so that nothing of a vendor is a dependency:
// only what is needed of a hook's answer is named.

import type { ReactNode } from "react";
import type { AuthInput } from "@usersync/client";

import { UsersyncProviderWithAuth } from "./provider";
import type { ProviderProps } from "./provider";
import { auth0Token, authKitToken, betterAuthToken, clerkToken, oidcToken } from "./tokens";
import type {
  Auth0UseAuth,
  AuthKitSessionUseAuth,
  AuthKitUseAccessToken,
  AuthKitUseAuth,
  BetterAuthClient,
  ClerkUseAuth,
  OidcUseAuth,
} from "./vendors";

/** Which of a provider's tokens is sent: the ID token, or the access token for an API. */
export type WhichToken = "id" | "access";

/**
 * `useAuth` of `@clerk/react`, `@clerk/nextjs`, `@clerk/expo` and their like. `template` names a JWT template;
 * left out, it is `convex`, unless the session's own token has an audience; `null` is the session's own token.
 */
export function UsersyncProviderWithClerk(
  props: ProviderProps & { useAuth: ClerkUseAuth; template?: string | null },
): ReactNode {
  const { useAuth, template, ...rest } = props;
  const useInput = (): AuthInput => {
    const auth = useAuth();
    return {
      isLoading: !auth.isLoaded,
      isAuthenticated: auth.isLoaded && auth.isSignedIn === true,
      sessionKey: [auth.sessionId, auth.orgId, auth.orgRole].join(":"),
      subject: auth.userId,
      fetchToken: ({ forceRefresh }) => clerkToken(auth, template, forceRefresh),
    };
  };
  return <UsersyncProviderWithAuth {...rest} useAuth={useInput} />;
}

/** `useAuth0` of `@auth0/auth0-react`. `token="access"` with the API's `audience` sends access tokens. */
export function UsersyncProviderWithAuth0(
  props: ProviderProps & { useAuth0: Auth0UseAuth; token?: WhichToken; audience?: string },
): ReactNode {
  const { useAuth0, token = "id", audience, ...rest } = props;
  const useInput = (): AuthInput => {
    const auth = useAuth0();
    const subject = auth.user?.sub ?? null;
    return {
      isLoading: auth.isLoading,
      isAuthenticated: auth.isAuthenticated,
      sessionKey: subject,
      subject,
      fetchToken: ({ forceRefresh }) => auth0Token(auth, token, audience, forceRefresh),
    };
  };
  return <UsersyncProviderWithAuth {...rest} useAuth={useInput} />;
}

type AuthKitProps =
  | { useAuth: AuthKitUseAuth; useAccessToken?: undefined }
  | { useAuth: AuthKitSessionUseAuth; useAccessToken: AuthKitUseAccessToken };

/** `useAuth` of `@workos-inc/authkit-react`; or `useAuth` and `useAccessToken` of AuthKit for Next.js or TanStack. */
export function UsersyncProviderWithAuthKit(props: ProviderProps & AuthKitProps): ReactNode {
  const { client, children, initialUser } = props;
  const rest = { client, children, initialUser: initialUser ?? null };
  const useInput = props.useAccessToken
    ? (): AuthInput => {
        const { loading, user, sessionId } = props.useAuth();
        const { getAccessToken, refresh } = props.useAccessToken();
        return {
          isLoading: loading,
          isAuthenticated: user !== null,
          sessionKey: sessionId ?? null,
          subject: user?.id,
          fetchToken: async ({ forceRefresh }) => (forceRefresh ? refresh() : getAccessToken()),
        };
      }
    : (): AuthInput => {
        const { isLoading, user, organizationId, getAccessToken } = props.useAuth();
        return {
          isLoading,
          isAuthenticated: user !== null,
          sessionKey: user && `${user.id}:${organizationId ?? ""}`,
          subject: user?.id,
          fetchToken: ({ forceRefresh }) => authKitToken(getAccessToken, forceRefresh),
        };
      };
  return <UsersyncProviderWithAuth {...rest} useAuth={useInput} />;
}

/** `useAuth` of `react-oidc-context`. */
export function UsersyncProviderWithOidc(
  props: ProviderProps & { useAuth: OidcUseAuth; token?: WhichToken },
): ReactNode {
  const { useAuth, token = "id", ...rest } = props;
  const useInput = (): AuthInput => {
    const auth = useAuth();
    const subject = auth.user?.profile.sub ?? null;
    return {
      isLoading: auth.isLoading,
      isAuthenticated: auth.isAuthenticated,
      sessionKey: subject,
      subject,
      fetchToken: ({ forceRefresh }) => oidcToken(auth, token, forceRefresh),
    };
  };
  return <UsersyncProviderWithAuth {...rest} useAuth={useInput} />;
}

/** The client of better-auth, with its `jwtClient()` plugin. */
export function UsersyncProviderWithBetterAuth(props: ProviderProps & { authClient: BetterAuthClient }): ReactNode {
  const { authClient, ...rest } = props;
  const useInput = (): AuthInput => {
    const { data, isPending } = authClient.useSession();
    return {
      isLoading: isPending,
      isAuthenticated: data !== null,
      sessionKey: data?.session.id ?? null,
      subject: data?.user.id,
      fetchToken: () => betterAuthToken(authClient),
    };
  };
  return <UsersyncProviderWithAuth {...rest} useAuth={useInput} />;
}
