import { createClock, sleep, within } from "./clock";
import type { ServerClock } from "./clock";
import { UsersyncError, errorOf, isTokenRefused, notUsersync, pause } from "./error";
import type { LogEvent } from "./types";

/** Returns a valid token, if possible another one than the refused one; or throws a `UsersyncError`. */
export type GetToken = (refused?: string) => Promise<string>;

export interface HttpOptions {
  url: string;
  fetch?: typeof globalThis.fetch;
  /** How long an answer may take, in addition to a requested `wait`: 15. */
  timeoutSeconds?: number;
  /** How often a request is repeated after a temporary failure: 3. */
  retries?: number;
  log?: (event: LogEvent) => void;
}

/** The options of a request. */
export interface RequestOptions {
  method?: "GET" | "POST";
  signal?: AbortSignal | undefined;
  /** How many seconds the service may wait for a row. */
  wait?: number;
}

export interface Http {
  readonly clock: ServerClock;
  /** Sends one request as the user of the token; an answer that is not 2xx is thrown as an error. */
  send(path: string, token: string, signal: AbortSignal, headers?: object, method?: string): Promise<Response>;
  /** Requests JSON: again with a new token after a 401, and again later after a temporary failure. */
  ask<T>(getToken: GetToken, path: string, options?: RequestOptions): Promise<{ status: number; body: T }>;
}

export function createHttp({ url, fetch, timeoutSeconds = 15, retries = 3, log }: HttpOptions): Http {
  const clock = createClock();
  const base = url.replace(/\/+$/, "");

  const send: Http["send"] = async (path, token, signal, headers, method = "GET") => {
    let response: Response | undefined;
    try {
      // Looked up at each call, so that a test or a tracing library may replace it.
      response = await (fetch ?? globalThis.fetch)(base + path, {
        cache: "no-store", redirect: "error", method, headers: { authorization: `Bearer ${token}`, ...headers }, signal,
      });
    } catch (cause) {
      signal.throwIfAborted();
      const detail = "No answer. Check the network, `url` and `server.cors_origins`.";
      throw new UsersyncError("network", "network", detail, { retryable: true, cause });
    } finally {
      log?.({ path, status: response?.status ?? 0 });
    }
    clock.observe(response.headers);
    if (response.ok) return response;
    throw await errorOf(response, clock.now(), token);
  };

  const ask: Http["ask"] = async (getToken, path, { method, signal, wait = 0 } = {}) => {
    const attempt = (token: string) =>
      within(timeoutSeconds + wait, signal, async (signal) => {
        const response = await send(wait ? `${path}?wait=${wait}` : path, token, signal, {}, method);
        const body = await response.json().catch((cause: unknown) => {
          signal.throwIfAborted();
          throw notUsersync(response, { cause });
        });
        return { status: response.status, body };
      });
    for (let failures = 1; ; failures++) {
      try {
        return await withToken(getToken, attempt);
      } catch (cause) {
        const error = cause as UsersyncError;
        if (!error.retryable || failures > retries) throw error;
        await sleep(pause(error, failures, Math.random()), signal);
      }
    }
  };

  return { clock, send, ask };
}

/** Tries with a token and, if that is refused, once with another one. */
export async function withToken<T>(getToken: GetToken, attempt: (token: string) => Promise<T>): Promise<T> {
  const token = await getToken();
  try {
    return await attempt(token);
  } catch (error) {
    if (!isTokenRefused(error as UsersyncError)) throw error;
    const another = await getToken(token);
    if (another === token) throw error;
    return attempt(another);
  }
}
