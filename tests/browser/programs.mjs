// The programs that the tests start: usersync itself, and the examples' servers.
import { spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const usersync = process.env.USERSYNC_PROGRAM;
export const repository = fileURLToPath(new URL("../..", import.meta.url));
export const viteExample = join(repository, "examples/react-vite");
export const nextExample = join(repository, "examples/nextjs");

const running = new Set();

/** Starts a program, and resolves as soon as it has printed a line with this text: `{ line, stop }`. */
export async function start(command, args, { ready, env = {}, cwd } = {}) {
  const child = spawn(command, args, { cwd, env: { PATH: process.env.PATH, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  const ended = once(child, "exit").then(() => running.delete(child));
  let said = "";
  const line = await new Promise((resolve, reject) => {
    const hear = (chunk) => {
      said += chunk;
      const found = said.split("\n").slice(0, -1).find((one) => one.includes(ready));
      if (found) resolve(found);
    };
    child.stdout.setEncoding("utf8").on("data", hear);
    child.stderr.setEncoding("utf8").on("data", hear);
    ended.then(() => reject(new Error(`${command} ${args.join(" ")} ended: ${said}`)));
  });
  const stop = async () => {
    child.kill();
    await ended;
  };
  return { line, stop, said: () => said, signal: (name) => child.kill(name) };
}

/** Runs a program to its end. */
export async function run(command, args, { env = {}, cwd } = {}) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (chunk) => (said += chunk));
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${said}`);
  return said;
}

export async function stopAll() {
  for (const child of running) child.kill();
}

/** A port below those that the system gives to others by itself, so that nobody takes it before it is listened on. */
export async function freePort() {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000);
    const server = createServer();
    const isFree = await new Promise((resolve) => {
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true));
    });
    if (!isFree) continue;
    server.close();
    await once(server, "close");
    return port;
  }
}

/** `usersync dev`, in a directory of its own. It can be stopped and started again at the same address. */
export async function startDev() {
  const directory = await mkdtemp(join(tmpdir(), "usersync-"));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const begin = () =>
    start(usersync, ["dev", "--listen", `127.0.0.1:${port}`], { cwd: directory, ready: "Press Ctrl-C to stop" });
  let process = await begin();
  const { secret, service_key: serviceKey } = JSON.parse(await readFile(join(directory, ".usersync/dev.json"), "utf8"));
  const created = JSON.parse(await readFile(join(directory, ".usersync/user_created.json"), "utf8"));
  return {
    url,
    secret,
    created,
    serviceKey,
    stop: () => process.stop(),
    /** It keeps its connections, and does nothing. */
    suspend: () => process.signal("SIGSTOP"),
    resume: () => process.signal("SIGCONT"),
    start: async () => {
      process = await begin();
    },
    /** The provider tells of a user, as Clerk does; resolves after the commit. */
    tell: (id, [first_name, last_name]) => {
      const now = Date.now();
      const data = { ...created.data, id, first_name, last_name, updated_at: now };
      return deliver(`${url}/webhooks/dev`, secret, { ...created, type: "user.updated", timestamp: now, data });
    },
    delete: (id) => {
      const event = { data: { deleted: true, id, object: "user" }, object: "event", type: "user.deleted", timestamp: Date.now() };
      return deliver(`${url}/webhooks/dev`, secret, event);
    },
    end: async () => {
      await process.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Sends an event as Clerk does; resolves after the commit. */
export async function deliver(url, secret, event, expected = "applied") {
  const [id, seconds, body] = [crypto.randomUUID(), Math.floor(Date.now() / 1000), JSON.stringify(event)];
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${seconds}.${body}`).digest("base64");
  const headers = { "svix-id": id, "svix-timestamp": String(seconds), "svix-signature": `v1,${signature}` };
  const answer = await fetch(url, { method: "POST", headers, body });
  const { outcome } = await answer.json();
  if (outcome !== expected) throw new Error(`the delivery was answered ${answer.status} ${outcome}`);
}

/** `usersync serve` with this configuration. */
export async function startService(configuration, env) {
  const directory = await mkdtemp(join(tmpdir(), "usersync-"));
  await writeFile(join(directory, "usersync.toml"), configuration);
  const process = await start(usersync, ["serve"], { cwd: directory, env, ready: "sources" });
  return {
    /** Runs a command with the same configuration. */
    command: (...args) => run(usersync, args, { cwd: directory, env }),
    end: async () => {
      await process.stop();
      await rm(directory, { recursive: true });
    },
  };
}

const vite = join(viteExample, "node_modules/vite/bin/vite.js");

/** Checks the example's types. */
export function checkTypes() {
  return run("node", [join(viteExample, "node_modules/typescript/bin/tsc"), "--noEmit"], { cwd: viteExample });
}

/** Builds the example into a folder of its own below `dist`. */
export function build(name, { isDevelopment = false, config } = {}) {
  const mode = isDevelopment ? "development" : "production";
  const args = [vite, "build", "--mode", mode, "--outDir", `dist/${name}`, "--emptyOutDir"];
  return run("node", config ? [...args, "--config", config] : args, { cwd: viteExample, env: { NODE_ENV: mode } });
}

/** Serves a build, with the messages server behind it. */
export async function serveExample(name, { usersyncUrl, port, env = {} }) {
  const messages = await start("node", ["server/messages.js"], {
    cwd: viteExample,
    env: { PORT: "0", USERSYNC_URL: usersyncUrl },
    ready: "messages at",
  });
  const at = port ?? (await freePort());
  const args = [vite, "preview", "--outDir", `dist/${name}`, "--port", String(at), "--strictPort"];
  const pages = await start("node", args, {
    cwd: viteExample,
    env: { USERSYNC_URL: usersyncUrl, MESSAGES_URL: messages.line.split("messages at ")[1], NO_COLOR: "1", ...env },
    ready: "Local",
  });
  return {
    url: `http://localhost:${at}`,
    end: () => Promise.all([messages.stop(), pages.stop()]),
  };
}

/** A network between a page and its server, which can be cut. */
export async function startNetwork(serverUrl) {
  const port = await freePort();
  const sockets = new Set();
  const server = createServer((near) => {
    const far = connect(Number(new URL(serverUrl).port), "localhost");
    for (const [from, to] of [[near, far], [far, near]]) {
      sockets.add(from);
      // A connection that is cut is no fault of the test.
      from.on("error", () => {}).on("close", () => {
        sockets.delete(from);
        to.destroy();
      });
      from.pipe(to);
    }
  });
  const restore = () => new Promise((resolve) => server.listen(port, "127.0.0.1", resolve));
  await restore();
  return {
    url: `http://localhost:${port}`,
    restore,
    cut: () => {
      for (const socket of sockets) socket.destroy();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}
