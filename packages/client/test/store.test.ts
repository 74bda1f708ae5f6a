// The session as an app meets it: a fake clock, a service that answers as told, and a sign-in library.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

import { createUsersyncClient } from "../src";
import type { AuthInput, ClientOptions, FetchToken, UsersyncClient } from "../src";
import { FakeService, json, problem, settle, token, user } from "./support";

let service: FakeService;
let clients: UsersyncClient[];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T12:00:00Z") });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  service = new FakeService();
  clients = [];
});

afterEach(async () => {
  for (const client of clients) client.session.close();
  await settle();
  expect(vi.getTimerCount(), "a closed session keeps no timer").toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
});

function create(options: Partial<ClientOptions> = {}) {
  const client = createUsersyncClient({ url: "http://usersync.test", fetch: service.fetch, ...options });
  clients.push(client);
  const seen: string[] = [];
  client.session.subscribe(() => seen.push(describeSession(client)));
  return { client, seen, session: client.session };
}

function describeSession({ session }: UsersyncClient): string {
  const now = session.getSnapshot();
  const user = now.status === "signedIn" ? ` ${now.user.externalId}` : "";
  const error = "error" in now && now.error ? ` ${now.error.code}` : "";
  const more = "refreshing" in now && now.refreshing ? " refreshing" : "";
  return now.status + user + more + error;
}

function auth(sub: string, fetchToken: FetchToken = async () => token(sub), more: Partial<AuthInput> = {}): AuthInput {
  return { isLoading: false, isAuthenticated: true, sessionKey: sub, subject: sub, fetchToken, ...more };
}

async function signIn(session: UsersyncClient["session"], sub = "ada", fetchToken?: FetchToken) {
  session.setAuth(auth(sub, fetchToken));
  await settle();
  await service.stream.send("user", user(sub), "1");
}

test("a page load of a signed-in user is one token and one request", async () => {
  const fetchToken = vi.fn(async () => token("ada"));
  const { session, seen } = create();
  session.setAuth(auth("ada", fetchToken));
  await settle();
  await service.stream.send("user", user("ada"), "1");
  expect(session.getSnapshot()).toEqual({ status: "signedIn", user: user("ada"), refreshing: false, live: true });
  expect(service.requests).toEqual(["GET /v1/users/current/stream"]);
  expect(fetchToken.mock.calls.map(([it]: any) => it.forceRefresh)).toEqual([false]);
  expect(seen).toEqual(["signedIn ada"]);
});

test("a thousand renders with a new function each time are one token and no change", async () => {
  const { session, seen } = create();
  await signIn(session);
  const fetchToken = vi.fn(async () => token("ada"));
  for (let render = 0; render < 1000; render++) session.setAuth(auth("ada", async () => fetchToken()));
  await settle();
  expect(fetchToken).not.toHaveBeenCalled();
  expect(seen).toEqual(["signedIn ada"]);
  expect(service.requests).toHaveLength(1);
});

test("a token is replaced before it expires, by a stream that is opened before the other is closed", async () => {
  const fetchToken = vi.fn(async () => token("ada", 60));
  const { session, seen } = create();
  await signIn(session, "ada", fetchToken);
  const first = service.stream;
  await service.pass(52_000);
  expect(service.streams).toHaveLength(2);
  expect(first.isAborted()).toBe(true);
  expect(service.stream.token).not.toBe(first.token);
  expect(service.stream.lastEventId, "nothing is told twice").toBe("1");
  expect(fetchToken.mock.calls.map(([it]: any) => it.forceRefresh)).toEqual([false, true]);
  expect(seen, "no render").toEqual(["signedIn ada"]);
});

test("what the newest function gives is used, not that of the first render", async () => {
  const { session } = create();
  await signIn(session, "ada", async () => token("ada", 60));
  const newest = vi.fn(async () => token("ada", 60));
  session.setAuth(auth("ada", newest));
  await service.pass(52_000);
  expect(newest).toHaveBeenCalledTimes(1);
});

test("a token function that fails keeps the user, and is asked again with backoff", async () => {
  let isDown = false;
  const fetchToken = vi.fn(async () => {
    if (isDown) throw new TypeError("offline");
    return token("ada", 60);
  });
  const { session, seen } = create();
  await signIn(session, "ada", fetchToken);
  isDown = true;
  await service.pass(48_000);
  expect(seen.at(-1)).toBe("signedIn ada refreshing token_failed");
  const calls = fetchToken.mock.calls.length;
  await vi.advanceTimersByTimeAsync(3_100);
  expect(fetchToken.mock.calls.length).toBe(calls + 2);
  isDown = false;
  await vi.advanceTimersByTimeAsync(5_000);
  await settle();
  expect(seen.at(-1)).toBe("signedIn ada");
});

test("a service that is not there at the start is loading, and waking up helps at once", async () => {
  service.refusals.push(new TypeError("offline"), new TypeError("offline"));
  const { session } = create();
  session.setAuth(auth("ada"));
  await settle();
  expect(session.getSnapshot()).toEqual({ status: "loading" });
  session.retry();
  await settle();
  session.retry();
  await settle();
  await service.stream.send("user", user("ada"));
  expect(session.getSnapshot().status).toBe("signedIn");
});

test("a restarted service is connected to again within seconds, and the user stays", async () => {
  const { session, seen } = create();
  await signIn(session);
  service.stream.end();
  await settle();
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", live: false, refreshing: true });
  await vi.advanceTimersByTimeAsync(3_000);
  await settle();
  expect(service.streams).toHaveLength(2);
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", live: true, refreshing: false });
  expect(seen.every((one) => one.startsWith("signedIn ada"))).toBe(true);
});

test.each([
  ["429", () => problem(429, "too_many_requests", { "retry-after": "7" }), "GET /v1/users/current"],
  ["503", () => problem(503, "database_unavailable", { "retry-after": "7" }), undefined],
  ["502 of a proxy", () => new Response("<html>", { status: 502, headers: { "content-type": "text/html" } }), undefined],
])("%s never signs anybody out", async (_, refuse, instead) => {
  const { session } = create();
  await signIn(session);
  service.answer = () => json(user("ada"));
  service.refusals.push(refuse());
  service.stream.end();
  await vi.advanceTimersByTimeAsync(3_000);
  await settle();
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", user: user("ada") });
  if (instead) return expect(service.requests.at(-1)).toBe(instead);
  await vi.advanceTimersByTimeAsync(9_000);
  await settle();
  expect(session.getSnapshot()).toMatchObject({ live: true });
});

test("a refused token is replaced once and the question repeated", async () => {
  service.refusals.push(problem(401, "unauthenticated"));
  const fetchToken = vi.fn(async () => token("ada"));
  const { session } = create();
  await signIn(session, "ada", fetchToken);
  expect(fetchToken.mock.calls.map(([it]: any) => it.forceRefresh)).toEqual([false, true]);
  expect(session.getSnapshot().status).toBe("signedIn");
});

test("a token that is refused again and again is a failure, asked for no more than once a minute", async () => {
  service.fetch.mockImplementation(async () => problem(401, "unauthenticated"));
  const fetchToken = vi.fn(async () => token("ada"));
  const { session } = create();
  session.setAuth(auth("ada", fetchToken));
  await settle();
  expect(session.getSnapshot()).toMatchObject({ status: "failed", error: { code: "unauthenticated", status: 401 } });
  const calls = service.fetch.mock.calls.length;
  await vi.advanceTimersByTimeAsync(59_000);
  expect(service.fetch.mock.calls.length).toBe(calls);
});

test("the same unexpired token after a refusal is not asked with again", async () => {
  service.fetch.mockImplementation(async () => problem(401, "unauthenticated"));
  const same = token("ada");
  const { session } = create();
  session.setAuth(auth("ada", async () => same));
  await settle();
  expect(service.fetch).toHaveBeenCalledTimes(1);
  expect(session.getSnapshot().status).toBe("failed");
});

test("the same unexpired token at a refresh is used, and replaced when it is due again", async () => {
  const same = token("ada", 3600);
  const { session, seen } = create();
  await signIn(session, "ada", async () => same);
  await service.pass(3_588_000);
  expect(seen).toEqual(["signedIn ada"]);
});

test("a token without an expiry is used until it is refused", async () => {
  const { session } = create();
  await signIn(session, "ada", async () => "opaque");
  expect(session.getSnapshot().status).toBe("signedIn");
  expect(service.stream.token).toBe("opaque");
});

test("no token though somebody is signed in is tried twice, then told, then tried again", async () => {
  const fetchToken = vi.fn(async (): Promise<string | null> => null);
  const { session } = create();
  session.setAuth(auth("ada", fetchToken));
  await settle();
  expect(session.getSnapshot().status).toBe("loading");
  await vi.advanceTimersByTimeAsync(1_000);
  expect(session.getSnapshot()).toMatchObject({ status: "failed", error: { code: "no_token" } });
  fetchToken.mockResolvedValue(token("ada"));
  session.retry();
  await settle();
  await service.stream.send("user", user("ada"));
  expect(session.getSnapshot().status).toBe("signedIn");
});

test("signing out while a token is fetched ends everything", async () => {
  let give: (token: string) => void = () => {};
  let signal: AbortSignal | undefined;
  const { session } = create();
  session.setAuth(
    auth("ada", (options) => {
      signal = options.signal;
      return new Promise((resolve) => (give = resolve));
    }),
  );
  session.setAuth(null);
  expect(signal?.aborted).toBe(true);
  give(token("ada"));
  await settle();
  expect(session.getSnapshot()).toEqual({ status: "signedOut" });
  expect(service.requests).toEqual([]);
});

test("from one user to another, nothing of the first is shown after", async () => {
  const { session, seen } = create();
  await signIn(session);
  const first = service.stream;
  session.setAuth(auth("bob"));
  expect(session.getSnapshot()).toEqual({ status: "loading" });
  expect(first.isAborted()).toBe(true);
  await settle();
  expect(service.stream.lastEventId).toBeNull();
  await service.stream.send("user", user("bob"));
  expect(seen).toEqual(["signedIn ada", "loading", "signedIn bob"]);
});

test("another session of the same user, such as another organisation, keeps them on the screen", async () => {
  const { session, seen } = create();
  await signIn(session);
  session.setAuth(auth("ada", undefined, { sessionKey: "other-organisation" }));
  await settle();
  expect(service.streams).toHaveLength(2);
  expect(seen).toEqual(["signedIn ada"]);
});

test("a user without a row is pending until the row comes", async () => {
  const { session, seen } = create();
  session.setAuth(auth("ada"));
  await settle();
  await service.stream.send("pending", {}, "0");
  await service.stream.send("user", user("ada"), "1");
  expect(seen).toEqual(["pending", "signedIn ada"]);
});

test.each([
  ["at once", "claims", 0],
  ["after some time", { claimsAfterMs: 2000 }, 2000],
] as const)("a user without a row is stored from the claims %s", async (_, store, ms) => {
  service.answer = (request) => (request.method === "POST" ? json(user("ada"), 201) : problem(404, "not_found"));
  const { session } = create({ store });
  session.setAuth(auth("ada"));
  await settle();
  await service.stream.send("pending");
  await vi.advanceTimersByTimeAsync(ms);
  await settle();
  expect(service.requests).toEqual(["GET /v1/users/current/stream", "POST /v1/users/current"]);
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", live: true });
});

test("a deleted user is told to the app once, and nothing is asked any more", async () => {
  const onDeleted = vi.fn();
  const { session } = create({ onDeleted });
  await signIn(session);
  await service.stream.send("deleted");
  expect(session.getSnapshot()).toEqual({ status: "deleted" });
  session.retry();
  await vi.advanceTimersByTimeAsync(120_000);
  expect(onDeleted.mock.calls).toEqual([[{ sub: "ada" }]]);
  expect(service.requests).toHaveLength(1);
});

test("a deleted user who comes with a good token is deleted as well", async () => {
  service.refusals.push(problem(410, "user_deleted"));
  const { session } = create();
  session.setAuth(auth("ada"));
  await settle();
  expect(session.getSnapshot()).toEqual({ status: "deleted" });
});

test("a stream that dies without a word is noticed after forty seconds", async () => {
  const { session } = create();
  await signIn(session);
  await vi.advanceTimersByTimeAsync(30_000);
  await service.stream.raw(":\n\n");
  await vi.advanceTimersByTimeAsync(39_000);
  expect(service.streams).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(5_000);
  expect(service.streams).toHaveLength(2);
});

test("where nothing of a stream comes through, the user is asked for once a minute", async () => {
  service.isHeldBack = true;
  service.answer = () => json(user("ada"));
  const { session } = create();
  session.setAuth(auth("ada"));
  await settle();
  await vi.advanceTimersByTimeAsync(20_000);
  await settle();
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", live: false });
  await vi.advanceTimersByTimeAsync(120_000);
  expect(service.requests.filter((one) => one === "GET /v1/users/current")).toHaveLength(3);
  expect(service.streams).toHaveLength(1);
  // Ten minutes later the stream is tried again.
  service.isHeldBack = false;
  await service.pass(600_000);
  expect(service.streams).toHaveLength(2);
  expect(session.getSnapshot()).toMatchObject({ status: "signedIn", live: true });
});

test("a token is judged by the service's clock when the device's is ten minutes off", async () => {
  // The device is ten minutes ahead: by its clock every token of five minutes has expired.
  const behind = Date.now() - 600_000;
  service.answer = () => {
    const answer = json(user("ada"));
    answer.headers.set("date", new Date(Date.now() - 600_000).toUTCString());
    return answer;
  };
  const fetchToken = vi.fn(async () => token("ada", 300, behind + (Date.now() - (behind + 600_000))));
  const { client } = create({ fetchToken });
  await client.currentUser();
  fetchToken.mockClear();
  await client.currentUser();
  expect(fetchToken).not.toHaveBeenCalled();
});

describe("an answer that is not of usersync", () => {
  test.each([
    ["HTML", () => new Response("<html>", { headers: { "content-type": "text/html" } })],
    ["a 404 of somebody else", () => new Response("nothing here", { status: 404 })],
  ])("is a failure that says what to do: %s", async (_, answer) => {
    service.fetch.mockImplementation(async () => answer());
    const { session } = create();
    session.setAuth(auth("ada"));
    await settle();
    const snapshot = session.getSnapshot();
    expect(snapshot).toMatchObject({ status: "failed", error: { kind: "protocol", code: "unexpected_answer" } });
    expect(snapshot.status === "failed" && snapshot.error.detail).toContain("`url`");
  });

  test("in the middle of the stream keeps the user", async () => {
    const { session } = create();
    await signIn(session);
    await service.stream.raw("event: user\ndata: {half\n\n");
    expect(session.getSnapshot()).toMatchObject({ status: "signedIn", refreshing: true });
  });
});
