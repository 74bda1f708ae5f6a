import { StrictMode, Suspense, act, useEffect, useState, version } from "react";
import type { ReactNode } from "react";
import { renderToString } from "react-dom/server";
import { cleanup, render, screen } from "@testing-library/react";
import { createUsersyncClient } from "@usersync/client";
import type { AuthInput, UsersyncClient } from "@usersync/client";
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { FakeService, json, settle, token, user } from "../../client/test/support";
import {
  AuthFailed,
  AuthLoading,
  AuthRefreshing,
  Authenticated,
  Unauthenticated,
  UserDeleted,
  UserPending,
  UsersyncProviderWithAuth,
  useCurrentUser,
  useCurrentUserOrThrow,
  useIdentity,
  useStoreUserEffect,
  useUser,
  useUsers,
  useUsersyncAuth,
} from "../src";

// What Testing Library does where the test functions are global.
Object.assign(globalThis, { IS_REACT_ACT_ENVIRONMENT: true });

let service: FakeService;
let client: UsersyncClient;

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T12:00:00Z") });
  service = new FakeService();
  client = createUsersyncClient({ url: "http://usersync.test", fetch: service.fetch });
});

afterEach(async () => {
  cleanup();
  client.session.close();
  await settle();
  vi.useRealTimers();
});

const signedIn = (sub: string, more: Partial<AuthInput> = {}): AuthInput => ({
  isLoading: false,
  isAuthenticated: true,
  sessionKey: sub,
  subject: sub,
  fetchToken: async () => token(sub, 60),
  ...more,
});
const nobody: AuthInput = { ...signedIn(""), isAuthenticated: false, sessionKey: null, subject: null };

/** An app whose sign-in library says what the test has it say. */
function start(children: ReactNode, first: AuthInput = signedIn("ada"), more: { initialUser?: ReturnType<typeof user> } = {}) {
  let say!: (auth: AuthInput) => void;
  const useAuth = () => {
    const [auth, setAuth] = useState(first);
    say = setAuth;
    // As some libraries do: a new function at every render.
    return { ...auth, fetchToken: (options: Parameters<AuthInput["fetchToken"]>[0]) => auth.fetchToken(options) };
  };
  render(
    <StrictMode>
      <UsersyncProviderWithAuth client={client} useAuth={useAuth} {...more}>
        {children}
      </UsersyncProviderWithAuth>
    </StrictMode>,
  );
  return (auth: AuthInput) => act(async () => say(auth));
}

const send = (event: string, data?: unknown, id?: string) => act(() => service.stream.send(event, data, id));
const wait = (ms = 0) => act(() => (ms ? service.pass(ms) : settle()));
const shown = () => document.body.textContent;

const everything = (
  <>
    <AuthLoading pending={false}>loading</AuthLoading>
    <Unauthenticated>signed out</Unauthenticated>
    <UserPending>pending</UserPending>
    <Authenticated>{(it) => `hello ${it.name}`}</Authenticated>
    <AuthRefreshing>, refreshing</AuthRefreshing>
    <UserDeleted>deleted</UserDeleted>
    <AuthFailed>{(error) => `failed: ${error.code}`}</AuthFailed>
  </>
);

test(`this is React ${process.env.REACT ?? "19"}`, () => {
  expect(version).toMatch(process.env.REACT === "18" ? /^18\.3/ : /^19\./);
});

test("each state has its component, and one token and one stream are enough for StrictMode", async () => {
  const fetchToken = vi.fn(async () => token("ada"));
  const say = start(everything, { ...nobody, isLoading: true });
  expect(shown()).toBe("loading");
  await say(nobody);
  expect(shown()).toBe("signed out");
  await say(signedIn("ada", { fetchToken }));
  await wait();
  expect(shown()).toBe("loading");
  await send("pending");
  expect(shown()).toBe("pending");
  await send("user", user("ada"));
  expect(shown()).toBe("hello ada");
  await act(async () => service.stream.end());
  expect(shown()).toBe("hello ada, refreshing");
  await wait(3000);
  expect(shown()).toBe("hello ada");
  await send("deleted");
  expect(shown()).toBe("deleted");
  await say(nobody);
  expect(shown()).toBe("signed out");
  expect(fetchToken).toHaveBeenCalledTimes(1);
  expect(service.streams).toHaveLength(2);
});

test("a refreshed token renders nothing, and what is inside <Authenticated> stays mounted", async () => {
  let renders = 0;
  let mounts = 0;
  function Inside() {
    renders += 1;
    useEffect(() => void (mounts += 1), []);
    return <p>{useCurrentUserOrThrow().name}</p>;
  }
  start(<Authenticated><Inside /></Authenticated>);
  await wait();
  await send("user", user("ada"), "1");
  const before = { renders, mounts };
  await wait(300_000);
  expect(service.streams.length).toBeGreaterThan(5);
  expect({ renders, mounts }).toEqual(before);
});

test("from one user to another, no render shows the first one after", async () => {
  const renders: string[] = [];
  function Name() {
    const session = useCurrentUser();
    renders.push(session.status === "signedIn" ? session.user.externalId : session.status);
    return null;
  }
  const say = start(<Name />);
  await wait();
  await send("user", user("ada"));
  await say(signedIn("bob"));
  await wait();
  await send("user", user("bob"));
  expect(renders.lastIndexOf("ada")).toBeLessThan(renders.indexOf("bob"));
  expect(renders.slice(renders.lastIndexOf("ada") + 1, renders.indexOf("bob"))).toContain("loading");
});

test("the user whom the server rendered is shown at once, in its HTML too, and confirmed", async () => {
  const initialUser = user("ada");
  const html = renderToString(
    <UsersyncProviderWithAuth client={client} initialUser={initialUser} useAuth={() => ({ ...nobody, isLoading: true })}>
      {everything}
    </UsersyncProviderWithAuth>,
  );
  expect(html).toContain("hello ada");
  start(everything, { ...nobody, isLoading: true }, { initialUser });
  expect(shown()).toBe("hello ada, refreshing");
  await wait();
  expect(shown()).toBe("hello ada, refreshing");
});

test("a user whom the server rendered is not shown to somebody else", async () => {
  const say = start(everything, { ...nobody, isLoading: true }, { initialUser: user("ada") });
  await say(signedIn("bob"));
  expect(shown()).toBe("loading");
  await say(nobody);
  expect(shown()).toBe("signed out");
});

test("isLoading, isAuthenticated and retry are there for code that comes from Convex", async () => {
  let auth!: ReturnType<typeof useUsersyncAuth>;
  function Auth() {
    auth = useUsersyncAuth();
    return null;
  }
  start(<Auth />);
  expect(auth).toMatchObject({ status: "loading", isLoading: true, isAuthenticated: false });
  await wait();
  await send("pending");
  expect(auth).toMatchObject({ status: "pending", isLoading: true, isAuthenticated: false });
  await send("user", user("ada"));
  expect(auth).toMatchObject({ isLoading: false, isAuthenticated: true, isRefreshing: false, error: undefined });
  auth.retry();
});

test("a user without a row is stored by useStoreUserEffect", async () => {
  service.answer = (request) => (request.method === "POST" ? json(user("ada"), 201) : json({}, 404));
  function Store() {
    const { isLoading, isAuthenticated, userId } = useStoreUserEffect();
    return <>{isLoading ? "loading" : isAuthenticated ? userId : "nobody"}</>;
  }
  start(<Store />);
  await wait();
  await send("pending");
  expect(shown()).toBe("loading");
  expect(service.requests).toContain("POST /v1/users/current");
  await send("user", user("ada"));
  expect(shown()).toBe("id-ada");
});

test("other users of a page are one request, and the identity is told", async () => {
  const people = ["b", "c", "d"].map((id) => ({ id, name: `name of ${id}`, nickname: null, pictureUrl: null }));
  service.answer = (request) => {
    const url = new URL(request.url);
    if (url.pathname === "/v1/identity") return json({ tokenIdentifier: "i|ada", subject: "ada", issuer: "i" });
    const ids = url.searchParams.get("ids")?.split(",") ?? [];
    return json({ users: people.filter((one) => ids.includes(one.id)) });
  };
  function Author({ id }: { id: string }) {
    const { user, isLoading } = useUser(id);
    return <li>{isLoading ? "…" : (user?.name ?? "nobody")}</li>;
  }
  function Page() {
    const others = useUsers(["c", "d"]);
    return <>{useIdentity()?.subject} {[...others.values()].map((one) => one.name).join()} <Author id="b" /><Author id="z" /></>;
  }
  start(<Page />);
  await wait();
  expect(shown()).toContain("…");
  await send("user", user("ada"));
  await wait(1);
  expect(shown()).toBe("ada name of c,name of d name of bnobody");
  expect(service.requests.filter((one) => one.includes("ids="))).toHaveLength(1);
});

test("suspense waits for the user", async () => {
  function Name() {
    return <>{useCurrentUser({ suspense: true }).name}</>;
  }
  start(<Suspense fallback="waiting"><Name /></Suspense>);
  await wait();
  expect(shown()).toContain("waiting");
  await send("user", user("ada"));
  await wait();
  expect(screen.getByText("ada")).toBeTruthy();
});

test("a hook without a provider says so", () => {
  const error = vi.spyOn(console, "error").mockImplementation(() => {});
  function Lost() {
    useCurrentUser();
    return null;
  }
  expect(() => render(<Lost />)).toThrow("There is no usersync provider");
  error.mockRestore();
});
