// How each library's token is fetched, and which of its failures mean that no user is signed in (`null`), that it may work
// later (a throw), or that something is not set up (a throw with the remedy).

import { UsersyncError } from "@usersync/client";
import { claimsOf } from "@usersync/client/internal";

import type { WhichToken } from "./adapters";
import type { Auth0UseAuth, AuthKitUseAuth, BetterAuthClient, ClerkUseAuth, OidcUseAuth } from "./vendors";

/** What the libraries' errors have in common; each has a few of these. */
interface VendorError {
  error?: unknown;
  name?: unknown;
  message?: unknown;
  status?: unknown;
  isTransient?: unknown;
}

/** OAuth's and Auth0's codes that mean that the session has ended. */
const signedOut = new Set<unknown>([
  "login_required",
  "consent_required",
  "interaction_required",
  "account_selection_required",
  "invalid_grant",
  "missing_refresh_token",
  "mfa_required",
  "access_denied",
]);

function setUp(code: string, detail: string, cause?: unknown): UsersyncError {
  return new UsersyncError("token", code, detail, { cause });
}

/** Whether a token expires within this number of milliseconds; `false` if it has no expiry. */
function endsWithin(token: string, ms: number): boolean {
  return Number(claimsOf(token).exp) * 1000 - Date.now() < ms;
}

export async function clerkToken(
  auth: ReturnType<ClerkUseAuth>,
  template: string | null | undefined,
  force: boolean,
): Promise<string | null> {
  const hasAudience = Boolean((auth.sessionClaims as { aud?: unknown } | null | undefined)?.aud);
  const name = template === undefined ? (hasAudience ? null : "convex") : template;
  const named = name === null ? {} : { template: name };
  try {
    return await auth.getToken({ ...named, skipCache: force });
  } catch (error) {
    if ((error as VendorError).status === 404) {
      const detail = `Clerk has no JWT template named "${name}". Make one, or name yours in the provider's \`template\`.`;
      throw setUp("no_jwt_template", detail, error);
    }
    // On a phone without a network the cached token is still valid.
    const cached = force ? await auth.getToken(named).catch(() => null) : null;
    if (cached !== null && !endsWithin(cached, 0)) return cached;
    throw error;
  }
}

export async function auth0Token(
  auth: ReturnType<Auth0UseAuth>,
  which: WhichToken,
  audience: string | undefined,
  force: boolean,
): Promise<string | null> {
  const authorizationParams = audience === undefined ? {} : { authorizationParams: { audience } };
  const ask = async (cacheMode: "on" | "off") => {
    const answer = await auth.getAccessTokenSilently({ detailedResponse: true, cacheMode, ...authorizationParams });
    return (which === "id" ? answer?.id_token : answer?.access_token) ?? null;
  };
  try {
    const token = await ask(force ? "off" : "on");
    // The cache lives as long as the access token; an ID token in it may have expired before.
    const isStale = !force && token !== null && endsWithin(token, 10_000);
    return isStale ? await ask("off") : token;
  } catch (error) {
    if (signedOut.has((error as VendorError).error)) return null;
    throw error;
  }
}

export async function authKitToken(
  getAccessToken: ReturnType<AuthKitUseAuth>["getAccessToken"],
  force: boolean,
): Promise<string | null> {
  try {
    return (await getAccessToken({ forceRefresh: force })) ?? null;
  } catch (error) {
    const { message, isTransient } = error as VendorError;
    // Its LoginRequiredError has no name of its own.
    const isLoginRequired = message === "No access token available" && isTransient === undefined;
    if (isLoginRequired || isTransient === false) return null;
    throw error;
  }
}

export async function oidcToken(
  auth: ReturnType<OidcUseAuth>,
  which: WhichToken,
  force: boolean,
): Promise<string | null> {
  let user: Pick<NonNullable<typeof auth.user>, "id_token" | "access_token" | "expired"> | null | undefined = auth.user;
  if (force || user?.expired) {
    try {
      user = await auth.signinSilent();
    } catch (error) {
      const { name, error: code } = error as VendorError;
      if (name === "ErrorResponse" && signedOut.has(code)) return null;
      throw error;
    }
  }
  if (!user) return null;
  if (which === "access") return user.access_token;
  if (user.id_token) return user.id_token;
  throw setUp("no_id_token", "The provider gave no ID token: request the scope `openid`, or set `token=\"access\"`.");
}

export async function betterAuthToken(client: BetterAuthClient): Promise<string | null> {
  if (typeof client.token !== "function") {
    throw setUp("no_jwt_plugin", "better-auth's client has no `token()`: add its `jwtClient()` plugin.");
  }
  const { data, error } = await client.token();
  if (!error) return data?.token ?? null;
  if (error.status === 401 || error.status === 403) return null;
  throw new Error(`better-auth answered ${error.status}`);
}
