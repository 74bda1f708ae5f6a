// Type-checks every sample in TypeScript of the documentation. A first line such as `// src/usersync.ts` names a sample's
// file, so that others of the same page can import it.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const here = import.meta.dirname;
const folder = join(here, "vendors/samples");
const pages = ["client/README.md", "react/README.md", "../docs/react.md", "../docs/nextjs.md", "../docs/typescript.md", "../docs/current-user.md", "../docs/events.md"];

rmSync(folder, { recursive: true, force: true });
let count = 0;
for (const page of pages) {
  const target = join(folder, page.replace(/\W/g, ""));
  mkdirSync(target, { recursive: true });
  const samples = readFileSync(join(here, page), "utf8").matchAll(/^```(tsx?)\n([^]*?)^```/gm);
  for (const [, extension, code] of samples) {
    const name = /^\/\/ (?:(?:src|app)\/)?((?:\w+\/)*[\w.]+\.tsx?)\n/.exec(code)?.[1] ?? `sample${++count}.${extension}`;
    mkdirSync(dirname(join(target, name)), { recursive: true });
    writeFileSync(join(target, name), code);
  }
}
if (count < 10) throw new Error(`only ${count} samples were found`);
// Frameworks that are not installed here: only what is ours is checked.
const missing = ["@auth0/nextjs-auth0", "@clerk/nextjs", "@clerk/nextjs/server", "expo/fetch", "react-native", "react-native-auth0", "svelte/store", "vue"];
writeFileSync(join(folder, "missing.d.ts"), missing.map((name) => `declare module "${name}";\n`).join(""));
// What an app has of its own.
writeFileSync(
  join(folder, "app.d.ts"),
  "declare function listAllUsersAgain(): Promise<void>;\ndeclare const db: { transaction(run: (tx: any) => Promise<void>): Promise<void> };\n",
);
try {
  execFileSync(join(here, "node_modules/.bin/tsc"), ["-p", "tsconfig.samples.json"], { cwd: join(here, "vendors"), stdio: "inherit" });
} finally {
  rmSync(folder, { recursive: true });
}
