import type { ProblemCode } from "./types";

/** Marks our errors, also those of a second copy of this package. */
const brand = Symbol.for("usersync.error");

/** What an error is made of. */
export type ErrorFields = Pick<UsersyncError, "kind" | "code" | "detail"> &
  Partial<Pick<UsersyncError, "status" | "retryAfterSeconds" | "requestId" | "retryable" | "cause">>;

/** Every failure of this package. It never holds a token. */
export class UsersyncError extends Error {
  /**
   * - `problem`: the service refused; `code` and `status` say why.
   * - `network`: no answer came.
   * - `timeout`: no answer came in time.
   * - `token`: the token could not be got, or is none.
   * - `protocol`: the answer is not one of usersync's. Mostly the URL is wrong.
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

  constructor(fields: ErrorFields) {
    super(`${fields.code}: ${fields.detail}`);
    Object.assign(this, { name: "UsersyncError", status: 0, retryable: false, [brand]: true }, fields);
  }
}

/** Whether a value is an error of this package, whichever copy of it made the error. */
export function isUsersyncError(value: unknown): value is UsersyncError {
  return typeof value === "object" && value !== null && brand in value;
}

/** Seconds of a `Retry-After` header: a number of seconds, or a date (RFC 9110, 10.2.3). */
export function retryAfter(headers: Headers, now: number): number | undefined {
  const value = headers.get("retry-after");
  if (!value) return undefined;
  const seconds = +value;
  // A date that has passed, or what is neither, is no reason to wait.
  return seconds >= 0 ? seconds : Math.max(0, (Date.parse(value) - now) / 1000) || undefined;
}

const transientStatuses = [429, 502, 503, 504];

/** The error that an answer is. A body that is no problem document is kept out of the message. */
export async function errorOf(response: Response, now: number): Promise<UsersyncError> {
  const { status, headers } = response;
  const body = (await response.json().catch(() => null)) as { code?: unknown; detail?: unknown } | null;
  const common = {
    status,
    retryAfterSeconds: retryAfter(headers, now),
    requestId: headers.get("x-request-id") ?? undefined,
    retryable: [429, 502, 503, 504].includes(status),
  };
  return typeof body?.code === "string"
    ? new UsersyncError({ kind: "problem", code: body.code, detail: `${body.detail}`, ...common })
    : notUsersync(response, common);
}

/** An answer that usersync does not give. */
export function notUsersync(response: Response | undefined, more?: Partial<ErrorFields>): UsersyncError {
  const what = response ? `${response.status}, ${response.headers.get("content-type")}` : "broken off";
  const detail = `The answer (${what}) is not usersync's. Check \`url\`, and what stands between.`;
  return new UsersyncError({ kind: "protocol", code: "unexpected_answer", detail, ...more });
}
