// Against the program itself: `cargo test` starts `usersync dev` and names it here.
import { expect, test } from "vitest";

import { createUsersyncClient } from "../src";
import type { Session } from "../src";
import { createUsersyncServer } from "../src/server";
import { verifyEvent } from "../src/webhooks";

const { USERSYNC_LIVE_URL: url = "", USERSYNC_LIVE_TOKEN: token = "", USERSYNC_LIVE_NEW_TOKEN: newToken = "" } = process.env;
/** An event that the program has sent: secret, headers, body. */
const { USERSYNC_LIVE_EVENT: sent = "" } = process.env;

test.skipIf(!sent)("an event that the program has sent is verified", async () => {
  const { secret, headers, body } = JSON.parse(sent) as { secret: string; headers: Record<string, string>; body: string };
  expect(await verifyEvent(body, headers, secret)).toMatchObject({ type: "user.created", data: { externalId: "user_ada" }, changed: [] });
  await expect(verifyEvent(`${body} `, headers, secret)).rejects.toMatchObject({ code: "invalid_signature" });
});

/** The first session that fits, within ten seconds. */
function session(client: ReturnType<typeof createUsersyncClient>, fits: (session: Session) => boolean): Promise<Session> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(JSON.stringify(client.session.getSnapshot()))), 10_000);
    const look = () => {
      if (!fits(client.session.getSnapshot())) return;
      clearTimeout(timer);
      resolve(client.session.getSnapshot());
    };
    client.session.subscribe(look);
    look();
  });
}

test.skipIf(!url)("a signed-in user is followed, stored from claims, looked up and told of a deletion", async () => {
  const ada = createUsersyncClient({ url, fetchToken: async () => token });
  const current = await ada.currentUser();
  expect(current).toMatchObject({ externalId: "user_ada", name: "Ada Lovelace" });
  expect(await ada.identity()).toMatchObject({ subject: "user_ada" });
  expect((await ada.users([current.id, "00000000-0000-0000-0000-000000000000"])).get(current.id)?.name).toBe("Ada Lovelace");

  ada.session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "a", subject: "user_ada", fetchToken: async () => token });
  const live = await session(ada, (now) => now.status === "signedIn" && now.live);
  expect(live).toMatchObject({ status: "signedIn", user: { id: current.id }, refreshing: false });
  ada.session.close();

  const grace = createUsersyncClient({ url, store: { claimsAfterMs: 100 } });
  const fetchToken = async () => newToken;
  grace.session.setAuth({ isLoading: false, isAuthenticated: true, sessionKey: "g", subject: "user_hedy", fetchToken });
  await session(grace, (now) => now.status === "pending");
  const stored = await session(grace, (now) => now.status === "signedIn");
  expect(stored).toMatchObject({ user: { externalId: "user_hedy", name: "Hedy Lamarr" } });
  grace.session.close();

  const server = createUsersyncServer({ url });
  expect((await server.getCurrentUser(token))?.id).toBe(current.id);
  expect(await server.getCurrentUser("nonsense")).toBeNull();
});
