// `examples/react-vite` with an OpenID Connect provider and with better-auth, and `usersync serve`.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";

import { see, withPerson } from "./browser.mjs";
import { freePort, serveExample, start, startService, viteExample } from "./programs.mjs";

describe("other sign-ins", () => {
  const parts = [];
  let url;
  let usersyncUrl;

  before(async () => {
    const [appPort, usersyncPort] = [await freePort(), await freePort()];
    url = `http://localhost:${appPort}`;
    usersyncUrl = `http://127.0.0.1:${usersyncPort}`;
    const configuration = await readFile(join(viteExample, "usersync.toml"), "utf8");
    const service = await startService(configuration.replaceAll("http://localhost:5173", url), {
      USERSYNC_SERVER__LISTEN: `127.0.0.1:${usersyncPort}`,
      USERSYNC_SERVER__CORS_ORIGINS: url,
    });
    const providers = await start("node", ["server/providers.js"], {
      cwd: viteExample,
      env: { APP_URL: url, PORT: "0", USERSYNC_URL: usersyncUrl },
      ready: "providers at",
    });
    const env = { PROVIDERS_URL: providers.line.split("providers at ")[1] };
    const example = await serveExample("react-19", { usersyncUrl, port: appPort, env });
    parts.push(() => example.end(), () => providers.stop(), () => service.end());
  });
  after(async () => {
    for (const end of parts) await end();
  });

  const signOut = (page) => page.getByRole("button", { name: "Sign out" }).click();

  async function send(page, text) {
    await page.getByLabel("Message").fill(text);
    await page.getByRole("button", { name: "Send" }).click();
    await see(page, text);
  }

  test("an OpenID Connect provider, with oidc-client-ts", () =>
    // The provider's own pages ask for a font from elsewhere.
    withPerson({ isDisturbed: true }, async ({ open }) => {
      const page = await open(`${url}/oidc.html`);
      await page.getByRole("button", { name: "Sign in" }).click();
      await page.getByPlaceholder("Enter any login").fill("Grace Hopper");
      await page.getByPlaceholder("and password").fill("any");
      await page.getByRole("button", { name: "Sign-in" }).click();
      await page.getByRole("button", { name: "Continue" }).click();
      await see(page, "Signed in as Grace Hopper");
      await send(page, "Hello by OpenID Connect");
      await page.reload();
      await see(page, "Grace Hopper: Hello by OpenID Connect");
      await signOut(page);
      await page.getByRole("button", { name: "Sign in" }).waitFor();
    }));

  test("better-auth, whose webhooks make and delete the user", () =>
    withPerson({ isDisturbed: true }, async ({ open }) => {
      const [page, other] = [await open(`${url}/better-auth.html`), await open(`${url}/better-auth.html`)];
      await page.getByLabel("Name").fill("Ada Lovelace");
      await page.getByLabel("Email").fill("ada@example.com");
      await page.getByLabel("Password").fill("analytical engine");
      await page.getByRole("button", { name: "Sign in or up" }).click();
      await see(page, "Signed in as Ada Lovelace");
      await send(page, "Hello by better-auth");
      await other.reload();
      await see(other, "Ada Lovelace: Hello by better-auth");

      const post = (path, body) =>
        other.evaluate(
          async ([path, body]) => {
            const headers = { "content-type": "application/json" };
            return (await fetch(`/api/auth/${path}`, { method: "POST", headers, body: JSON.stringify(body) })).status;
          },
          [path, body],
        );
      assert.equal(await post("update-user", { name: "Ada King" }), 200);
      await see(page, "Signed in as Ada King");
      assert.equal(await post("delete-user", { password: "analytical engine" }), 200);
      for (const one of [page, other]) await see(one, "Your account was deleted");
    }));

  test("a page of another origin reads what it needs of an answer", () =>
    withPerson({ isDisturbed: true }, async ({ open }) => {
      const page = await open(url);
      const read = await page.evaluate(async (usersyncUrl) => {
        const { status, headers } = await fetch(`${usersyncUrl}/v1/identity`);
        return [status, headers.get("www-authenticate"), Math.abs(Date.parse(headers.get("date")) - Date.now()) < 60_000];
      }, usersyncUrl);
      assert.deepEqual(read, [401, "Bearer", true]);
    }));
});
