// Two ways to sign in, each as its own documentation has it: an OpenID Connect provider, and a better-auth server that
// tells usersync of its users by signed webhooks.

import { betterAuth } from "better-auth";
import { memoryAdapter } from "better-auth/adapters/memory";
import { toNodeHandler } from "better-auth/node";
import { jwt } from "better-auth/plugins";
import express from "express";
import { Provider } from "oidc-provider";
import { Webhook } from "standardwebhooks";

const {
  APP_URL = "http://localhost:5173",
  BETTER_AUTH_SECRET = "only-for-the-example-on-this-machine",
  PORT = "3001",
  USERSYNC_URL = "http://127.0.0.1:8787",
  WEBHOOK_SECRET = "whsec_b25seS1mb3ItdGhlLWV4YW1wbGUtaGVyZQ==",
} = process.env;

const oidc = new Provider(`${APP_URL}/oidc`, {
  clients: [{ client_id: "messages", redirect_uris: [`${APP_URL}/oidc.html`], token_endpoint_auth_method: "none" }],
  claims: { openid: ["sub"], profile: ["name"] },
  // The name belongs into the ID token, for usersync stores the user from it.
  conformIdTokenClaims: false,
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, name: id }) }),
});

/** Sends an event to usersync. A real app keeps it until it was accepted, and sends it again. */
const tell = (type) => async (user) => {
  const [id, now] = [crypto.randomUUID(), new Date()];
  const body = JSON.stringify({ type, timestamp: now, data: user });
  const headers = {
    "webhook-id": id,
    "webhook-timestamp": String(Math.floor(now / 1000)),
    "webhook-signature": new Webhook(WEBHOOK_SECRET).sign(id, now, body),
  };
  await fetch(`${USERSYNC_URL}/webhooks/better-auth`, { method: "POST", headers, body }).catch(console.error);
};

const auth = betterAuth({
  baseURL: APP_URL,
  secret: BETTER_AUTH_SECRET,
  database: memoryAdapter({ account: [], jwks: [], session: [], user: [], verification: [] }),
  emailAndPassword: { enabled: true },
  user: { deleteUser: { enabled: true } },
  plugins: [jwt()],
  databaseHooks: {
    user: {
      create: { after: tell("user.created") },
      update: { after: tell("user.updated") },
      delete: { after: tell("user.deleted") },
    },
  },
});

const app = express();
app.use("/oidc", oidc.callback());
app.all("/api/auth/{*path}", toNodeHandler(auth));
const server = app.listen(Number(PORT), "127.0.0.1", () => {
  console.log(`providers at http://127.0.0.1:${server.address().port}`);
});
