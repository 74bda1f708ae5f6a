// What people write today. The webhook: verify with Svix's package, upsert with pg, answer. No journal.
// The current user: verify the token with jose, read the row by its primary key, answer.
//
// Written to be fast within that: named prepared statements, a pool, no log, the body parsed once, the key imported
// once, the answer serialised by its schema.
// One process, as it is usually deployed; JavaScript runs on one core of it.

import { parseArgs } from "node:util";
import Fastify from "fastify";
import { importJWK, jwtVerify } from "jose";
import pg from "pg";
import { Webhook, WebhookVerificationError } from "svix";

const { values: options } = parseArgs({
  options: {
    port: { type: "string" },
    database: { type: "string" },
    secret: { type: "string" },
    // Of the tokens: a JWKS as a data: URI, `iss` and `aud`.
    keys: { type: "string" },
    issuer: { type: "string" },
    audience: { type: "string" },
    // 10, which is what pg does by itself, gives less.
    pool: { type: "string", default: "32" },
  },
});

const pool = new pg.Pool({ connectionString: options.database, max: Number(options.pool) });
const webhook = new Webhook(options.secret);

await pool.query(`
  CREATE TABLE IF NOT EXISTS users (
    id text PRIMARY KEY,
    username text,
    first_name text,
    last_name text,
    email text,
    email_verified boolean,
    phone_number text,
    image_url text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz NOT NULL
  )`);
await pool.query("CREATE INDEX IF NOT EXISTS users_email ON users (email)");

// A statement with a name is prepared once a connection.
const UPSERT = {
  name: "upsert",
  text: `
    INSERT INTO users (id, username, first_name, last_name, email, email_verified, phone_number, image_url, metadata,
                       created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, to_timestamp($10::float8 / 1000), to_timestamp($11::float8 / 1000))
    ON CONFLICT (id) DO UPDATE SET
      username = excluded.username, first_name = excluded.first_name, last_name = excluded.last_name,
      email = excluded.email, email_verified = excluded.email_verified, phone_number = excluded.phone_number,
      image_url = excluded.image_url, metadata = excluded.metadata, updated_at = excluded.updated_at
    WHERE users.updated_at < excluded.updated_at`,
};
const DELETE = { name: "delete", text: "DELETE FROM users WHERE id = $1" };

function upsert(user) {
  const email = user.email_addresses.find(({ id }) => id === user.primary_email_address_id);
  const phone = user.phone_numbers.find(({ id }) => id === user.primary_phone_number_id);
  return pool.query({
    ...UPSERT,
    values: [
      user.id,
      user.username,
      user.first_name,
      user.last_name,
      email?.email_address,
      email && email.verification?.status === "verified",
      phone?.phone_number,
      user.image_url,
      user.public_metadata,
      user.created_at,
      user.updated_at,
    ],
  });
}

const app = Fastify({ logger: false });

// The signature is over the raw bytes, and `verify` parses them itself.
app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) => done(null, body));

app.post("/webhooks/clerk", async (request, reply) => {
  let event;
  try {
    event = webhook.verify(request.body, request.headers);
  } catch (error) {
    if (!(error instanceof WebhookVerificationError)) throw error;
    return reply.code(400).send({ error: "invalid signature" });
  }
  switch (event.type) {
    case "user.created":
    case "user.updated": {
      const { rowCount } = await upsert(event.data);
      return { outcome: rowCount === 1 ? "applied" : "stale" };
    }
    case "user.deleted":
      await pool.query({ ...DELETE, values: [event.data.id] });
      return { outcome: "applied" };
    default:
      return { outcome: "ignored" };
  }
});

const { keys: jwks } = await (await fetch(options.keys)).json();
const keys = new Map(await Promise.all(jwks.map(async (jwk) => [jwk.kid, await importJWK(jwk, jwk.alg)])));
const RULES = { issuer: options.issuer, audience: options.audience, algorithms: ["RS256"], clockTolerance: 5 };

async function subjectOf(authorization) {
  if (!authorization?.startsWith("Bearer ")) return undefined;
  try {
    const token = authorization.slice("Bearer ".length);
    const { payload } = await jwtVerify(token, ({ kid }) => keys.get(kid), RULES);
    return payload.sub;
  } catch {
    return undefined;
  }
}

const CURRENT = {
  name: "current",
  text: `
    SELECT id, username, first_name, last_name, email, email_verified, phone_number, image_url, metadata, created_at,
           updated_at
    FROM users WHERE id = $1`,
};

const text = { type: "string", nullable: true };
const flag = { type: "boolean", nullable: true };
const time = { type: "string", format: "date-time", nullable: true };
const USER = {
  type: "object",
  properties: {
    externalId: { type: "string" },
    name: text,
    givenName: text,
    familyName: text,
    nickname: text,
    email: text,
    emailVerified: flag,
    phoneNumber: text,
    pictureUrl: text,
    metadata: {},
    createdAt: time,
    updatedAt: time,
  },
};

app.get("/v1/users/current", { schema: { response: { 200: USER } } }, async (request, reply) => {
  const subject = await subjectOf(request.headers.authorization);
  if (!subject) return reply.code(401).send({ error: "invalid token" });
  const { rows } = await pool.query({ ...CURRENT, values: [subject] });
  if (rows.length === 0) return reply.code(404).send({ error: "not synced" });
  const [user] = rows;
  return {
    externalId: user.id,
    name: [user.first_name, user.last_name].filter(Boolean).join(" ") || null,
    givenName: user.first_name,
    familyName: user.last_name,
    nickname: user.username,
    email: user.email,
    emailVerified: user.email_verified,
    phoneNumber: user.phone_number,
    pictureUrl: user.image_url,
    metadata: user.metadata,
    createdAt: user.created_at,
    updatedAt: user.updated_at,
  };
});

app.get("/readyz", async () => {
  await pool.query("SELECT 1");
  return { status: "ready" };
});

process.once("SIGTERM", async () => {
  await app.close();
  await pool.end();
});

await app.listen({ host: "127.0.0.1", port: Number(options.port) });
