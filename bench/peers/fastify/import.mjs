// What people write today to read their users in: page through the list, upsert one user after the other.
// No transaction, no position: after a crash it begins anew.

import { parseArgs } from "node:util";
import pg from "pg";

const { values: options } = parseArgs({
  options: { database: { type: "string" }, api: { type: "string" } },
});

const database = new pg.Client({ connectionString: options.database });
await database.connect();
await database.query(`
  CREATE TABLE IF NOT EXISTS imported_users (
    id text PRIMARY KEY,
    username text,
    first_name text,
    last_name text,
    email text,
    image_url text,
    metadata jsonb,
    created_at timestamptz,
    updated_at timestamptz NOT NULL
  )`);
await database.query("CREATE INDEX IF NOT EXISTS imported_users_email ON imported_users (email)");

const UPSERT = {
  name: "upsert",
  text: `
    INSERT INTO imported_users (id, username, first_name, last_name, email, image_url, metadata, created_at, updated_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::float8 / 1000), to_timestamp($9::float8 / 1000))
    ON CONFLICT (id) DO UPDATE SET
      username = excluded.username, first_name = excluded.first_name, last_name = excluded.last_name,
      email = excluded.email, image_url = excluded.image_url, metadata = excluded.metadata,
      updated_at = excluded.updated_at
    WHERE imported_users.updated_at < excluded.updated_at`,
};

let after = "";
for (;;) {
  const answer = await fetch(`${options.api}/users?order_by=%2Bcreated_at&limit=500${after}`, {
    headers: { authorization: "Bearer sk_live_bench" },
  });
  const users = await answer.json();
  if (users.length === 0) break;
  for (const user of users) {
    const email = user.email_addresses.find((one) => one.id === user.primary_email_address_id);
    await database.query({
      ...UPSERT,
      values: [
        user.id,
        user.username,
        user.first_name,
        user.last_name,
        email?.email_address,
        user.image_url,
        user.public_metadata,
        user.created_at,
        user.updated_at,
      ],
    });
  }
  after = `&starting_after=${users.at(-1).id}`;
}
await database.end();
