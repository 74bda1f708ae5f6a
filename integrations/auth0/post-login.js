// A post-login Action: sends usersync the user who has just signed in, signed as Svix signs.
//
// For tenants without event streams, or in addition to one. It never reports deletions. A failure is only logged: it
// never stops anybody from signing in.
//
// Dependency: svix. Secrets: USERSYNC_URL (https://…/webhooks/auth0) and USERSYNC_SECRET (whsec_…, the one that
// usersync has in AUTH0_WEBHOOK_SECRET). See README.md beside this file.

const { randomUUID } = require("crypto");
const { Webhook } = require("svix");

// The person who signs in waits for this.
const TIMEOUT_MS = 3_000;

// What usersync stores; app_metadata and everything else stay at Auth0.
const FIELDS = [
  "user_id",
  "name",
  "given_name",
  "family_name",
  "nickname",
  "username",
  "email",
  "email_verified",
  "phone_number",
  "phone_verified",
  "picture",
  "user_metadata",
  "created_at",
  "updated_at",
];

exports.onExecutePostLogin = async (event) => {
  try {
    await send(event);
  } catch (error) {
    console.log(`usersync was not notified of a sign-in: ${error.message}`);
  }
};

async function send({ user, tenant, secrets }) {
  const id = `login_${randomUUID()}`;
  const now = new Date();
  const body = JSON.stringify({
    specversion: "1.0",
    type: "user.updated",
    source: `urn:auth0:${tenant?.id}:post-login`,
    id,
    time: now.toISOString(),
    data: { object: Object.fromEntries(FIELDS.map((field) => [field, user[field]])) },
  });

  const answer = await fetch(secrets.USERSYNC_URL, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "svix-id": id,
      "svix-timestamp": String(Math.floor(now.getTime() / 1000)),
      "svix-signature": new Webhook(secrets.USERSYNC_SECRET).sign(id, now, body),
    },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) throw new Error(`it answered ${answer.status}: ${await answer.text()}`);
}
