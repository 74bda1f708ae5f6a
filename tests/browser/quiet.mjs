// `examples/react-vite` while nothing happens for a long time: with `usersync dev`, and a service of its own for each test.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { see, shown, until, withPerson } from "./browser.mjs";
import { serveExample, startDev, startNetwork } from "./programs.mjs";

const isStream = (one) => one === "GET /v1/users/current/stream";
const seconds = (count) => new Promise((resolve) => setTimeout(resolve, count * 1000));

/** A person who is signed in as Ada, with a service that no other test uses. */
async function withAda(options, run) {
  const dev = await startDev();
  const example = await serveExample("react-19", { usersyncUrl: dev.url });
  const network = await startNetwork(example.url);
  try {
    await withPerson(options, async (person) => {
      const page = await person.open(network.url);
      await page.getByLabel("Name").fill("Ada");
      await page.getByRole("button", { name: "Sign in" }).click();
      await see(page, "Signed in as Ada Lovelace");
      await page.evaluate(() => (window.shown = []));
      await run({ ...person, dev, page, network });
      const texts = await shown(page);
      assert.ok(texts.every((text) => text.includes("Signed in as")), `signed out for a moment: ${texts}`);
    });
  } finally {
    dev.resume();
    await network.cut();
    await example.end();
    await dev.end();
  }
}

const tell = async (dev, page, name) => {
  await dev.tell("user_ada", ["Ada", name]);
  await see(page, `Signed in as Ada ${name}`);
};

// They wait most of the time, so all of them run at once.
describe("quiet times", { concurrency: true }, () => {
  test("without a change for longer than three heartbeats, the stream stays the same one", () =>
    withAda({}, async ({ dev, page, requests }) => {
      await seconds(50);
      assert.equal(requests.filter(isStream).length, 1);
      await tell(dev, page, "King");
      assert.equal(requests.filter(isStream).length, 1);
    }));

  test("a service that is silent is noticed, and found again when it is back", () =>
    withAda({ isDisturbed: true }, async ({ dev, page, requests }) => {
      dev.suspend();
      await until(() => requests.filter(isStream).length === 2);
      dev.resume();
      await tell(dev, page, "King");
    }));

  test("a page that is stopped until after its token has expired", () =>
    withAda({}, async ({ context, dev, page }) => {
      const tokens = { count: 0 };
      await page.route("**/dev/token", (route) => {
        tokens.count += 1;
        return route.continue({ postData: { ...route.request().postDataJSON(), expiresIn: 5 } });
      });
      await page.reload();
      await see(page, "Signed in as Ada Lovelace");
      await page.evaluate(() => (window.shown = []));
      // A debugger stops a page as a closed laptop does: no timer runs, and what arrives has to wait.
      const debug = await context.newCDPSession(page);
      await debug.send("Debugger.enable");
      await debug.send("Debugger.pause");
      const before = tokens.count;
      await seconds(8);
      assert.equal(tokens.count, before, "it is really stopped");
      await dev.tell("user_ada", ["Ada", "King"]);
      await debug.send("Debugger.resume");
      await see(page, "Signed in as Ada King");
      assert.ok(tokens.count > before);
    }));

  test("a device that slept for two hours, by its own clock", () =>
    withAda({ before: (context) => context.clock.install() }, async ({ dev, page, requests }) => {
      await page.clock.fastForward("02:00:00");
      await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange", { bubbles: true })));
      await until(() => requests.filter(isStream).length > 1);
      await tell(dev, page, "King");
    }));

  test("offline for a while, and online again", () =>
    withAda({ isDisturbed: true }, async ({ context, dev, page, network, requests }) => {
      await context.setOffline(true);
      await network.cut();
      await dev.tell("user_ada", ["Ada", "King"]);
      await until(() => requests.filter(isStream).length > 2);
      assert.ok((await shown(page)).every((text) => text.includes("Signed in as Ada Lovelace")), "the user stays as they were");
      await network.restore();
      await context.setOffline(false);
      await see(page, "Signed in as Ada King");
      await tell(dev, page, "Lovelace");
    }));

  test("a page in the background gives its stream back, and shows the newest state when it is looked at", () =>
    withAda({}, async ({ dev, page, requests }) => {
      const look = (isHidden) =>
        page.evaluate((isHidden) => {
          Object.defineProperty(document, "hidden", { value: isHidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        }, isHidden);
      await look(true);
      await seconds(32);
      await dev.tell("user_ada", ["Ada", "King"]);
      await seconds(1);
      assert.ok(!(await shown(page)).some((text) => text.includes("King")), "there is no stream");
      await look(false);
      await see(page, "Signed in as Ada King");
      assert.equal(requests.filter(isStream).length, 2);
    }));
});
