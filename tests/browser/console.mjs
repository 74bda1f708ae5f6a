// The console in Chromium, with the program itself: every page with and without a script, what the content security policy
// and axe-core say of it, and the way from a login to a replay.
//
// With USERSYNC_GENERATE=1 the pictures in docs/images are made again.
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { launch, quit, until, withBrowser } from "./browser.mjs";
import { deliver, freePort, repository, startDev, startService, stopAll } from "./programs.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const images = join(repository, "docs/images");
const markup = `<script>window.broken=1</script>"'><img src="https://evil.example/x" onerror="window.broken=1">`;
const paths = [
  "/",
  "/deliveries",
  "/deliveries?live=1",
  "/parked",
  "/users",
  "/sources",
  "/endpoints",
  "/token",
  "/webhook",
  "/keys",
  "/audit",
  "/nowhere",
];

before(async () => console.log(`Chromium ${await launch()}`));
after(async () => {
  await quit();
  stopAll();
});

/**
 * Gives a window to a test. Fails if a page breaks its content security policy, has an error on the console, or asks
 * another host for anything.
 */
async function withWindow({ url, javaScriptEnabled = true, colorScheme = "light", viewport }, use) {
  const context = await withBrowser((browser) =>
    browser.newContext({ javaScriptEnabled, colorScheme, viewport: viewport ?? { width: 1280, height: 850 } }),
  );
  const faults = [];
  const host = new URL(url).host;
  context.on("request", (request) => {
    const of = new URL(request.url());
    if (of.protocol !== "data:" && of.host !== host) faults.push(`a request to ${of.host}`);
  });
  context.on("console", (message) => {
    // The browser itself tells of 403 and 404, which are asked for here.
    const isStatus = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !isStatus) faults.push(`on the console: ${message.text()}`);
  });
  context.on("weberror", (error) => faults.push(`not handled: ${error.error()}`));
  if (javaScriptEnabled) {
    await context.exposeFunction("violated", (what) => faults.push(`content security policy: ${what}`));
    await context.addInitScript(() =>
      document.addEventListener("securitypolicyviolation", (event) =>
        window.violated(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`),
      ),
    );
  }
  const page = await context.newPage();
  page.setDefaultTimeout(60_000);
  try {
    await use(page);
    assert.deepEqual(faults, []);
  } catch (error) {
    console.error(page.url(), await page.locator("body").innerText().catch(() => ""), faults);
    throw error;
  } finally {
    await context.close();
  }
}

/** What axe-core finds serious. */
async function seriousFindings(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return violations
    .filter(({ impact }) => ["serious", "critical"].includes(impact))
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(" | ")}`);
}

/** A history with everything in it: applied, stale, parked, deleted, and texts full of markup. */
async function tellStory({ url, secret, created }) {
  const webhook = `${url}/webhooks/dev`;
  const now = Date.now();
  const user = (id, data, time = now) => ({
    ...created,
    type: "user.updated",
    timestamp: time,
    data: { ...created.data, id, updated_at: time, ...data },
  });
  await deliver(webhook, secret, user("user_jean", { first_name: "Jean", last_name: "Bartik" }));
  await deliver(webhook, secret, user("user_jean", { first_name: "Betty", last_name: "Jennings" }, now - 60_000), "stale");
  await deliver(webhook, secret, user(markup, { first_name: markup, last_name: markup, username: markup }));
  await deliver(webhook, secret, user("user_odd", { created_at: {} }), "parked");
  const deletion = { data: { deleted: true, id: "user_left", object: "user" }, object: "event", type: "user.deleted", timestamp: now };
  await deliver(webhook, secret, deletion);
}

test("every page works with and without a script, breaks no policy, and is accessible", { timeout: 600_000 }, async () => {
  const dev = await startDev();
  await tellStory(dev);
  const base = `${dev.url}/console`;
  const details = [
    "/user?source=dev&id=user_jean",
    `/user?source=dev&id=${encodeURIComponent(markup)}`,
    "/source?name=dev",
    "/parked/replay",
  ];
  for (const javaScriptEnabled of [true, false]) {
    for (const colorScheme of javaScriptEnabled ? ["light", "dark"] : ["light"]) {
      await withWindow({ url: dev.url, javaScriptEnabled, colorScheme }, async (page) => {
        await page.goto(base);
        const menu = await page.getByRole("navigation").getByRole("link").all();
        assert.equal(menu.length, 10, "each page is reached from the first");
        for (const path of [...paths, ...details]) {
          await page.goto(base + path);
          await page.getByRole("heading", { level: 1 }).waitFor();
          if (!javaScriptEnabled) continue;
          assert.equal(await page.evaluate(() => window.broken), undefined, `${path} ran a script of a user`);
          assert.deepEqual(await seriousFindings(page), [], `${path} in ${colorScheme}`);
        }
        await page.goto(`${base}/deliveries?user=user_jean`);
        await page.getByRole("row").nth(1).getByRole("link").first().click();
        await page.getByRole("heading", { name: "Delivery" }).waitFor();
        if (javaScriptEnabled) assert.deepEqual(await seriousFindings(page), [], "a delivery");
        await page.getByRole("button", { name: "Show payload and personal data" }).click();
        await page.getByText("The command that sends it again").click();
        await page.getByText("usersync send -").waitFor();
        if (javaScriptEnabled) assert.deepEqual(await seriousFindings(page), [], "a payload");
      });
    }
  }
  await withWindow({ url: dev.url, viewport: { width: 390, height: 800 } }, async (page) => {
    for (const path of [...paths, ...details]) {
      await page.goto(base + path);
      const width = await page.evaluate(() => document.documentElement.scrollWidth);
      assert.ok(width <= 390, `${path} is ${width} wide on a phone`);
    }
  });
  await dev.end();
});

test("a new delivery appears by itself, a run is watched, and a stale delivery says what is newer", { timeout: 300_000 }, async () => {
  const dev = await startDev();
  await tellStory(dev);
  const base = `${dev.url}/console`;
  await withWindow({ url: dev.url, javaScriptEnabled: false }, async (page) => {
    await page.goto(`${base}/deliveries?live=1`);
    await dev.tell("user_reloaded", ["Marlyn", "Meltzer"]);
    await page.getByRole("link", { name: "user_reloaded" }).waitFor();
    assert.match(page.url(), /poll=1/, "a reload that the session does not count as use");
  });
  await withWindow({ url: dev.url }, async (page) => {
    await page.goto(`${base}/deliveries`);
    await page.getByRole("link", { name: "Follow live" }).click();
    await page.getByRole("status").waitFor();
    await dev.tell("user_live", ["Kathleen", "Antonelli"]);
    await page.getByRole("link", { name: "user_live" }).waitFor();

    await page.goto(`${base}/source?name=dev`);
    await page.getByLabel("from the beginning").check();
    await page.getByRole("button", { name: "Import all users" }).click();
    await page.getByText("The backfill is complete.").waitFor();
    await page.getByRole("button", { name: "Compare with the provider" }).click();
    await page.getByText("The reconciliation is complete.").waitFor();

    await page.goto(`${base}/deliveries?outcome=stale&user=user_jean`);
    await page.goto(`${base}/users?q=user_jean`);
    await page.getByRole("link", { name: "Jean Bartik" }).click();
    await page.getByText("What is known, and who said it").waitFor();
    assert.ok(!(await page.locator("main").innerText()).includes("ada@example.com"), "an address is masked");
    await page.getByRole("button", { name: "Show personal data" }).click();
    await page.getByText("ada@example.com").waitFor();
    await page.getByRole("row", { name: /stale/ }).getByRole("link").first().click();
    await page.getByText("Why", { exact: true }).waitFor();
    await page.getByText(/newer, of/).first().waitFor();
    if (process.env.USERSYNC_GENERATE) {
      await mkdir(images, { recursive: true });
      await page.screenshot({ path: join(images, "console-delivery.png") });
      await page.goto(base);
      await page.screenshot({ path: join(images, "console-overview.png") });
      await page.emulateMedia({ colorScheme: "dark" });
      await page.goto(`${base}/user?source=dev&id=user_jean`);
      await page.screenshot({ path: join(images, "console-user-dark.png") });
      await page.emulateMedia({ colorScheme: "light" });
      await page.setViewportSize({ width: 390, height: 780 });
      await page.goto(`${base}/deliveries`);
      await page.screenshot({ path: join(images, "console-phone.png") });
    }
  });
  await dev.end();
});

test("login, a wrong key, find, open, replay, a revoked key; by keyboard and without a script too", { timeout: 300_000 }, async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
  const service = await startService(
    `[server]\nlisten = "127.0.0.1:${port}"\n[admin]\nlisten = "127.0.0.1:${adminPort}"\n` +
      `[[sources]]\nname = "clerk"\nprovider = "clerk"\nwebhook_secrets = ["${secret}"]\n`,
  );
  const key = (await service.command("keys", "create", "ada", "--scope", "admin")).match(/usk_[0-9a-f]{64}/)[0];
  const event = { data: { id: "user_odd", object: "user", created_at: {} }, object: "event", type: "user.updated", timestamp: 1 };
  await deliver(`http://127.0.0.1:${port}/webhooks/clerk`, secret, event, "parked");
  const url = `http://127.0.0.1:${adminPort}`;
  for (const javaScriptEnabled of [true, false]) {
    await withWindow({ url, javaScriptEnabled }, async (page) => {
      await page.goto(`${url}/parked`);
      await page.getByLabel(/Service key/).fill("usk_wrong");
      await page.getByRole("button", { name: "Log in" }).click();
      await page.getByRole("alert").waitFor();
      if (javaScriptEnabled) assert.deepEqual(await seriousFindings(page), []);
      await page.getByLabel(/Service key/).fill(key);
      await page.keyboard.press("Enter");
      await page.getByRole("heading", { name: "Parked" }).waitFor();
      await page.getByRole("link", { name: "Example" }).click();
      await page.getByText("It could not be read").waitFor();
      await page.getByRole("button", { name: "Replay" }).click();
      await page.getByText("Replayed: parked.").waitFor();
      await page.getByRole("link", { name: "Audit" }).click();
      await page.getByText("replay a delivery").first().waitFor();
      await page.getByRole("button", { name: "Log out" }).click();
      await page.getByRole("heading", { name: "usersync console" }).waitFor();
    });
  }
  await withWindow({ url }, async (page) => {
    await page.goto(url);
    await page.getByLabel(/Service key/).fill(key);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await service.command("keys", "revoke", "ada");
    await page.getByRole("link", { name: "Users", exact: true }).click();
    await page.getByRole("heading", { name: "usersync console" }).waitFor();
  });
  await service.end();
});

test("a form of another site changes nothing, and its link leads to the page", { timeout: 300_000 }, async () => {
  const [port, adminPort] = [await freePort(), await freePort()];
  const service = await startService(`[server]\nlisten = "127.0.0.1:${port}"\n[admin]\nlisten = "127.0.0.1:${adminPort}"\n`);
  const key = (await service.command("keys", "create", "ada", "--scope", "admin")).match(/usk_[0-9a-f]{64}/)[0];
  const url = `http://127.0.0.1:${adminPort}`;
  const html = `<form method="post" action="${url}/keys"><input name="name" value="evil"><input name="admin" value="1"></form>
    <a href="${url}/users?q=a">look</a>`;
  const evil = createServer((_, answer) => answer.writeHead(200, { "content-type": "text/html" }).end(html));
  await new Promise((resolve) => evil.listen(0, "localhost", resolve));
  const foreign = `http://localhost:${evil.address().port}/`;
  const context = await withBrowser((browser) => browser.newContext());
  const page = await context.newPage();
  await page.goto(url);
  await page.getByLabel(/Service key/).fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.goto(foreign);
  await page.evaluate(() => document.forms[0].submit());
  await page.getByText("This was not sent by a form of the console").waitFor();
  await page.goto(foreign);
  await page.getByRole("link", { name: "look" }).click();
  await until(async () => (await page.getByRole("heading", { name: "Users" }).count()) > 0);
  await page.goto(`${url}/keys`);
  assert.ok(!(await page.locator("main").innerText()).includes("evil"));
  await context.close();
  evil.close();
  await service.end();
});
