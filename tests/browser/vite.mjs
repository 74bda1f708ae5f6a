// `examples/react-vite` with `usersync dev`.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { renders, see, shown, until, withPerson } from "./browser.mjs";
import { build, checkTypes, serveExample, startDev } from "./programs.mjs";

const react18 = new URL("react-18.config.mjs", import.meta.url).pathname;
// A development build is the one in which StrictMode runs every effect twice.
const builds = {
  "React 19": {},
  "React 19 in development": { isDevelopment: true },
  "React 18 in development": { isDevelopment: true, config: react18 },
};
const folder = (name) => name.toLowerCase().replaceAll(" ", "-");

let dev;

before(async () => {
  dev = await startDev();
});
after(() => dev.end());

async function signIn(page, name) {
  await page.getByLabel("Name").fill(name);
  await page.getByRole("button", { name: "Sign in" }).click();
}

async function send(page, text) {
  await page.getByLabel("Message").fill(text);
  await page.getByRole("button", { name: "Send" }).click();
  await see(page, text);
}

const signedInAs = (page, name) => see(page, `Signed in as ${name}`);

/** Holds requests back until the returned function is called. */
async function hold(page, matches) {
  let release;
  const released = new Promise((resolve) => (release = resolve));
  await page.route(matches, async (route) => {
    await released;
    await route.continue();
  });
  return release;
}

/** Tokens that live for so many seconds; counts them. */
async function shortTokens(page, seconds) {
  const given = { count: 0 };
  await page.route("**/dev/token", (route) => {
    given.count += 1;
    return route.continue({ postData: { ...route.request().postDataJSON(), expiresIn: seconds } });
  });
  return given;
}

let people = 0;
/** A name that no other test has, so that each begins without a row. */
const newName = () => `Person ${(people += 1)}`;
const idOf = (name) => `user_${name.toLowerCase().replaceAll(" ", "_")}`;

test("the example's types are right", () => checkTypes());

for (const [title, options] of Object.entries(builds)) {
  describe(title, () => {
    let example;
    before(async () => {
      await build(folder(title), options);
      example = await serveExample(folder(title), { usersyncUrl: dev.url });
    });
    after(() => example.end());

    test("sign in, wait, send, read, sign out, and the account is deleted", () =>
      withPerson({}, async ({ open }) => {
        const [ada, grace] = [newName(), newName()];
        const first = await open(example.url);
        const stored = await hold(first, (url) => url.pathname === "/v1/users/current");
        await signIn(first, grace);
        await see(first, "Your account is being prepared");
        stored();
        await signedInAs(first, grace);
        await send(first, `Hello from ${grace}`);

        await first.getByRole("button", { name: "Sign out" }).click();
        await signIn(first, ada);
        await dev.tell(idOf(ada), ["Ada", title]);
        await signedInAs(first, `Ada ${title}`);
        await see(first, `${grace}: Hello from ${grace}`);
        await send(first, "Hello, Grace");
        await see(first, `Ada ${title}: Hello, Grace`);

        await dev.delete(idOf(ada));
        await see(first, "Your account was deleted");
        await first.getByRole("button", { name: "Sign out" }).click();
        await first.getByLabel("Name").waitFor();
      }));

    test("a page load of a signed-in user costs one stream and one token", () =>
      withPerson({}, async ({ open, requests }) => {
        const [name, page] = [newName(), await open(example.url)];
        await signIn(page, name);
        await signedInAs(page, name);
        requests.length = 0;
        await page.reload();
        await signedInAs(page, name);
        // Whatever else would come has the time of a whole change to come.
        await dev.tell(idOf(name), ["Changed", "Name"]);
        await signedInAs(page, "Changed Name");
        const asked = requests.filter((one) => one.includes("/v1/users/current") || one.includes("/dev/"));
        assert.deepEqual(asked.toSorted(), ["GET /v1/users/current/stream", "POST /dev/token"]);
        console.log(`MEASURED requests for a page load of a signed-in user, ${title}: ${asked.join(", ")}`);
        const texts = await shown(page);
        assert.ok(!texts.some((text) => text.includes("Sign in")), `signed out for a moment: ${texts}`);
      }));

    test("tokens expire and everything stays where it is", () =>
      withPerson({}, async ({ open }) => {
        const [name, page] = [newName(), await open(example.url)];
        const tokens = await shortTokens(page, 4);
        await signIn(page, name);
        await signedInAs(page, name);
        const input = page.getByLabel("Message");
        await input.fill("half a sentence");
        await input.evaluate((element) => (element.isTheSame = true));
        await page.evaluate(() => (window.shown = []));
        const before = { tokens: tokens.count, renders: await renders(page) };
        assert.ok(before.renders > 0);
        await until(() => tokens.count >= before.tokens + 3);
        assert.deepEqual(await shown(page), [], "nothing changes because of a token");
        const rendered = (await renders(page)) - before.renders;
        assert.equal(rendered, 0);
        console.log(`MEASURED renders for ${tokens.count - before.tokens} refreshed tokens, ${title}: ${rendered}`);
        assert.equal(await input.inputValue(), "half a sentence");
        assert.ok(await input.evaluate((element) => element.isTheSame));
        await dev.tell(idOf(name), ["Still", "Told"]);
        await signedInAs(page, "Still Told");
      }));
  });
}

for (const title of ["React 19", "React 18 in development"]) {
  describe(`trouble, ${title}`, () => {
    let example;
    before(async () => {
      example = await serveExample(folder(title), { usersyncUrl: dev.url });
    });
    after(() => example.end());

    test("the service is restarted", () =>
      withPerson({ isDisturbed: true }, async ({ open }) => {
        const [name, page] = [newName(), await open(example.url)];
        await signIn(page, name);
        await signedInAs(page, name);
        await page.getByLabel("Message").fill("half a sentence");
        await page.evaluate(() => (window.shown = []));
        await dev.stop();
        await dev.start();
        await dev.tell(idOf(name), ["Told", "Again"]);
        await signedInAs(page, "Told Again");
        assert.equal(await page.getByLabel("Message").inputValue(), "half a sentence");
        assert.ok((await shown(page)).every((text) => text.includes("Signed in as")));
      }));

    for (const minutes of [10, -10]) {
      test(`the device's clock is ${minutes} minutes off`, () =>
        withPerson({}, async ({ context, open }) => {
          await context.addInitScript((ms) => {
            const now = Date.now;
            Date.now = () => now() + ms;
          }, minutes * 60_000);
          const [name, page] = [newName(), await open(example.url)];
          // They have expired by the device's clock, or live for longer than they do.
          const tokens = await shortTokens(page, 300);
          await signIn(page, name);
          await signedInAs(page, name);
          // Until the first answer nobody can know that the clock is wrong.
          const first = tokens.count;
          assert.ok(first <= 3, `${first} tokens`);
          await send(page, "On time");
          await dev.tell(idOf(name), ["Right", "Clock"]);
          await signedInAs(page, "Right Clock");
          assert.equal(tokens.count, first);
          // And from the start, of a user who is signed in.
          await page.reload();
          await signedInAs(page, "Right Clock");
          const texts = await shown(page);
          assert.ok(!texts.some((text) => text.includes("Sign in")), `signed out for a moment: ${texts}`);
        }));
    }

    test("no network at the start", () =>
      withPerson({ isDisturbed: true }, async ({ context, open }) => {
        const [name, page] = [newName(), await open(example.url)];
        await context.setOffline(true);
        await signIn(page, name);
        await see(page, "Loading…");
        await context.setOffline(false);
        await signedInAs(page, name);
        await context.route(/\/(dev|v1)\//, (route) => route.abort("internetdisconnected"));
        await page.reload();
        await see(page, "Loading…");
        await context.unrouteAll();
        await page.evaluate(() => dispatchEvent(new Event("online")));
        await signedInAs(page, name);
        const texts = await shown(page);
        assert.ok(!texts.some((text) => text.includes("Sign in")), `signed out for a moment: ${texts}`);
      }));

    test("one signs out and another signs in, in every window", () =>
      withPerson({}, async ({ open }) => {
        const [ada, grace] = [newName(), newName()];
        const [first, second] = [await open(example.url), await open(example.url)];
        await signIn(first, ada);
        for (const page of [first, second]) await signedInAs(page, ada);
        await first.getByRole("button", { name: "Sign out" }).click();
        for (const page of [first, second]) await page.getByLabel("Name").waitFor();
        for (const page of [first, second]) await page.evaluate(() => (window.shown = []));
        await signIn(second, grace);
        for (const page of [first, second]) {
          await signedInAs(page, grace);
          assert.ok(!(await shown(page)).some((text) => text.includes(`as ${ada}`)), "never the one before");
        }
      }));

    test("how long it takes from the commit of a webhook to the screen", () =>
      withPerson({}, async ({ open }) => {
        const [name, page] = [newName(), await open(example.url)];
        await signIn(page, name);
        await signedInAs(page, name);
        const times = [];
        for (let number = 1; number <= 20; number += 1) {
          await page.evaluate((text) => {
            window.seen = new Promise((resolve) => {
              const look = () => document.body.innerText.includes(text) && resolve(Date.now());
              new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true });
            });
          }, `Change ${number} `);
          await dev.tell(idOf(name), ["Change", String(number)]);
          const answered = Date.now();
          times.push((await page.evaluate(() => window.seen)) - answered);
        }
        times.sort((a, b) => a - b);
        console.log(`MEASURED from the answer to a webhook to the screen, ${title}: median ${times[10]} ms, longest ${times[19]} ms`);
      }));
  });
}
