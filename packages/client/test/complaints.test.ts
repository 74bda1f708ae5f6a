// What people complain of with such clients, one test each, beyond those of store.test.ts.
import { afterEach, beforeEach, expect, test, vi } from "vitest";

import { createUsersyncClient } from "../src";
import type { AuthInput, ClientOptions, LogEvent, UsersyncClient } from "../src";
import { FakeService, base64url, json, problem, settle, token, user } from "./support";

/** A page that can be hidden, shown and put to sleep. */
class FakePage extends EventTarget {
  document = { hidden: false };
  show(isShown: boolean) {
    this.document.hidden = !isShown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** The channels of all tabs. */
const channels = new Set<FakeChannel>();
class FakeChannel {
  onmessage: ((event: { data: unknown }) => void) | null = null;
  constructor(readonly name: string) {
    channels.add(this);
  }
  postMessage(data: unknown) {
    for (const one of channels) if (one !== this && one.name === this.name) one.onmessage?.({ data });
  }
  close() {
    channels.delete(this);
  }
}

let service: FakeService;
let page: FakePage;
let clients: UsersyncClient[];

beforeEach(() => {
  vi.useFakeTimers({ now: new Date("2026-01-01T12:00:00Z") });
  vi.spyOn(Math, "random").mockReturnValue(0.5);
  service = new FakeService();
  page = new FakePage();
  clients = [];
  vi.stubGlobal("document", page.document);
  vi.stubGlobal("addEventListener", page.addEventListener.bind(page));
  vi.stubGlobal("removeEventListener", page.removeEventListener.bind(page));
  vi.stubGlobal("BroadcastChannel", FakeChannel);
});

afterEach(async () => {
  for (const client of clients) client.session.close();
  await settle();
  expect(vi.getTimerCount(), "a closed session keeps no timer").toBe(0);
  expect(channels.size, "nor a channel").toBe(0);
  vi.useRealTimers();
  vi.restoreAllMocks();
  vi.unstubAllGlobals();
});

function create(options: Partial<ClientOptions> = {}): UsersyncClient {
  const client = createUsersyncClient({ url: "http://usersync.test", fetch: service.fetch, ...options });
  clients.push(client);
  return client;
}

async function signIn(client: UsersyncClient, fetchToken: AuthInput["fetchToken"] = async () => token("ada")) {
  client.session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "a", subject: "ada", fetchToken });
  await settle();
  if (service.streams.length > 0) await service.stream.send("user", user("ada"), "1");
}

test("a laptop that slept for two hours gets a new token before anything else, and shows the user all the while", async () => {
  const client = create();
  const fetchToken = vi.fn(async () => token("ada", 3600));
  await signIn(client, fetchToken);
  const seen: unknown[] = [];
  client.session.subscribe(() => seen.push(client.session.getSnapshot().status));
  vi.setSystemTime(Date.now() + 2 * 3_600_000);
  page.show(true);
  await settle();
  expect(fetchToken).toHaveBeenCalledTimes(2);
  expect(fetchToken.mock.calls.at(-1)).toMatchObject([{ forceRefresh: true }]);
  expect(service.streams).toHaveLength(2);
  expect(service.stream.token).toBe(await fetchToken.mock.results[1]?.value);
  expect(seen.filter((status) => status !== "signedIn")).toEqual([]);
});

test.each(["visibilitychange", "pageshow", "focus", "online"])("the event %s helps at once after a failure", async (name) => {
  const client = create();
  await signIn(client);
  service.refusals.push(new TypeError("offline"));
  service.stream.fail();
  await vi.advanceTimersByTimeAsync(2_000);
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn", refreshing: true, error: { code: "network" } });
  page.dispatchEvent(new Event(name));
  await settle();
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn", refreshing: false, live: true });
});

test("a token that does not say when it was issued is replaced before it expires all the same", async () => {
  const exp = Date.now() / 1000 + 60;
  const fetchToken = vi.fn(async () => `x.${base64url({ sub: "ada", exp })}.x`);
  await signIn(create(), fetchToken);
  await service.pass(47_000);
  expect(fetchToken).toHaveBeenCalledTimes(1);
  await service.pass(1_000);
  expect(fetchToken).toHaveBeenCalledTimes(2);
});

test("a token that lives for four seconds is replaced after three, and no sooner", async () => {
  const fetchToken = vi.fn(async () => token("ada", 4));
  await signIn(create(), fetchToken);
  await service.pass(2_900);
  expect(fetchToken).toHaveBeenCalledTimes(1);
  await service.pass(9_200);
  expect(fetchToken).toHaveBeenCalledTimes(5);
});

test("a token that lives for a month is not replaced at once, as a timer of more than 2^31 ms would do", async () => {
  const fetchToken = vi.fn(async () => token("ada", 30 * 86_400));
  await signIn(create(), fetchToken);
  await service.pass(60_000);
  expect(fetchToken).toHaveBeenCalledTimes(1);
  expect(service.requests).toHaveLength(1);
});

test("a page that is shown while it connects does not connect once more", async () => {
  const client = create();
  client.session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "a", fetchToken: async () => token("ada") });
  await settle();
  service.fetch.mockImplementationOnce(
    (_, init) => new Promise((_, reject) => init?.signal?.addEventListener("abort", () => reject(init.signal?.reason))),
  );
  client.session.retry();
  await settle();
  const before = service.fetch.mock.calls.length;
  for (const name of ["pageshow", "focus", "visibilitychange"]) page.dispatchEvent(new Event(name));
  await settle();
  expect(service.fetch.mock.calls.length).toBe(before);
});

test("a page that is shown again while everything works asks nothing", async () => {
  const client = create();
  await signIn(client);
  page.show(false);
  await service.pass(15_000);
  page.show(true);
  await settle();
  expect(service.requests).toHaveLength(1);
});

test("a page that is hidden for long gives its connection back, keeps the user, and connects when it is shown", async () => {
  const client = create();
  await signIn(client);
  page.show(false);
  await service.pass(31_000);
  expect(service.stream.isAborted()).toBe(true);
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn", live: false });
  page.show(true);
  await settle();
  expect(service.streams).toHaveLength(2);
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn", live: true });
});

test("a user without a row is stored although the page is hidden meanwhile", async () => {
  service.answer = (request) => (request.method === "POST" ? json(user("ada"), 201) : problem(404, "not_found"));
  const client = create({ store: { claimsAfterMs: 60_000 } });
  client.session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "a", fetchToken: async () => token("ada") });
  await settle();
  await service.stream.send("pending");
  page.show(false);
  await service.pass(61_000);
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn" });
});

test("offline at the start is no sign-out, and the network's return is used at once", async () => {
  service.refusals.push(new TypeError("offline"));
  const client = create();
  await signIn(client);
  expect(client.session.getSnapshot()).toEqual({ status: "loading" });
  page.dispatchEvent(new Event("online"));
  await settle();
  await service.stream.send("user", user("ada"));
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn" });
});

test.each([-600_000, 600_000])("a clock that is %d ms off causes no second token", async (off) => {
  const fetchToken = vi.fn(async () => token("ada", 300, Date.now() - off));
  const client = create();
  // The first answer tells what time it is at the service.
  service.answer = () => {
    const answer = json(user("ada"));
    answer.headers.set("date", new Date(Date.now() - off).toUTCString());
    return answer;
  };
  await signIn(client, fetchToken);
  await client.currentUser();
  fetchToken.mockClear();
  for (let count = 0; count < 5; count++) await client.currentUser();
  expect(fetchToken).not.toHaveBeenCalled();
});

test("a deletion and a sign-out are told to the other tabs of the same user alone", async () => {
  const onDeleted = vi.fn();
  const [first, second] = [create(), create({ onDeleted })];
  await signIn(first);
  const fetchToken = vi.fn(async () => token("ada"));
  await signIn(second, fetchToken);
  first.session.setAuth(null);
  await settle();
  expect(fetchToken, "a tab asks its sign-in library again").toHaveBeenCalledTimes(2);
  expect(second.session.getSnapshot()).toMatchObject({ status: "signedIn" });

  await signIn(first);
  service.streams.at(-1)?.isAborted();
  await service.stream.send("deleted");
  expect(first.session.getSnapshot()).toEqual({ status: "deleted" });
  expect(second.session.getSnapshot()).toEqual({ status: "deleted" });
  expect(onDeleted).toHaveBeenCalledTimes(1);
});

test("a token that is none is refused with what to do, and asked for twice", async () => {
  service.fetch.mockImplementation(async () => problem(401, "invalid_auth_header"));
  const fetchToken = vi.fn(async () => "{not a token}");
  const client = create();
  await signIn(client, fetchToken);
  expect(client.session.getSnapshot()).toMatchObject({ status: "failed", error: { code: "invalid_auth_header", status: 401 } });
  expect(fetchToken).toHaveBeenCalledTimes(2);
});

test("a token that no rule fits is explained by its issuer and audience", async () => {
  service.fetch.mockImplementation(async () => problem(401, "no_auth_provider"));
  const claims = btoa(JSON.stringify({ iss: "https://issuer.example", aud: ["app"], sub: "ada" }));
  const client = create();
  await signIn(client, async () => `x.${claims}.x`);
  const snapshot = client.session.getSnapshot();
  expect(snapshot.status === "failed" && snapshot.error.detail).toContain("iss: https://issuer.example, aud: app");
});

test("a line without an end is a broken stream, and the user stays", async () => {
  const client = create();
  await signIn(client);
  await service.stream.raw(`data: ${"x".repeat((1 << 20) + 1)}`);
  await settle();
  expect(client.session.getSnapshot()).toMatchObject({
    status: "signedIn", refreshing: true, error: { kind: "protocol", code: "unexpected_answer" },
  });
});

test("no token is in a URL, a log event or an error", async () => {
  const log: LogEvent[] = [];
  const secret = token("ada");
  const client = create({ log: (event) => log.push(event), retries: 0 });
  const errors: unknown[] = [];
  const keep = (error: unknown) => void errors.push(error);
  await signIn(client, async () => secret);
  const answers = [problem(401, "no_auth_provider"), problem(503, "internal"), new Response("<html>")];
  for (const answer of answers) {
    service.answer = () => answer;
    await client.currentUser().catch(keep);
  }
  service.answer = () => Promise.reject(new TypeError("offline"));
  const asked = client.users(["a"]).catch(keep);
  await settle();
  await asked;
  expect(errors).toHaveLength(4);
  expect(log.map(({ status }) => status)).toEqual([200, 401, 503, 200, 0]);
  const said = JSON.stringify([log, service.requests, errors.map((error) => [error, String(error), (error as Error).stack])]);
  const [, payload = "", signature = ""] = secret.split(".");
  for (const part of [secret, payload, signature.length > 1 ? signature : payload]) expect(said).not.toContain(part);
});

test("a function of the app that throws at once is an error like any other", async () => {
  const client = create({
    fetch: () => {
      throw new TypeError("no fetch here");
    },
    retries: 0,
  });
  await signIn(client);
  expect(client.session.getSnapshot()).toEqual({ status: "loading" });
  await expect(client.currentUser()).rejects.toMatchObject({ code: "network" });
  let calls = 0;
  const fetchToken = () => {
    if (++calls === 1) throw new Error("no");
    return Promise.resolve(token("ada"));
  };
  const throwing = create({ fetchToken, retries: 0 });
  await expect(throwing.currentUser()).rejects.toMatchObject({ code: "token_failed" });
  // The next request calls it again.
  await throwing.currentUser().catch(() => {});
  expect(calls).toBe(2);
});

test("events tell of the user until they are deleted, and end with the signal", async () => {
  const client = create({ fetchToken: async () => token("ada") });
  const controller = new AbortController();
  const events: string[] = [];
  const reading = (async () => {
    for await (const event of client.events({ signal: controller.signal })) events.push(event.type);
  })();
  await vi.dynamicImportSettled();
  await settle();
  await service.stream.send("pending");
  await service.stream.send("user", user("ada"));
  await service.stream.send("user", user("ada"));
  await service.stream.send("user", user("ada", { name: "Ada" }));
  controller.abort();
  await reading;
  expect(events).toEqual(["pending", "user", "user"]);
});

test("the row is waited for with one request after another, until it comes or the time is over", async () => {
  const client = create({ fetchToken: async () => token("ada") });
  // The service waits as long as it is asked to; each third answer is of one that is shutting down.
  service.answer = async (request) => {
    const wait = Number(new URL(request.url).searchParams.get("wait"));
    if (service.requests.length % 3) await new Promise((resolve) => setTimeout(resolve, wait * 1000));
    return problem(404, "user_not_synced", { "retry-after": "1" });
  };
  const late = client.waitForCurrentUser({ timeoutSeconds: 50 });
  await vi.dynamicImportSettled();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(await late).toBeNull();
  expect(service.requests).toEqual([20, 20, 8, 7].map((wait) => `GET /v1/users/current?wait=${wait}`));

  service.answer = () => json(user("ada"));
  expect(await client.waitForCurrentUser()).toEqual(user("ada"));
  service.answer = () => problem(410, "user_deleted");
  await expect(client.waitForCurrentUser()).rejects.toMatchObject({ code: "user_deleted" });
});

test("a request for other users ends with the signal, and goes on for those who still wait", async () => {
  const client = create({ fetchToken: async () => token("ada") });
  let answer: (response: Response) => void = () => {};
  service.answer = () => new Promise((resolve) => (answer = resolve));
  const controller = new AbortController();
  const first = client.user("a", { signal: controller.signal }).catch((error: unknown) => error);
  const second = client.users(["b", "a", "a"]);
  await vi.advanceTimersByTimeAsync(1);
  controller.abort(new Error("not needed any more"));
  expect(await first).toMatchObject({ message: "not needed any more" });
  answer(json({ users: ["a", "b"].map((id) => ({ id, name: id, nickname: null, pictureUrl: null })) }));
  expect([...(await second).keys()].toSorted()).toEqual(["a", "b"]);
  expect(service.requests).toEqual(["GET /v1/users?ids=a,b"]);
});

test("where streams do not work, a page that is shown again asks for the user at once", async () => {
  service.answer = () => json(user("ada"));
  service.refusals.push(problem(429, "too_many_requests"));
  const client = create();
  await signIn(client);
  expect(client.session.getSnapshot()).toMatchObject({ status: "signedIn", live: false });
  page.show(true);
  await settle();
  expect(service.requests.filter((one) => one === "GET /v1/users/current")).toHaveLength(2);
});
