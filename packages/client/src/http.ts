import { ServerClock, backoff, sleep } from "./clock";
import { UsersyncError, errorOf, isUsersyncError, notUsersync } from "./error";

/** Gives a token; with `force` another one than before, or `null` if there is no other. */
export interface TokenGiver {
  get(force: boolean): Promise<string | null>;
}

/** What a request may be given. */
export interface RequestOptions {
  method?: "GET" | "POST";
  signal?: AbortSignal | undefined;
  /** How long the answer may take, in seconds. */
  timeoutSeconds: number;
  retries: number;
}

/** One HTTP exchange, or the error that it ended with. */
export class Http {
  readonly clock = new ServerClock();
  readonly #base: string;
  readonly #fetch: typeof globalThis.fetch;

  constructor(url: string, fetch: typeof globalThis.fetch | undefined) {
    this.#base = url.replace(/\/+$/, "");
    // Looked up at each call, so that a test or a tracing library may replace it. `fetch` wants to be called on `window`.
    this.#fetch = fetch ?? ((...args) => globalThis.fetch(...args));
  }

  /** Sends one request; an answer that is not 2xx is thrown as an error. */
  async send(path: string, init: RequestInit & { signal: AbortSignal }): Promise<Response> {
    let response: Response;
    try {
      response = await this.#fetch(this.#base + path, { cache: "no-store", redirect: "error", ...init });
    } catch (cause) {
      init.signal.throwIfAborted();
      const detail = "No answer. Check the network, `url` and, in a browser, `server.cors_origins`.";
      throw new UsersyncError({ kind: "network", code: "network", detail, retryable: true, cause });
    }
    this.clock.observe(response.headers);
    if (!response.ok) throw await errorOf(response, this.clock.now());
    return response;
  }

  /** Asks as whom the token speaks for: again with a new token after a 401, and again later after a passing fault. */
  async ask<T>(tokens: TokenGiver, path: string, options: RequestOptions): Promise<{ status: number; body: T }> {
    let token = await tokenOf(tokens, false);
    let isSecond = false;
    for (let failures = 0; ; ) {
      try {
        return await this.#once<T>(token, path, options);
      } catch (error) {
        options.signal?.throwIfAborted();
        if (!(error instanceof UsersyncError)) throw error;
        if (isTokenRefused(error) && !isSecond) {
          const another = await tokens.get(true).catch(() => null);
          if (another === null || another === token) throw error;
          token = another;
          isSecond = true;
          continue;
        }
        failures += 1;
        if (!error.retryable || failures > options.retries) throw error;
        await sleep(pause(error, failures), options.signal);
        options.signal?.throwIfAborted();
      }
    }
  }

  async #once<T>(token: string, path: string, options: RequestOptions): Promise<{ status: number; body: T }> {
    const { method = "GET", signal, timeoutSeconds } = options;
    const headers = { accept: "application/json", authorization: `Bearer ${token}` };
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(late(timeoutSeconds)), timeoutSeconds * 1000);
    const stop = () => timeout.abort(signal?.reason);
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    try {
      const response = await this.send(path, { method, headers, signal: timeout.signal });
      const body = (await response.json().catch((cause: unknown) => {
        timeout.signal.throwIfAborted();
        throw notUsersync(response, { cause });
      })) as T;
      return { status: response.status, body };
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", stop);
    }
  }
}

function late(seconds: number): UsersyncError {
  const detail = `No answer came within ${seconds} s.`;
  return new UsersyncError({ kind: "timeout", code: "timeout", detail, retryable: true });
}

/** Whether the token was refused in a way that another token may mend. */
export function isTokenRefused(error: UsersyncError): boolean {
  return error.code === "unauthenticated" || error.code === "invalid_auth_header";
}

/** How long to wait before the next attempt, in milliseconds: as the service says, or by backoff. */
export function pause(error: UsersyncError | undefined, failures: number): number {
  const random = Math.random();
  const asked = error?.retryAfterSeconds;
  return asked === undefined ? backoff(failures, random) : asked * 1000 * (1 + random / 4);
}

/** The error for a token function that gave nothing. */
export function noToken(): UsersyncError {
  return new UsersyncError({ kind: "token", code: "no_token", detail: "Nobody is signed in: `fetchToken` gave no token." });
}

/** The error for a token function that failed: its own, if it says what to do, or one that may pass. */
export function tokenFailed(cause: unknown): UsersyncError {
  if (isUsersyncError(cause)) return cause;
  const detail = "`fetchToken` failed; its error is the cause of this one.";
  return new UsersyncError({ kind: "token", code: "token_failed", detail, retryable: true, cause });
}

export async function tokenOf(tokens: TokenGiver, force: boolean): Promise<string> {
  const token = await tokens.get(force).catch((cause: unknown) => {
    throw tokenFailed(cause);
  });
  if (token === null) throw noToken();
  return token;
}
