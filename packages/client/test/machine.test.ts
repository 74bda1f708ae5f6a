// The table of the session's states, one test a row: from, event, to, and what is to be done.
import { describe, expect, test } from "vitest";

import { UsersyncError } from "../src";
import { initial, transition } from "../src/machine";
import type { Auth, Command, Event, State } from "../src/machine";
import { user } from "./support";

const auth = (more: Partial<Auth> = {}): Event => [
  "auth",
  { isLoading: false, isAuthenticated: true, sessionKey: "a", subject: null, ...more },
];
const loading = auth({ isLoading: true, isAuthenticated: false, sessionKey: null });
const nobody = auth({ isAuthenticated: false, sessionKey: null });
const ada = user("ada");
const outage = new UsersyncError("network", "network", "", { retryable: true });
const noToken = new UsersyncError("token", "no_token", "");
const refusal = new UsersyncError("problem", "unauthenticated", "", { status: 401 });

function after(...events: Event[]): State {
  return run(events).state;
}

function run(events: Event[]): { state: State; commands: Command[] } {
  let state = initial;
  let commands: Command[] = [];
  for (const event of events) [state, commands] = transition(state, event);
  return { state, commands };
}

const signedIn: Event[] = [
  auth(),
  ["token", "ada", 60_000],
  ["open"],
  ["user", ada],
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
    expect(commands).toEqual([["schedule", "loading", 10_000]]);
    const late = run([...signedIn, auth({ isLoading: true }), ["timer", "loading"]]);
    expect(late.state.session).toEqual({ status: "loading" });
    expect(late.commands).toEqual([["disconnect", true]]);
    expect(transition(late.state, ["user", ada])[0].session, "only the library can bring the user back").toEqual({ status: "loading" });
    const still = run([...signedIn, auth({ isLoading: true }), ["timer", "loading"], auth({ isLoading: true })]);
    expect([still.state.session, still.commands]).toEqual([{ status: "loading" }, []]);
    const back = run([...signedIn, auth({ isLoading: true }), ["timer", "loading"], auth()]);
    expect(back.commands).toContainEqual(["connect"]);
    expect(transition(back.state, ["user", ada])[0].session).toMatchObject({ user: ada });
  });

  test("loading again and back with the same session changes nothing", () => {
    const { state, commands } = run([...signedIn, auth({ isLoading: true }), auth()]);
    expect(state.session).toMatchObject({ status: "signedIn", user: ada, refreshing: false });
    expect(commands).toEqual([["schedule", "loading"]]);
  });

  test.each([["loading", [loading]], ["pending", [auth(), ["pending"]]], ["signedIn", signedIn]] as [string, Event[]][])(
    "nobody is signed in: from %s to signedOut, and everything ends",
    (_, events) => {
      const { state, commands } = run([...events, nobody]);
      expect(state.session).toEqual({ status: "signedOut" });
      expect(state.subject).toBeNull();
      expect(commands).toEqual([["disconnect", true]]);
    },
  );

  test("signing in is loading, and gets one token and one stream", () => {
    const { state, commands } = run([nobody, auth()]);
    expect(state.session).toEqual({ status: "loading" });
    expect(commands).toEqual([
      ["disconnect", true],
      ["connect"],
    ]);
  });

  test("the same session again changes nothing", () => {
    const { state, commands } = run([...signedIn, auth()]);
    expect(state.session).toEqual(live);
    expect(commands).toEqual([["schedule", "loading"]]);
  });

  test("another session of the same user keeps the user", () => {
    const { state, commands } = run([...signedIn, auth({ sessionKey: "b", subject: "ada" })]);
    expect(state.session).toEqual(live);
    expect(commands).toEqual([
      ["disconnect", true],
      ["connect"],
    ]);
  });

  test("another session of another user, or of nobody knows whom, drops the user at once", () => {
    expect(after(...signedIn, auth({ sessionKey: "b", subject: "bob" })).session).toEqual({ status: "loading" });
    expect(after(...signedIn, auth({ sessionKey: "b" })).session).toEqual({ status: "loading" });
  });
});

describe("the token", () => {
  test("of another user drops the user before anything is asked", () => {
    const { state } = run([...signedIn, ["token", "bob", NaN]]);
    expect(state.session).toEqual({ status: "loading" });
  });

  test("of the same user changes nothing that is seen, and is replaced in time", () => {
    const before = after(...signedIn);
    const [state, commands] = transition(before, ["token", "ada", 5000]);
    expect(state.session).toBe(before.session);
    expect(commands).toEqual([["schedule", "refresh", 5000]]);
    expect(transition(state, ["timer", "refresh"])[1]).toEqual([
      ["connect"],
    ]);
  });

  test("missing is asked for once more after a second, then it is a failure that is tried again", () => {
    const first = run([auth(), ["failed", 0.5, noToken]]);
    expect(first.state.session).toEqual({ status: "loading" });
    expect(first.commands).toEqual([["schedule", "retry", 1000]]);
    const second = run([auth(), ["failed", 0.5, noToken], ["failed", 0.5, noToken]]);
    expect(second.state.session).toMatchObject({ status: "failed", error: { code: "no_token" } });
    expect(second.commands).toEqual([["schedule", "retry", 60_000]]);
  });

  test("that cannot be got keeps the user", () => {
    const { state, commands } = run([...signedIn, ["failed", 0.5, outage]]);
    expect(state.session).toEqual({ ...live, live: false, refreshing: true, error: outage });
    expect(commands).toEqual([["schedule", "retry", 1000]]);
    expect(run([auth(), ["failed", 0.5, outage]]).state.session).toEqual({
      status: "loading",
    });
  });

  test("refused twice is a failure, but not for a user who was confirmed", () => {
    expect(after(auth(), ["failed", 0.5, refusal]).session).toEqual({ status: "failed", error: refusal });
    const kept = run([...signedIn, ["failed", 0.5, refusal]]);
    expect(kept.state.session).toMatchObject({ status: "signedIn", user: ada, refreshing: true, error: refusal });
    expect(kept.commands).toEqual([["schedule", "retry", 60_000]]);
  });

  test("that no rule fits is a failure, whoever was there", () => {
    const error = new UsersyncError("problem", "no_auth_provider", "", { status: 401 });
    expect(after(...signedIn, ["failed", 0.5, error]).session).toEqual({ status: "failed", error });
  });

  test("answered by something that is not usersync is a failure, but not for a user who was confirmed", () => {
    const error = new UsersyncError("protocol", "unexpected_answer", "");
    expect(after(auth(), ["failed", 0.5, error]).session).toEqual({ status: "failed", error });
    expect(after(...signedIn, ["failed", 0.5, error]).session).toMatchObject({ user: ada, refreshing: true });
  });

  test("that expires at any moment is asked for again, but not in a loop", () => {
    expect(run([auth(), ["token", "ada", -5]]).commands).toEqual([["schedule", "refresh", 1000]]);
  });

  test("expired in the stream is replaced without anything that is seen", () => {
    const before = after(...signedIn);
    const [state, commands] = transition(before, ["wake"]);
    expect(state.session).toBe(before.session);
    expect(commands).toContainEqual(["connect"]);
  });
});

describe("the user", () => {
  test("is shown when the service tells of them", () => {
    expect(after(...signedIn).session).toEqual(live);
  });

  test("is the same object when nothing has changed", () => {
    const before = after(...signedIn);
    const again = transition(before, ["user", { ...ada }])[0];
    expect(again.session).toBe(before.session);
    const renamed = transition(before, ["user", { ...ada, name: "Ada King" }])[0];
    expect(renamed.session).toMatchObject({ status: "signedIn", user: { name: "Ada King" } });
  });

  test("who was gone from the network is settled by the stream that is open again", () => {
    const { state } = run([...signedIn, ["failed", 0.5, outage], ["open"]]);
    expect(state.session).toEqual(live);
    expect(state.failures).toBe(0);
  });

  test("whose stream broke off is connected to again within three seconds, and not all users at once", () => {
    for (const random of [0, 0.5, 1]) {
      const { state, commands } = run([...signedIn, ["failed", random]]);
      expect(state.session).toEqual({ ...live, live: false, refreshing: true });
      expect(commands).toEqual([["schedule", "retry", 500 + 2500 * random]]);
    }
  });

  test("without a row is pending, and stored as the app wishes, once", () => {
    const { state, commands } = run([auth(), ["pending"]]);
    expect(state.session).toEqual({ status: "pending", refreshing: false });
    expect(commands).toEqual([["claims"]]);
    expect(transition(state, ["pending"])[1]).toEqual([]);
  });

  test("without a row is stored from the claims after some time, if there is still no row", () => {
    const waiting = after(auth(), ["pending"]);
    expect(transition(waiting, ["timer", "claims"])[1]).toEqual([["store"]]);
    const came = transition(waiting, ["user", ada]);
    expect(came[1]).toEqual([["schedule", "claims"]]);
    expect(transition(came[0], ["timer", "claims"])[1]).toEqual([]);
  });

  test("who could not be stored is pending with the error, and is tried again", () => {
    const { state, commands } = run([auth(), ["pending"], ["failed", 0.5, outage, "claims"]]);
    expect(state.session).toMatchObject({ status: "pending", error: outage });
    expect(commands).toEqual([["schedule", "claims", 1000]]);
  });

  test("who cannot be stored is a failure, until a row comes all the same", () => {
    const program = new UsersyncError("problem", "not_a_user", "", { status: 403 });
    const failed = after(auth(), ["open"], ["pending"], ["failed", 0.5, program, "claims"]);
    expect(failed.session).toEqual({ status: "failed", error: program });
    expect(transition(failed, ["timer", "claims"])[1]).toEqual([]);
    expect(transition(failed, ["user", ada])[0].session).toEqual(live);
  });

  test("whose id begins a new life is pending, and the old user is dropped", () => {
    expect(after(...signedIn, ["pending"]).session).toEqual({ status: "pending", refreshing: false });
  });

  test("who was deleted stays deleted until there is another session", () => {
    const { state, commands } = run([...signedIn, ["deleted"]]);
    expect(state.session).toEqual({ status: "deleted" });
    expect(commands).toEqual([
      ["disconnect", true],
    ]);
    for (const event of [["user", ada], ["wake"], ["pending"]] as Event[]) {
      expect(transition(state, event)).toEqual([state, []]);
    }
    expect(transition(state, auth())[0].session).toEqual({ status: "deleted" });
    expect(transition(state, auth({ sessionKey: "b", subject: "ada" }))[0].session).toEqual({
      status: "loading",
    });
  });
});

describe("without streams", () => {
  test("the user is asked for once a minute", () => {
    const { state, commands } = run([auth(), ["token", "ada", 60_000], ["open", 60_000]]);
    expect(commands).toEqual([["schedule", "retry", 60_000]]);
    expect(transition(state, ["timer", "retry"])[1]).toEqual([["connect"]]);
    expect(transition(state, ["user", ada])[0].session).toEqual({ ...live, live: false });
  });

  test("a user without a row is asked for every two seconds, and stored as the app wishes, once", () => {
    const missing = new UsersyncError("problem", "user_not_synced", "", { status: 404, retryAfterSeconds: 1 });
    const { state, commands } = run([auth(), ["failed", 0.5, missing]]);
    expect(state.session).toEqual({ status: "pending", refreshing: false });
    expect(commands).toEqual([["claims"], ["schedule", "retry", 2000]]);
    expect(transition(state, ["failed", 0.5, missing])[1]).toEqual([["schedule", "retry", 2000]]);
  });

  test("the next stream that opens ends the asking", () => {
    expect(run([auth(), ["open", 60_000], ["open"]]).commands).toEqual([["schedule", "retry", undefined]]);
  });
});

describe("the page", () => {
  test("that wakes is looked after at once", () => {
    expect(run([...signedIn, ["wake"]]).commands).toEqual([["connect"]]);
  });

  test("that is hidden gives its connection back and keeps the user", () => {
    const { state, commands } = run([...signedIn, ["hidden"]]);
    expect(state.session).toEqual({ ...live, live: false });
    expect(commands).toEqual([["disconnect", false]]);
  });

  test("without anybody signed in does nothing at all", () => {
    for (const event of [["wake"], ["user", ada], ["timer", "retry"]] as Event[]) {
      expect(run([nobody, event])).toEqual({ state: after(nobody), commands: [] });
    }
  });
});
