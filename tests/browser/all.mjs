// The examples' whole story, in Chromium, with the program itself: `cargo test` runs this, in one browser.
import { after, before } from "node:test";

import { launch, quit } from "./browser.mjs";
import { stopAll } from "./programs.mjs";

before(async () => console.log(`Chromium ${await launch()}`));
after(async () => {
  await quit();
  stopAll();
});

await import("./vite.mjs");
await import("./quiet.mjs");
await import("./sign_in.mjs");
await import("./next.mjs");
