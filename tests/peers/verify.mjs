// Verifies events that we have sent with the packages that apps use: `standardwebhooks` and `svix`.
// In: JSON lines {secret, headers, body}. Out: one line for each, with what each package says: "ok", or why not.
import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { answerLines } from "./lines.mjs";

async function said(verify) {
  try {
    await verify();
    return "ok";
  } catch (error) {
    return error.message;
  }
}

await answerLines(async ({ secret, headers, body }) => ({
  standardwebhooks: await said(() => new StandardWebhook(secret).verify(body, headers)),
  svix: await said(() => new SvixWebhook(secret).verify(body, headers)),
}));
