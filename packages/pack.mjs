// The packages as they would be published: packed, installed into a project of their own, imported and used on Node 20
// and 24, and type-checked. After `npm run build`.
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const here = import.meta.dirname;
const bin = (name) => join(here, "node_modules/.bin", name);
const run = (program, args, cwd) => execFileSync(program, args, { cwd, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });

const packages = ["client", "react"];
const manifests = packages.map((name) => JSON.parse(readFileSync(join(here, name, "package.json"), "utf8")));
const subpaths = manifests.flatMap(({ name, exports }) =>
  Object.keys(exports).filter((path) => !path.endsWith(".json")).map((path) => name + path.slice(1)),
);

/** A project that has nothing but the packages, and React as any app would bring it. */
function install(project) {
  const tarballs = packages.map((name) => {
    run(bin("publint"), ["--strict"], join(here, name));
    const [{ filename }] = JSON.parse(run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", project], join(here, name)));
    run(bin("attw"), [join(project, filename), "--profile", "esm-only"], project);
    return `./${filename}`;
  });
  writeFileSync(join(project, "package.json"), JSON.stringify({ private: true, type: "module" }));
  run("npm", ["install", "--offline", "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund", ...tarballs], project);
  mkdirSync(join(project, "node_modules/@types"));
  for (const name of ["react", "react-dom", "scheduler", "csstype", "@types/react"]) {
    symlinkSync(join(here, "node_modules", name), join(project, "node_modules", name));
  }
}

/** A program that uses the packages, with a service that answers as usersync does. */
const use = `
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { createElement as element } from "react";
import { renderToString } from "react-dom/server";
import { createUsersyncClient } from "@usersync/client";
import { createUsersyncServer } from "@usersync/client/server";
import { Authenticated, UsersyncProvider } from "@usersync/react";

const user = { id: "1", externalId: "ada", name: "Ada" };
const service = createServer((request, response) => {
  assert.equal(request.headers.authorization, "Bearer token");
  const isStream = request.url.endsWith("/stream");
  response.writeHead(200, { "content-type": isStream ? "text/event-stream" : "application/json" });
  response.end(isStream ? "event: user\\nid: 1\\ndata: " + JSON.stringify(user) + "\\n\\n" : JSON.stringify(user));
}).listen(0, "127.0.0.1");
await once(service, "listening");
const url = "http://127.0.0.1:" + service.address().port;

const client = createUsersyncClient({ url, fetchToken: async () => "token" });
assert.deepEqual(await client.currentUser(), user);
assert.deepEqual(await client.waitForCurrentUser(), user);
const controller = new AbortController();
for await (const event of client.events({ signal: controller.signal })) {
  assert.deepEqual(event, { type: "user", user });
  break;
}
assert.deepEqual(await createUsersyncServer({ url }).getCurrentUser("token"), user);
const page = element(UsersyncProvider, { client, initialUser: user }, element(Authenticated, null, (user) => "Hello, " + user.name));
assert.equal(renderToString(page), "Hello, Ada");
service.close();
service.closeAllConnections();
`;

function importAll(project) {
  const lines = subpaths.map((path, index) => `import * as m${index} from "${path}";\nif (!Object.keys(m${index}).length) throw new Error("${path} is empty");`);
  writeFileSync(join(project, "import.mjs"), `${lines.join("\n")}\nconsole.log(process.version);`);
  const require = subpaths.map((path) => `require("${path}");`).join("\n");
  writeFileSync(join(project, "require.cjs"), require);
  writeFileSync(join(project, "use.mjs"), use);
  for (const [major, node] of Object.entries(nodes())) {
    const version = run(node, ["import.mjs"], project).trim();
    if (!version.startsWith(`v${major}.`)) throw new Error(`${node} is Node ${version}`);
    run(node, ["--no-warnings", "require.cjs"], project);
    run(node, ["use.mjs"], project);
    console.log(`imported and used by Node ${version}: ${subpaths.join(" ")}`);
  }
}

/** The oldest and the newest Node that are supported, by their major version; elsewhere than on Linux the one that is there. */
function nodes() {
  const own = process.versions.node.split(".")[0];
  const installed = [20, 24].map((major) => [major, join(here, `node_modules/node-${major}/bin/node`)]);
  const found = installed.filter(([, path]) => existsSync(path));
  if (found.length === installed.length) return Object.fromEntries(found);
  // The package that has them is for Linux on x64.
  if (process.env.CI && process.platform === "linux" && process.arch === "x64") throw new Error("Node 20 or 24 is not installed: run `npm ci`");
  console.error(`\nNOT RUN on Node 20 and 24: they are not installed, so only on Node ${own}\n`);
  return { [own]: process.execPath };
}

function typeCheck(project) {
  const imports = subpaths.map((path, index) => `import * as m${index} from "${path}";`).join("\n");
  const use = `
import { createUsersyncClient, type User } from "@usersync/client";
import { createUsersyncServer } from "@usersync/client/server";
import { Authenticated, UsersyncProvider } from "@usersync/react";
const client = createUsersyncClient({ url: "", store: { claimsAfterMs: 1000 } });
export const user: Promise<User | null> = createUsersyncServer({ url: "" }).getCurrentUser("t", { wait: 5 });
export const page = <UsersyncProvider client={client}><Authenticated>{(user) => user.name}</Authenticated></UsersyncProvider>;
// @ts-expect-error A user is there only when somebody is signed in.
client.session.getSnapshot().user;
`;
  writeFileSync(join(project, "use.tsx"), `${imports}\n${use}\nexport const all = [${subpaths.map((_, index) => `m${index}`)}];\n`);
  for (const [module, moduleResolution] of [["esnext", "bundler"], ["nodenext", "nodenext"]]) {
    const options = { strict: true, exactOptionalPropertyTypes: true, noEmit: true, jsx: "react-jsx", module, moduleResolution };
    const lib = ["es2022", "dom", "dom.iterable"];
    const compilerOptions = { ...options, target: "es2022", lib, skipLibCheck: false, types: [], preserveSymlinks: true };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["use.tsx"] }));
    run(bin("tsc"), ["-p", project], project);
  }
}

const project = mkdtempSync(join(tmpdir(), "usersync-packages-"));
try {
  install(project);
  importAll(project);
  typeCheck(project);
} finally {
  rmSync(project, { recursive: true });
}
