// The packages as they would be published: packed, installed into a project of their own, imported and type-checked, on
// the Node that runs this and on the newest one that is supported. After `npm run build`.
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
  for (const name of ["react", "react-dom", "csstype", "@types/react"]) {
    symlinkSync(join(here, "node_modules", name), join(project, "node_modules", name));
  }
}

function importAll(project) {
  const lines = subpaths.map((path, index) => `import * as m${index} from "${path}";\nif (!Object.keys(m${index}).length) throw new Error("${path} is empty");`);
  writeFileSync(join(project, "import.mjs"), `${lines.join("\n")}\nconsole.log(process.version);`);
  const require = subpaths.map((path) => `require("${path}");`).join("\n");
  writeFileSync(join(project, "require.cjs"), require);
  const newest = join(here, "node_modules/node-24/bin/node");
  if (!existsSync(newest)) {
    // The package that has it is for Linux on x64.
    const isMissing = process.platform === "linux" && process.arch === "x64";
    if (process.env.CI && isMissing) throw new Error("node-24 is not installed: run `npm ci`");
    console.error("\nNOT RUN on Node 24: it is not installed\n");
  }
  for (const node of [process.execPath, newest].filter(existsSync)) {
    const version = run(node, ["import.mjs"], project).trim();
    run(node, ["--no-warnings", "require.cjs"], project);
    console.log(`imported by Node ${version}: ${subpaths.join(" ")}`);
  }
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
