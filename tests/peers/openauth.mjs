// An issuer made of the `@openauthjs/openauth` package, on this machine, whose users type in a code that they were sent.
// It tells usersync of whoever has logged in, as `docs/providers/openauth.md` says.
// Out: one line {issuer} as soon as it listens. In: JSON lines {usersync, secret, email}; each is a login of that user,
// told to the usersync at this address, and is answered with {token, told}: an access token, and the answer of usersync.
// It ends with its input.
import { createServer } from "node:http";
import { createClient } from "@openauthjs/openauth/client";
import { issuer } from "@openauthjs/openauth";
import { CodeProvider } from "@openauthjs/openauth/provider/code";
import { MemoryStorage } from "@openauthjs/openauth/storage/memory";
import { createSubjects } from "@openauthjs/openauth/subject";
import { Webhook } from "standardwebhooks";
import { answerLines, say } from "./lines.mjs";

const CALLBACK = "http://localhost/callback";

// The package checks properties by any library that has this interface.
const properties = { "~standard": { version: 1, vendor: "test", validate: (value) => ({ value }) } };

let usersync;
let told;
let sentCode;

async function tell(user) {
  const [id, now] = [crypto.randomUUID(), new Date()];
  const body = JSON.stringify({ type: "user.updated", timestamp: now, data: user });
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": new Webhook(usersync.secret).sign(id, now, body),
  };
  const answer = await fetch(`${usersync.url}/webhooks/openauth`, { method: "POST", headers, body });
  return answer.json();
}

const app = issuer({
  providers: {
    code: CodeProvider({
      request: async () => new Response("a form"),
      sendCode: async (_, code) => {
        sentCode = code;
      },
    }),
  },
  storage: MemoryStorage(),
  subjects: createSubjects({ user: properties }),
  ttl: { access: 3600 },
  success: async (context, { claims }) => {
    // The id that the app has for this email.
    const user = { id: `user of ${claims.email}`, email: claims.email };
    told = await tell(user);
    return context.subject("user", user, { subject: user.id });
  },
});

const server = createServer(async (request, response) => {
  const answer = await app.request(`http://${request.headers.host}${request.url}`);
  response.writeHead(answer.status, Object.fromEntries(answer.headers));
  response.end(await answer.text());
});
await new Promise((listening) => server.listen(0, "127.0.0.1", listening));
const url = `http://127.0.0.1:${server.address().port}`;

/** Logs in as a browser does, with its cookies, and gives the address that it is sent back to. */
async function logIn(start, email) {
  const cookies = new Map();
  const ask = async (to, form) => {
    const headers = { cookie: [...cookies].map((pair) => pair.join("=")).join("; ") };
    const body = form && new URLSearchParams(form);
    const answer = await app.request(new URL(to, url).href, { method: form ? "POST" : "GET", headers, body });
    for (const cookie of answer.headers.getSetCookie()) cookies.set(...cookie.split(";")[0].split(/=(.*)/s, 2));
    return answer.headers.get("location");
  };
  const page = await ask(start);
  await ask(page);
  await ask(page, { action: "request", email });
  return ask(page, { action: "verify", code: sentCode });
}

say({ issuer: url });
await answerLines(async ({ usersync: address, secret, email }) => {
  usersync = { url: address, secret };
  const client = createClient({ clientID: "my-app", issuer: url, fetch: (to, init) => app.request(to, init) });
  const { url: start, challenge } = await client.authorize(CALLBACK, "code", { pkce: true, provider: "code" });
  const returned = new URL(await logIn(start, email));
  const { err, tokens } = await client.exchange(returned.searchParams.get("code"), CALLBACK, challenge.verifier);
  if (err) throw err;
  return { token: tokens.access, told };
});
server.close();
server.closeAllConnections();
