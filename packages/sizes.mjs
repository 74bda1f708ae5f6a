// What the packages add to an app, minified and compressed. Fails above the limits.
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import { rolldown } from "rolldown";

const core = join(import.meta.dirname, "client/src/index.ts");
const react = join(import.meta.dirname, "react/src/index.ts");
const external = [/^react/, /^@usersync\/client/];

/** The sizes of what an app loads at the start, and of what it loads only when it is used. */
async function sizes(code, external = []) {
  const entry = { name: "entry", resolveId: (id) => (id === "entry" ? id : null), load: (id) => (id === "entry" ? code : null) };
  // As in an app: what is loaded later imports from what is there already.
  const preserveEntrySignatures = "allow-extension";
  const bundle = await rolldown({ input: "entry", plugins: [entry], platform: "browser", external, preserveEntrySignatures });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  const size = (chunks) => chunks.reduce((sum, { code }) => sum + gzipSync(code, { level: 9 }).length, 0);
  return { start: size(output.filter((chunk) => !chunk.isDynamicEntry)), later: size(output.filter((chunk) => chunk.isDynamicEntry)) };
}

const measured = [
  ["core", 4500, await sizes(`export { createUsersyncClient, UsersyncError, isUsersyncError } from "${core}"`)],
  ["React, without the core", 3000, await sizes(`export * from "${react}"`, external)],
];
for (const [name, limit, { start, later }] of measured) {
  const onUse = later ? `; loaded when used: ${later} bytes` : "";
  console.log(`${name}: ${start} bytes, at most ${limit}${onUse}`);
}
if (measured.some(([, limit, { start }]) => start > limit)) process.exit(1);
