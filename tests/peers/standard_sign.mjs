// Signs deliveries, and checks ours, with the `standardwebhooks` package of the specification's own authors.
// In: JSON lines {secret, id, timestamp (epoch seconds), body (base64)}. Out: one line {signature} for each.
// With a `signature` in it, a line is checked instead, by the system's clock: {} if it is good, else {refused}.
import { Webhook } from "standardwebhooks";
import { answerLines, textOf } from "./lines.mjs";

await answerLines(({ secret, id, timestamp, body, signature }) => {
  const webhook = new Webhook(secret);
  if (signature === undefined) {
    return { signature: webhook.sign(id, new Date(timestamp * 1000), textOf(body)) };
  }
  const headers = { "webhook-id": id, "webhook-timestamp": `${timestamp}`, "webhook-signature": signature };
  try {
    webhook.verify(textOf(body), headers);
    return {};
  } catch (error) {
    return { refused: error.message };
  }
});
