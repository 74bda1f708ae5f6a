// An Action for an Auth0 event stream: sends every event to usersync, signed as Svix signs.
//
// Dependency: svix. Secrets: USERSYNC_URL (https://…/webhooks/auth0) and USERSYNC_SECRET (whsec_…, the one that
// usersync has in AUTH0_WEBHOOK_SECRET). See README.md beside this file.

const { Webhook } = require("svix");

// Auth0 stops an Action after 20 seconds.
const TIMEOUT_MS = 10_000;

exports.onExecuteEventStream = async (event) => {
  const { USERSYNC_URL, USERSYNC_SECRET } = event.secrets;
  // The event keeps its id when Auth0 tries again, so usersync recognises it.
  const { id } = event.message;
  const body = JSON.stringify(event.message);
  const now = new Date();

  const answer = await fetch(USERSYNC_URL, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      "svix-id": id,
      "svix-timestamp": String(Math.floor(now.getTime() / 1000)),
      "svix-signature": new Webhook(USERSYNC_SECRET).sign(id, now, body),
    },
    body,
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  // An error that is thrown here, or by fetch, makes Auth0 try again and is shown in its dashboard.
  if (!answer.ok) throw new Error(`usersync answered ${answer.status}: ${await answer.text()}`);
};
