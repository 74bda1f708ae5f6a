// Signs deliveries with the `svix` package that the providers' own scripts use.
// In: JSON lines {secret, id, timestamp (epoch seconds), body (base64)}. Out: one line {signature} for each.
import { Webhook } from "svix";
import { answerLines, textOf } from "./lines.mjs";

await answerLines(({ secret, id, timestamp, body }) => ({
  signature: new Webhook(secret).sign(id, new Date(timestamp * 1000), textOf(body)),
}));
