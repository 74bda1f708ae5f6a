// What the packages add to an app, minified and compressed. Fails above the limits.
import { gzipSync } from "node:zlib";
import { join } from "node:path";
import { rolldown } from "rolldown";

const core = join(import.meta.dirname, "client/src/index.ts");
const react = join(import.meta.dirname, "react/src/index.ts");
const external = [/^react/, /^@usersync\/client/];

async function size(code, external = []) {
  const entry = { name: "entry", resolveId: (id) => (id === "entry" ? id : null), load: (id) => (id === "entry" ? code : null) };
  const bundle = await rolldown({ input: "entry", plugins: [entry], platform: "browser", external });
  const { output } = await bundle.generate({ format: "esm", minify: true });
  return gzipSync(output[0].code, { level: 9 }).length;
}

const measured = [
  ["core", 5100, await size(`export { createUsersyncClient, UsersyncError, isUsersyncError } from "${core}"`)],
  ["React, without the core", 3000, await size(`export * from "${react}"`, external)],
];
for (const [name, limit, bytes] of measured) console.log(`${name}: ${bytes} bytes, at most ${limit}`);
if (measured.some(([, limit, bytes]) => bytes > limit)) process.exit(1);
