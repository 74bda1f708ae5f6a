// One browser for all tests, and windows that notice what must never happen.
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

/** Long enough for a busy machine. */
const timeout = 60_000;

let browser;
let profile;

export async function launch() {
  profile = await mkdtemp(join(tmpdir(), "chromium-"));
  browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
    env: { ...process.env, HOME: profile },
  });
  return browser.version();
}

export async function quit() {
  await browser?.close();
  if (profile) await rm(profile, { recursive: true, force: true });
}

/** For tests that need contexts of their own. */
export const withBrowser = (use) => use(browser);

/**
 * Gives a person with a browser of their own to a test: `open(url)` is a window. Fails if a window had an error on its
 * console, a rejection that nobody handled, or a token in a URL.
 *
 * With `isDisturbed` requests fail on purpose, of which the browser itself tells on the console.
 */
export async function withPerson({ isDisturbed = false, before } = {}, test) {
  const context = await browser.newContext();
  context.setDefaultTimeout(timeout);
  const faults = [];
  const requests = [];
  context.on("request", (request) => {
    const url = request.url();
    if (/eyJ[\w-]+\.[\w-]+\./.test(url)) faults.push(`a token in a URL: ${url.slice(0, 80)}`);
    requests.push(`${request.method()} ${new URL(url).pathname}`);
  });
  context.on("weberror", (error) => faults.push(`not handled: ${error.error()}`));
  context.on("console", (message) => {
    const isOfBrowser = message.text().startsWith("Failed to load resource");
    if (message.type() === "error" && !(isDisturbed && isOfBrowser)) faults.push(`on the console: ${message.text()}`);
  });
  await before?.(context);
  const open = async (url) => {
    const page = await context.newPage();
    await page.addInitScript(recordTexts);
    await page.addInitScript(countRenders);
    await page.goto(url);
    return page;
  };
  try {
    await test({ context, open, requests });
    assert.deepEqual(faults, []);
  } catch (error) {
    for (const page of context.pages()) console.error(page.url(), await page.locator("body").innerText().catch(() => ""));
    console.error(faults, requests.slice(-20));
    throw error;
  } finally {
    await context.close();
  }
}

/** Keeps every text that the page has shown, once it was read, in `window.shown`. */
function recordTexts() {
  window.shown = [];
  const record = () => {
    if (document.readyState === "loading") return;
    const text = document.body.innerText;
    if (window.shown.at(-1) !== text) window.shown.push(text);
  };
  new MutationObserver(record).observe(document, { subtree: true, childList: true, characterData: true });
}

/** Counts what React renders, in `window.renders`: by the hook of its developer tools, which production builds call as well. */
function countRenders() {
  window.renders = 0;
  const nothing = () => {};
  window.__REACT_DEVTOOLS_GLOBAL_HOOK__ = {
    supportsFiber: true,
    inject: () => 1,
    checkDCE: nothing,
    setStrictMode: nothing,
    onCommitFiberUnmount: nothing,
    onPostCommitFiberRoot: nothing,
    onCommitFiberRoot: () => (window.renders += 1),
  };
}

export const renders = (page) => page.evaluate(() => window.renders);

export const shown = (page) => page.evaluate(() => window.shown);

export const see = (page, text) => page.getByText(text).first().waitFor();

/** Waits until something is so, however long it takes a busy machine. */
export async function until(isSo) {
  const end = Date.now() + timeout;
  while (!(await isSo())) {
    assert.ok(Date.now() < end, `it does not come: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
