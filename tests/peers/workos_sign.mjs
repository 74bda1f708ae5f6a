// Signs deliveries, and checks ours, with WorkOS's own SDK.
// In: JSON lines {secret, timestamp (epoch milliseconds), body (base64)}. Out: one line {signature} for each, the value
// of the header `WorkOS-Signature`.
// With a `signature` in it, a line is checked instead, by the system's clock: {} if it is good, else {refused}.
import { WorkOS } from "@workos-inc/node";
import { answerLines, textOf } from "./lines.mjs";

// The key is for the API, which is never called.
const { webhooks } = new WorkOS("sk_test_unused");

// The SDK takes the payload parsed and writes it again to sign it, so a body must be as JSON.stringify has it.
function payloadOf(body) {
  const text = textOf(body);
  const payload = JSON.parse(text);
  if (JSON.stringify(payload) !== text) {
    throw new Error("the SDK would sign another body than this one");
  }
  return payload;
}

await answerLines(async ({ secret, timestamp, body, signature }) => {
  const payload = payloadOf(body);
  if (signature === undefined) {
    const hash = await webhooks.computeSignature(timestamp, payload, secret);
    return { signature: `t=${timestamp}, v1=${hash}` };
  }
  try {
    await webhooks.verifyHeader({ payload, sigHeader: signature, secret });
    return {};
  } catch (error) {
    return { refused: error.message };
  }
});
