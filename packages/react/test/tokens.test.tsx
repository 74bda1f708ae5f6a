// Which of each library's failures mean that nobody is signed in, that it may work later, or that something is not set up.
import { expect, test, vi } from "vitest";

import { token } from "../../client/test/support";
import { auth0Token, authKitToken, betterAuthToken, clerkToken, oidcToken } from "../src/tokens";

const later = token("ada");
const expired = token("ada", -10);

const clerk = (getToken: (options?: any) => Promise<string | null>, sessionClaims: object | null = null) => ({
  isLoaded: true, isSignedIn: true, userId: "ada", sessionId: "s", orgId: null, orgRole: null, sessionClaims, getToken,
});

test("Clerk: the template is convex, unless the session's token has an audience or another one is named", async () => {
  const getToken = vi.fn(async () => later);
  await clerkToken(clerk(getToken), undefined, false);
  await clerkToken(clerk(getToken, { aud: "app" }), undefined, true);
  await clerkToken(clerk(getToken), "mine", false);
  await clerkToken(clerk(getToken), null, false);
  expect(getToken.mock.calls).toEqual([
    [{ template: "convex", skipCache: false }], [{ skipCache: true }],
    [{ template: "mine", skipCache: false }], [{ skipCache: false }],
  ]);
});

test("Clerk: nobody is signed in, no template, no network", async () => {
  expect(await clerkToken(clerk(async () => null), undefined, false)).toBeNull();
  const missing = clerk(() => Promise.reject(Object.assign(new Error(), { status: 404 })));
  await expect(clerkToken(missing, undefined, false)).rejects.toMatchObject({ code: "no_jwt_template", retryable: false });
  const offline = Object.assign(new Error("offline"), { code: "clerk_offline" });
  const cached = (old: string) => clerk(async (options) => (options.skipCache ? Promise.reject(offline) : old));
  expect(await clerkToken(cached(later), undefined, true)).toBe(later);
  await expect(clerkToken(cached(expired), undefined, true)).rejects.toBe(offline);
});

const auth0 = (ask: (options: any) => Promise<any>) => ({
  isLoading: false, isAuthenticated: true, user: { sub: "ada" }, getAccessTokenSilently: ask as any,
});

test("Auth0: an ID token in the cache that has expired is replaced, whatever the access token's life", async () => {
  const ask = vi.fn(async ({ cacheMode }) => ({ id_token: cacheMode === "on" ? expired : later, access_token: "a" }));
  expect(await auth0Token(auth0(ask), "id", undefined, false)).toBe(later);
  expect(ask.mock.calls.map(([it]: any) => it.cacheMode)).toEqual(["on", "off"]);
});

test("Auth0: access tokens are asked for with the audience", async () => {
  const ask = vi.fn(async () => ({ id_token: "i", access_token: later }));
  expect(await auth0Token(auth0(ask), "access", "https://api", true)).toBe(later);
  expect(ask).toHaveBeenCalledWith({
    detailedResponse: true, cacheMode: "off", authorizationParams: { audience: "https://api" },
  });
});

test.each(["login_required", "invalid_grant", "missing_refresh_token"])("Auth0: %s is signed out", async (error) => {
  expect(await auth0Token(auth0(() => Promise.reject({ error })), "id", undefined, false)).toBeNull();
});

test("Auth0: a timeout may pass", async () => {
  await expect(auth0Token(auth0(() => Promise.reject({ error: "timeout" })), "id", undefined, false)).rejects.toBeTruthy();
});

test("AuthKit: the session is over, or the network is", async () => {
  expect(await authKitToken(() => Promise.reject(new Error("No access token available")), false)).toBeNull();
  expect(await authKitToken(() => Promise.reject({ isTransient: false }), false)).toBeNull();
  await expect(authKitToken(() => Promise.reject({ isTransient: true }), false)).rejects.toBeTruthy();
  const get = vi.fn(async () => later);
  expect(await authKitToken(get, true)).toBe(later);
  expect(get).toHaveBeenCalledWith({ forceRefresh: true });
});

const oidc = (user: any, silent: () => Promise<any>) => ({
  isLoading: false, isAuthenticated: true, user, signinSilent: silent,
});

test("OIDC: a token in hand is used, an expired or refused one is replaced", async () => {
  const silent = vi.fn(async () => ({ id_token: later, access_token: "new" }));
  const user = { id_token: "i", access_token: "a", profile: { sub: "ada" } };
  expect(await oidcToken(oidc(user, silent), "id", false)).toBe("i");
  expect(await oidcToken(oidc(user, silent), "access", false)).toBe("a");
  expect(silent).not.toHaveBeenCalled();
  expect(await oidcToken(oidc({ ...user, expired: true }, silent), "id", false)).toBe(later);
  expect(await oidcToken(oidc(user, silent), "access", true)).toBe("new");
  expect(await oidcToken(oidc(null, silent), "id", false)).toBeNull();
});

test("OIDC: signed out, a timeout, no scope openid", async () => {
  const refused = Object.assign(new Error(), { name: "ErrorResponse", error: "login_required" });
  const user = { access_token: "a", profile: { sub: "ada" } };
  expect(await oidcToken(oidc(user, () => Promise.reject(refused)), "id", true)).toBeNull();
  const late = Object.assign(new Error(), { name: "ErrorTimeout" });
  await expect(oidcToken(oidc(user, () => Promise.reject(late)), "id", true)).rejects.toBe(late);
  await expect(oidcToken(oidc(user, async () => null), "id", false)).rejects.toMatchObject({ code: "no_id_token" });
});

test("better-auth: a token, signed out, away, no plugin", async () => {
  const client = (answer: any) => ({ useSession: () => ({ data: null, isPending: false }), token: async () => answer });
  expect(await betterAuthToken(client({ data: { token: later }, error: null }))).toBe(later);
  expect(await betterAuthToken(client({ data: null, error: { status: 401 } }))).toBeNull();
  await expect(betterAuthToken(client({ data: null, error: { status: 500 } }))).rejects.toThrow("500");
  await expect(betterAuthToken({ useSession: () => ({ data: null, isPending: false }) } as any)).rejects.toMatchObject({
    code: "no_jwt_plugin",
  });
});
