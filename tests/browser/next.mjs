// `examples/nextjs` with `usersync dev`.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { see, shown, withPerson } from "./browser.mjs";
import { freePort, nextExample, run, start, startDev } from "./programs.mjs";

const next = join(nextExample, "node_modules/next/dist/bin/next");

describe("Next.js", () => {
  const parts = [];
  let dev;
  let url;

  before(async () => {
    dev = await startDev();
    parts.push(() => dev.end());
    const env = { USERSYNC_URL: dev.url, NEXT_TELEMETRY_DISABLED: "1", NODE_ENV: "production" };
    await run("node", [next, "build"], { cwd: nextExample, env });
    const port = await freePort();
    const args = [next, "start", "--port", String(port), "--hostname", "127.0.0.1"];
    const server = await start("node", args, { cwd: nextExample, env, ready: "Ready in" });
    parts.unshift(() => server.stop());
    url = `http://127.0.0.1:${port}`;
  });
  after(async () => {
    for (const end of parts) await end();
  });

  test("the server renders the user, and a reload does not flicker", () =>
    withPerson({}, async ({ open }) => {
      const page = await open(url);
      await see(page, "The server says: nobody");
      await page.getByLabel("Name").fill("Grace");
      await page.getByRole("button", { name: "Sign in" }).click();
      await see(page, "Signed in as Grace");

      const html = await (await page.request.get(url)).text();
      assert.match(html, /Signed in as/, "the user is in the page as it was sent");
      await page.reload();
      // A name that only the stream can have brought: when it is seen, the stream is open, and the deletion arrives by it too.
      await dev.tell("user_grace", ["Grace", "Murray"]);
      await see(page, "Signed in as Grace Murray");
      const texts = await shown(page);
      assert.ok(texts.every((text) => text.includes("Signed in as Grace")), `it flickers: ${texts}`);

      await dev.delete("user_grace");
      await see(page, "Your account was deleted");
      await page.getByRole("button", { name: "Sign out" }).click();
      await page.getByLabel("Name").fill("Ada");
      await page.evaluate(() => (window.shown = []));
      await page.getByRole("button", { name: "Sign in" }).click();
      await see(page, "Signed in as Ada Lovelace");
      assert.ok(!(await shown(page)).some((text) => text.includes("as Grace")));
    }));
});
