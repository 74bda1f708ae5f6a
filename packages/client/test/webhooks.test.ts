import { Webhook as StandardWebhook } from "standardwebhooks";
import { Webhook as SvixWebhook } from "svix";
import { describe, expect, test } from "vitest";

import { isUsersyncError, verifyEvent } from "../src/webhooks";

const secret = `whsec_${btoa("0123456789abcdef0123456789abcdef")}`;
const other = `whsec_${btoa("fedcba9876543210fedcba9876543210")}`;
const body = JSON.stringify({
  type: "user.deleted",
  timestamp: "2026-01-01T12:00:00Z",
  data: { id: "1", source: "clerk", externalId: "é😀" },
  sequence: "7",
  changed: [],
});

function signed(with_ = secret, at = new Date(), sign = (id: string) => new StandardWebhook(with_).sign(id, at, body)) {
  return {
    "webhook-id": "evt_1",
    "webhook-timestamp": String(Math.floor(at.getTime() / 1000)),
    "webhook-signature": sign("evt_1"),
  };
}

describe("an event is verified", () => {
  test("as the standardwebhooks and svix packages sign it, as text and as bytes", async () => {
    const at = new Date();
    const bySvix = signed(secret, at, (id) => new SvixWebhook(secret).sign(id, at, body));
    for (const headers of [signed(), bySvix, new Headers(signed())]) {
      for (const payload of [body, new TextEncoder().encode(body)]) {
        expect(await verifyEvent(payload, headers, secret)).toEqual(JSON.parse(body));
      }
    }
  });

  test("with any of several secrets and any of several signatures, while one is rotated", async () => {
    expect(await verifyEvent(body, signed(other), [secret, other])).toMatchObject({ sequence: "7" });
    const both = { ...signed(), "webhook-signature": `v1a,AAAA ${signed(other)["webhook-signature"]} ${signed()["webhook-signature"]}` };
    expect(await verifyEvent(body, both, secret)).toMatchObject({ sequence: "7" });
  });
});

describe("an event is refused", () => {
  const now = Date.now();
  const at = (seconds: number) => signed(secret, new Date(now + seconds * 1000));
  test.each([
    ["changed on its way", `${body} `, signed(), "invalid_signature"],
    ["signed by somebody else", body, signed(other), "invalid_signature"],
    ["signed long ago", body, at(-310), "stale_timestamp"],
    ["signed in the future", body, at(310), "stale_timestamp"],
    ["with a time that is no number", body, { ...signed(), "webhook-timestamp": "soon" }, "stale_timestamp"],
    ["without a signature", body, { ...signed(), "webhook-signature": undefined }, "missing_signature"],
    ["with a header twice", body, { ...signed(), "webhook-id": ["evt_1", "evt_2"] }, "missing_signature"],
    ["with a signature that is no base64", body, { ...signed(), "webhook-signature": "v1,%%%" }, "invalid_signature"],
    ["with another version alone", body, { ...signed(), "webhook-signature": "v2,AAAA" }, "invalid_signature"],
  ])("%s", async (_, payload, headers, code) => {
    const error: unknown = await verifyEvent(payload, headers, secret, now).catch((it: unknown) => it);
    expect(isUsersyncError(error) && error.code).toBe(code);
  });

  test("because the secret is none, or the body is no JSON", async () => {
    await expect(verifyEvent(body, signed(), "whsec_%")).rejects.toMatchObject({ code: "invalid_secret" });
    await expect(verifyEvent(body, signed(), "")).rejects.toMatchObject({ code: "invalid_secret" });
    const headers = { ...signed(), "webhook-signature": new StandardWebhook(secret).sign("evt_1", new Date(), "{") };
    await expect(verifyEvent("{", headers, secret)).rejects.toMatchObject({ code: "invalid_json" });
  });
});
