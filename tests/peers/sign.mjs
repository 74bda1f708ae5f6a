// Signs deliveries with the `svix` package that the providers' own scripts use.
// In: JSON lines {secret, id, timestamp (epoch seconds), body (base64)}. Out: one line {signature} for each.
import { createInterface } from "node:readline";
import { Webhook } from "svix";

// The package signs text; a body that is none would be signed as something else than what is sent.
const text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

for await (const line of createInterface({ input: process.stdin })) {
  const { secret, id, timestamp, body } = JSON.parse(line);
  const payload = text.decode(Buffer.from(body, "base64"));
  const signature = new Webhook(secret).sign(id, new Date(timestamp * 1000), payload);
  console.log(JSON.stringify({ signature }));
}
