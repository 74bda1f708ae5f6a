// What is needed of each sign-in library's hook, and nothing more. A test holds the real packages' hooks against these
// types. Optional members are written `?: T | undefined` for apps with `exactOptionalPropertyTypes`.

export type ClerkUseAuth = () => {
  readonly isLoaded: boolean;
  readonly isSignedIn: boolean | undefined;
  readonly userId: string | null | undefined;
  readonly sessionId: string | null | undefined;
  readonly orgId: string | null | undefined;
  readonly orgRole: string | null | undefined;
  readonly sessionClaims: object | null | undefined;
  readonly getToken: (options?: {
    template?: string;
    skipCache?: boolean;
    organizationId?: string;
  }) => Promise<string | null>;
};

interface Auth0Options {
  cacheMode?: "on" | "off" | "cache-only";
  authorizationParams?: { audience?: string; scope?: string };
}

export type Auth0UseAuth = () => {
  readonly isLoading: boolean;
  readonly isAuthenticated: boolean;
  readonly user?: { sub?: string | undefined } | undefined;
  readonly getAccessTokenSilently: {
    (
      options: Auth0Options & { detailedResponse: true },
    ): Promise<{ id_token: string; access_token: string; expires_in: number } | undefined>;
    (options?: Auth0Options): Promise<string | undefined>;
  };
};

export type AuthKitUseAuth = () => {
  readonly isLoading: boolean;
  readonly user: { id: string } | null;
  readonly organizationId?: string | null | undefined;
  readonly getAccessToken: (options?: { forceRefresh?: boolean }) => Promise<string | undefined>;
};

export type AuthKitSessionUseAuth = () => {
  readonly loading: boolean;
  readonly user: { id: string } | null;
  readonly sessionId: string | undefined;
};

export type AuthKitUseAccessToken = () => {
  readonly loading: boolean;
  readonly error: Error | null;
  readonly getAccessToken: () => Promise<string | undefined>;
  readonly refresh: () => Promise<string | undefined>;
};

export type OidcUseAuth = () => {
  readonly isLoading: boolean;
  readonly isAuthenticated: boolean;
  readonly user?:
    | { id_token?: string | undefined; access_token: string; expired?: boolean | undefined; profile: { sub: string } }
    | null
    | undefined;
  readonly signinSilent: () => Promise<{ id_token?: string | undefined; access_token: string } | null>;
};

export type BetterAuthClient = {
  useSession: () => {
    data: { session: { id: string }; user: { id: string } } | null;
    isPending: boolean;
  };
  token: () => Promise<{ data: { token: string } | null; error: { status: number } | null }>;
};
