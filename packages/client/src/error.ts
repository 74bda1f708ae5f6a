import { claimsOf } from "./jwt";
import type { ProblemCode } from "./types";

/** Marks our errors, also those of a second copy of this package. */
const brand = Symbol.for("usersync.error");

/** Optional details of an error. */
export type ErrorFields = Partial<
  Pick<UsersyncError, "kind" | "code" | "detail" | "status" | "retryAfterSeconds" | "requestId" | "retryable" | "cause">
>;

/** Every failure of this package. It never contains a token. */
export class UsersyncError extends Error {
  /**
   * - `problem`: the service refused; `code` and `status` contain the reason.
   * - `network`: there was no answer.
   * - `timeout`: the service did not answer in time.
   * - `token`: the token could not be fetched, or is not a token.
   * - `protocol`: the answer is not from usersync. Usually the URL is wrong.
   */
  declare readonly kind: "problem" | "network" | "timeout" | "token" | "protocol";
  /** Stable name for programs. */
  declare readonly code: ProblemCode | (string & {});
  /** The HTTP status; 0 where there was no answer. */
  declare readonly status: number;
  /** What to do about it. */
  declare readonly detail: string;
  declare readonly retryAfterSeconds: number | undefined;
  /** Names the request in the service's log. */
  declare readonly requestId: string | undefined;
  /** Whether the same request may succeed later. */
  declare readonly retryable: boolean;

  constructor(kind: UsersyncError["kind"], code: string, detail: string, more?: ErrorFields) {
    super(`${code}: ${detail}`);
    const name = "UsersyncError";
    Object.assign(this, { name, status: 0, retryable: false, [brand]: true, kind, code, detail }, more);
  }
}

/** Whether a value is an error of this package, whichever copy of it made the error. */
export function isUsersyncError(value: unknown): value is UsersyncError {
  return brand in Object(value);
}

/** The error for an answer. A body that is not a problem document is not part of the message. */
export async function errorOf(response: Response, now: number, token: string): Promise<UsersyncError> {
  const { status, headers } = response;
  const body = (await response.json().catch(() => {})) as { code?: string; detail?: string } | undefined;
  // A number of seconds, or a date (RFC 9110, 10.2.3).
  const asked = headers.get("retry-after")!;
  const seconds = +asked || (Date.parse(asked) - now) / 1000;
  const more = {
    status,
    // A date in the past, or an invalid value, is ignored; then the backoff applies.
    retryAfterSeconds: seconds > 0 ? seconds : undefined,
    requestId: headers.get("x-request-id") ?? undefined,
    retryable: status === 429 || (status > 501 && status < 505),
  };
  if (!body?.code) return notUsersync(response, more);
  let { detail = "" } = body;
  if (body.code === "no_auth_provider") {
    const { iss, aud } = claimsOf(token);
    detail += ` The token's iss: ${iss}, aud: ${aud}. See \`usersync explain token\`.`;
  }
  return new UsersyncError("problem", body.code, detail, more);
}

/** An answer that is not from usersync. */
export function notUsersync(response?: Response, more?: ErrorFields): UsersyncError {
  const what = response ? ` (${response.status}, ${response.headers.get("content-type")})` : "";
  const detail = `The answer${what} is not from usersync. Check \`url\`.`;
  return new UsersyncError("protocol", "unexpected_answer", detail, more);
}

/** Whether another token may be accepted. */
export function isTokenRefused({ status, code }: Partial<UsersyncError> = {}): boolean {
  return status === 401 && code !== "no_auth_provider";
}

/**
 * How long to wait before the next attempt, in milliseconds: as requested by the service and up to 25 % more, or by
 * backoff: 1, 2, 4 … 60 s, each 50 % more or less.
 */
export function pause(error: UsersyncError, failures: number, random: number): number {
  const asked = error.retryAfterSeconds;
  return asked
    ? asked * 1000 * (1 + random / 4)
    : Math.min(60_000, 1000 * 2 ** (failures - 1)) * (0.5 + random);
}
