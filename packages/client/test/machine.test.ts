// The table of the session's states, one test a row: from, event, to, and what is to be done.
import { describe, expect, test } from "vitest";

import { UsersyncError } from "../src";
import { initial, transition } from "../src/machine";
import type { Auth, ClaimsAfter, Command, Event, State } from "../src/machine";
import { user } from "./support";

const auth = (more: Partial<Auth> = {}): Event => ({
  type: "auth",
  auth: { isLoading: false, isAuthenticated: true, sessionKey: "a", subject: null, ...more },
});
const loading = auth({ isLoading: true, isAuthenticated: false, sessionKey: null });
const nobody = auth({ isAuthenticated: false, sessionKey: null });
const ada = user("ada");
const outage = new UsersyncError({ kind: "network", code: "network", detail: "", retryable: true });
const refusal = new UsersyncError({ kind: "problem", code: "unauthenticated", detail: "", status: 401 });

function after(...events: Event[]): State {
  return run(events).state;
}

function run(events: Event[], claimsAfter?: ClaimsAfter): { state: State; commands: Command[] } {
  let state = initial;
  let commands: Command[] = [];
  for (const event of events) [state, commands] = transition(state, event, claimsAfter);
  return { state, commands };
}

const signedIn: Event[] = [
  auth(),
  { type: "token", subject: "ada", refreshIn: 60_000 },
  { type: "open", isLive: true },
  { type: "user", user: ada },
];
const live = { status: "signedIn", user: ada, refreshing: false, live: true };

describe("the sign-in library", () => {
  test("loading at first is loading", () => {
    expect(initial.session).toEqual({ status: "loading" });
    expect(after(loading).session).toEqual({ status: "loading" });
  });

  test("loading again keeps the user, and takes them away after ten seconds", () => {
    const { state, commands } = run([...signedIn, auth({ isLoading: true })]);
    expect(state.session).toMatchObject({ status: "signedIn", user: ada, refreshing: true });
    expect(commands).toEqual([{ do: "schedule", timer: "loading", ms: 10_000 }]);
    const late = run([...signedIn, auth({ isLoading: true }), { type: "timer", timer: "loading" }]);
    expect(late.state.session).toEqual({ status: "loading" });
    const back = run([...signedIn, auth({ isLoading: true }), { type: "timer", timer: "loading" }, auth()]);
    expect(back.commands).toContainEqual({ do: "connect", force: false });
    expect(transition(back.state, { type: "user", user: ada }, undefined)[0].session).toMatchObject({ user: ada });
  });

  test("loading again and back with the same session changes nothing", () => {
    const { state, commands } = run([...signedIn, auth({ isLoading: true }), auth()]);
    expect(state.session).toMatchObject({ status: "signedIn", user: ada, refreshing: false });
    expect(commands).toEqual([{ do: "cancel", timer: "loading" }]);
  });

  test.each([["loading", [loading]], ["pending", [auth(), { type: "pending" }]], ["signedIn", signedIn]] as const)(
    "nobody is signed in: from %s to signedOut, and everything ends",
    (_, events) => {
      const { state, commands } = run([...events, nobody]);
      expect(state.session).toEqual({ status: "signedOut" });
      expect(state.subject).toBeNull();
      expect(commands).toEqual([{ do: "disconnect", forget: true }]);
    },
  );

  test("signing in is loading, and gets one token and one stream", () => {
    const { state, commands } = run([nobody, auth()]);
    expect(state.session).toEqual({ status: "loading" });
    expect(commands).toEqual([
      { do: "disconnect", forget: true },
      { do: "connect", force: false },
    ]);
  });

  test("the same session again does nothing", () => {
    const { state, commands } = run([...signedIn, auth()]);
    expect(state.session).toEqual(live);
    expect(commands).toEqual([]);
  });

  test("another session of the same user keeps the user", () => {
    const { state, commands } = run([...signedIn, auth({ sessionKey: "b", subject: "ada" })]);
    expect(state.session).toEqual(live);
    expect(commands).toEqual([
      { do: "disconnect", forget: true },
      { do: "connect", force: false },
    ]);
  });

  test("another session of another user, or of nobody knows whom, drops the user at once", () => {
    expect(after(...signedIn, auth({ sessionKey: "b", subject: "bob" })).session).toEqual({ status: "loading" });
    expect(after(...signedIn, auth({ sessionKey: "b" })).session).toEqual({ status: "loading" });
  });
});

describe("the token", () => {
  test("of another user drops the user before anything is asked", () => {
    const { state } = run([...signedIn, { type: "token", subject: "bob", refreshIn: undefined }]);
    expect(state.session).toEqual({ status: "loading" });
  });

  test("of the same user changes nothing that is seen, and is replaced in time", () => {
    const before = after(...signedIn);
    const [state, commands] = transition(before, { type: "token", subject: "ada", refreshIn: 5000 }, undefined);
    expect(state.session).toBe(before.session);
    expect(commands).toEqual([{ do: "schedule", timer: "refresh", ms: 5000 }]);
    expect(transition(state, { type: "timer", timer: "refresh" }, undefined)[1]).toEqual([
      { do: "connect", force: true },
    ]);
  });

  test("missing is asked for once more after a second, then it is a failure that is tried again", () => {
    const first = run([auth(), { type: "noToken" }]);
    expect(first.state.session).toEqual({ status: "loading" });
    expect(first.commands).toEqual([{ do: "schedule", timer: "retry", ms: 1000 }]);
    const second = run([auth(), { type: "noToken" }, { type: "noToken" }]);
    expect(second.state.session).toMatchObject({ status: "failed", error: { code: "no_token" } });
    expect(second.commands).toMatchObject([{ do: "schedule", timer: "retry" }]);
  });

  test("that cannot be got keeps the user", () => {
    const { state, commands } = run([...signedIn, { type: "unavailable", error: outage, retryIn: 1000 }]);
    expect(state.session).toEqual({ ...live, live: false, refreshing: true, error: outage });
    expect(commands).toEqual([{ do: "schedule", timer: "retry", ms: 1000 }]);
    expect(run([auth(), { type: "unavailable", error: outage, retryIn: 1000 }]).state.session).toEqual({
      status: "loading",
    });
  });

  test("refused twice is a failure, but not for a user who was confirmed", () => {
    expect(after(auth(), { type: "refused", error: refusal }).session).toEqual({ status: "failed", error: refusal });
    const kept = run([...signedIn, { type: "refused", error: refusal }]);
    expect(kept.state.session).toMatchObject({ status: "signedIn", user: ada, refreshing: true, error: refusal });
    expect(kept.commands).toEqual([{ do: "schedule", timer: "retry", ms: 60_000 }]);
  });

  test("that no rule fits is a failure, whoever was there", () => {
    const error = new UsersyncError({ kind: "problem", code: "no_auth_provider", detail: "", status: 401 });
    expect(after(...signedIn, { type: "misconfigured", error }).session).toEqual({ status: "failed", error });
  });

  test("answered by something that is not usersync is a failure, but not for a user who was confirmed", () => {
    const error = new UsersyncError({ kind: "protocol", code: "unexpected_answer", detail: "" });
    expect(after(auth(), { type: "misconfigured", error }).session).toEqual({ status: "failed", error });
    expect(after(...signedIn, { type: "misconfigured", error }).session).toMatchObject({ user: ada, refreshing: true });
  });

  test("expired in the stream is replaced without anything that is seen", () => {
    const before = after(...signedIn);
    const [state, commands] = transition(before, { type: "expired" }, undefined);
    expect(state.session).toBe(before.session);
    expect(commands).toEqual([{ do: "connect", force: false }]);
  });
});

describe("the user", () => {
  test("is shown when the service tells of them", () => {
    expect(after(...signedIn).session).toEqual(live);
  });

  test("is the same object when nothing has changed", () => {
    const before = after(...signedIn);
    const again = transition(before, { type: "user", user: { ...ada } }, undefined)[0];
    expect(again.session).toBe(before.session);
    const renamed = transition(before, { type: "user", user: { ...ada, name: "Ada King" } }, undefined)[0];
    expect(renamed.session).toMatchObject({ status: "signedIn", user: { name: "Ada King" } });
  });

  test("who was gone from the network is settled by the stream that is open again", () => {
    const { state } = run([...signedIn, { type: "unavailable", error: outage, retryIn: 1 }, { type: "open", isLive: true }]);
    expect(state.session).toEqual(live);
    expect(state.failures).toBe(0);
  });

  test("without a row is pending, and waits", () => {
    const { state, commands } = run([auth(), { type: "pending" }]);
    expect(state.session).toEqual({ status: "pending", refreshing: false });
    expect(commands).toEqual([]);
  });

  test("without a row is stored from the claims, once", () => {
    expect(run([auth(), { type: "pending" }], 0).commands).toEqual([{ do: "store" }]);
    expect(run([auth(), { type: "pending" }, { type: "pending" }], 0).commands).toEqual([]);
  });

  test("without a row is stored from the claims after some time, if there is still no row", () => {
    const waiting = run([auth(), { type: "pending" }], 2000);
    expect(waiting.commands).toEqual([{ do: "schedule", timer: "claims", ms: 2000 }]);
    expect(transition(waiting.state, { type: "timer", timer: "claims" }, 2000)[1]).toEqual([{ do: "store" }]);
    const came = transition(waiting.state, { type: "user", user: ada }, 2000);
    expect(came[1]).toEqual([{ do: "cancel", timer: "claims" }]);
    expect(transition(came[0], { type: "timer", timer: "claims" }, 2000)[1]).toEqual([]);
  });

  test("who could not be stored is pending with the error, and is tried again if that may help", () => {
    const { state, commands } = run([auth(), { type: "pending" }, { type: "storeFailed", error: outage, retryIn: 9 }], 0);
    expect(state.session).toMatchObject({ status: "pending", error: outage });
    expect(commands).toEqual([{ do: "schedule", timer: "claims", ms: 9 }]);
    expect(run([auth(), { type: "pending" }, { type: "storeFailed", error: refusal, retryIn: 9 }], 0).commands).toEqual([]);
  });

  test("whose id begins a new life is pending, and the old user is dropped", () => {
    expect(after(...signedIn, { type: "pending" }).session).toEqual({ status: "pending", refreshing: false });
  });

  test("who was deleted stays deleted until there is another session", () => {
    const { state, commands } = run([...signedIn, { type: "deleted" }]);
    expect(state.session).toEqual({ status: "deleted" });
    expect(commands).toEqual([
      { do: "disconnect", forget: true },
      { do: "announceDeletion", subject: "ada" },
    ]);
    for (const event of [{ type: "user", user: ada }, { type: "wake" }, { type: "pending" }] as const) {
      expect(transition(state, event, undefined)).toEqual([state, []]);
    }
    expect(transition(state, auth(), undefined)[0].session).toEqual({ status: "deleted" });
    expect(transition(state, auth({ sessionKey: "b", subject: "ada" }), undefined)[0].session).toEqual({
      status: "loading",
    });
  });
});

describe("the page", () => {
  test("that wakes is looked after at once", () => {
    expect(run([...signedIn, { type: "wake" }]).commands).toEqual([
      { do: "cancel", timer: "retry" },
      { do: "connect", force: false },
    ]);
  });

  test("that is hidden gives its connection back and keeps the user", () => {
    const { state, commands } = run([...signedIn, { type: "hidden" }]);
    expect(state.session).toEqual({ ...live, live: false });
    expect(commands).toEqual([{ do: "disconnect", forget: false }]);
  });

  test("without anybody signed in does nothing at all", () => {
    for (const event of [{ type: "wake" }, { type: "user", user: ada }, { type: "timer", timer: "retry" }] as const) {
      expect(run([nobody, event])).toEqual({ state: after(nobody), commands: [] });
    }
  });
});
