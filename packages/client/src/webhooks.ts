// Events of usersync, signed as Standard Webhooks (https://www.standardwebhooks.com), verified by WebCrypto.

import { UsersyncError } from "./error";
import type { User } from "./types";

export { UsersyncError, isUsersyncError } from "./error";

interface EventFields<Type extends string, Data> {
  readonly type: Type;
  /** The provider's own time of the change. */
  readonly timestamp: string;
  readonly data: Data;
  /** Higher for each event of a user: an event whose number is not higher than the last one is a repetition. */
  readonly sequence: string;
  /** For an update, the names of the changed fields. */
  readonly changed: readonly string[];
}

/**
 * An event of usersync about a user. `users.resync` means that events are missing: list the users and continue from there.
 * `users.test` comes from `usersync endpoints test`.
 */
export type UsersyncEvent =
  | EventFields<"user.created", User>
  | EventFields<"user.updated", User>
  | EventFields<"user.deleted", { readonly id: string; readonly source: string; readonly externalId: string }>
  | EventFields<"users.resync" | "users.test", Record<string, never>>;

type HeaderSource = Headers | Record<string, string | string[] | undefined>;

/** How far the signature's time may be from now, in seconds. */
const tolerance = 300;

/**
 * The event, if one of the secrets (`whsec_…`) signed these bytes within five minutes; throws a `UsersyncError`
 * otherwise. Pass the body exactly as it was received: parsed and serialized again it may differ.
 */
export async function verifyEvent(
  payload: string | Uint8Array,
  headers: HeaderSource,
  secrets: string | readonly string[],
  now: number = Date.now(),
): Promise<UsersyncEvent> {
  const get = (name: string) => {
    const value = headers instanceof Headers ? headers.get(name) : headers[name];
    return typeof value === "string" ? value : "";
  };
  const [id, timestamp, signatures] = [get("webhook-id"), get("webhook-timestamp"), get("webhook-signature")];
  if (!id || !timestamp || !signatures) {
    throw refusal("missing_signature", "The headers webhook-id, webhook-timestamp and webhook-signature are needed, each once.");
  }
  if (!/^\d+$/.test(timestamp) || Math.abs(now / 1000 - Number(timestamp)) > tolerance) {
    throw refusal("stale_timestamp", "The signature's time is more than five minutes from now. Check the clocks.");
  }
  const encoder = new TextEncoder();
  const body = typeof payload === "string" ? encoder.encode(payload) : payload;
  const head = encoder.encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(head.length + body.length);
  signed.set(head);
  signed.set(body, head.length);
  const candidates = signatures.split(" ").filter((one) => one.startsWith("v1,"));
  for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
    const key = await crypto.subtle.importKey("raw", keyOf(secret), { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const candidate of candidates) {
      const signature = bytesOf(candidate.slice(3));
      if (signature && (await crypto.subtle.verify("HMAC", key, signature, signed))) return parse(body);
    }
  }
  throw refusal("invalid_signature", "No secret matches. Check that the secret belongs to this endpoint, and that the body is unchanged.");
}

function keyOf(secret: string): Uint8Array<ArrayBuffer> {
  const key = bytesOf(secret.trim().replace(/^whsec_/, ""));
  if (key && key.length > 0) return key;
  throw refusal("invalid_secret", "A secret is `whsec_` and base64.");
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | null {
  try {
    return Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));
  } catch {
    return null;
  }
}

function parse(body: Uint8Array): UsersyncEvent {
  try {
    return JSON.parse(new TextDecoder().decode(body)) as UsersyncEvent;
  } catch (cause) {
    throw refusal("invalid_json", "The signature is valid, but the body is not JSON.", cause);
  }
}

function refusal(code: string, detail: string, cause?: unknown): UsersyncError {
  return new UsersyncError("protocol", code, detail, { status: 400, cause });
}
