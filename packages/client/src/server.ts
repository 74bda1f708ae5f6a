// For a backend: who sent this request? Only `fetch` is used, so it runs on Node, Deno, Bun and at the edge.

import { UsersyncError, isUsersyncError } from "./error";
import { createHttp } from "./http";
import type { Identity, User } from "./types";

export { UsersyncError, isUsersyncError } from "./error";
export type { Identity, JsonValue, ProblemCode, PublicUser, User } from "./types";

/** Where the token is: itself, or the request that has it. */
export type TokenSource = string | null | undefined | Request | Headers;

export interface AskOptions {
  /** Seconds to wait for a row that has not come yet, 30 at most. Keep it below your own server's time limit. */
  wait?: number;
  signal?: AbortSignal;
}

export interface ServerOptions {
  /** Where usersync is, such as `http://127.0.0.1:8787`. */
  url: string;
  /** `usk_…`, for `users`. */
  serviceKey?: string;
  fetch?: typeof globalThis.fetch;
  /** How long an answer may take, in addition to a requested `wait`: 15. */
  timeoutSeconds?: number;
}

/** The current user in the headers that a reverse proxy has copied from `GET /v1/auth`. */
export interface ForwardedUser {
  id: string;
  externalId: string;
  source: string;
  email: string | null;
}

export interface UsersyncServer {
  /**
   * The user; `null` without a token, with an invalid one, without a row, or after a deletion. Throws if this cannot be
   * determined: 429, 503, the network, or a token that no rule is configured for.
   */
  getCurrentUser(token: TokenSource, options?: AskOptions): Promise<User | null>;
  /** The user, or the error with the reason why there is none. Never throws a `UsersyncError`. */
  result(token: TokenSource, options?: AskOptions): Promise<{ ok: true; user: User } | { ok: false; error: UsersyncError }>;
  /** The user, or throws why there is none. */
  requireUser(token: TokenSource, options?: AskOptions): Promise<User>;
  /** The content of the token, whether or not its user has a row. */
  identity(token: TokenSource): Promise<Identity>;
  /** The answer that passes an error on: problem document, `Retry-After`, `WWW-Authenticate`. */
  toResponse(error: unknown): Response;
  /**
   * The user in the proxy's header `X-User-Id` and the others; `null` if there is none. `trusted` declares that all
   * requests reach this program through the proxy.
   */
  userFromForwardAuth(
    headers: Headers | Record<string, string | string[] | undefined>,
    options: { trusted: true },
  ): ForwardedUser | null;
  /** The table, with a service key. */
  readonly users: {
    /** All users, or those that match the filters, page by page. */
    list(filter?: { source?: string; externalId?: string; email?: string }): AsyncIterable<User>;
    get(id: string): Promise<User | null>;
    getMany(ids: Iterable<string>): Promise<Map<string, User>>;
  };
}

interface UserPage {
  users: User[];
  nextCursor: string | null;
}

const largestPage = 200;
const largestBatch = 100;

export function createUsersyncServer(options: ServerOptions): UsersyncServer {
  const { serviceKey } = options;
  const http = createHttp({ retries: 2, ...options });
  const ask = async <T>(token: string | null, path: string, asked?: AskOptions) => {
    if (token === null) throw missing();
    return (await http.ask<T>(async () => token, path, asked)).body;
  };

  const result: UsersyncServer["result"] = async (source, asked = {}) => {
    try {
      return { ok: true, user: await ask<User>(tokenOf(source), "/v1/users/current", asked) };
    } catch (error) {
      if (isUsersyncError(error)) return { ok: false, error };
      throw error;
    }
  };

  const requireUser: UsersyncServer["requireUser"] = async (source, asked) => {
    const answer = await result(source, asked);
    if (answer.ok) return answer.user;
    throw answer.error;
  };

  const key = () => {
    if (serviceKey) return serviceKey;
    const detail = "`users` needs the option `serviceKey`: make one with `usersync keys create`.";
    throw new UsersyncError("token", "no_service_key", detail);
  };

  const page = async <T>(path: string) => ask<T>(key(), path);

  return {
    result,
    requireUser,
    toResponse,
    userFromForwardAuth,

    async getCurrentUser(source, asked) {
      const answer = await result(source, asked);
      if (answer.ok) return answer.user;
      if (nobody.has(answer.error.code)) return null;
      throw answer.error;
    },

    identity: (source) => ask<Identity>(tokenOf(source), "/v1/identity"),

    users: {
      async *list(filter = {}) {
        let cursor: UserPage["nextCursor"] = null;
        do {
          const query = new URLSearchParams({ limit: String(largestPage), ...filter });
          if (cursor) query.set("cursor", cursor);
          const next: UserPage = await page(`/v1/users?${query}`);
          yield* next.users;
          cursor = next.nextCursor;
        } while (cursor);
      },

      async get(id) {
        try {
          return await page<User>(`/v1/users/${encodeURIComponent(id)}`);
        } catch (error) {
          if (isUsersyncError(error) && error.code === "user_not_found") return null;
          throw error;
        }
      },

      async getMany(ids) {
        const all = [...new Set(ids)];
        const found = new Map<string, User>();
        for (let start = 0; start < all.length; start += largestBatch) {
          const some = all.slice(start, start + largestBatch).map(encodeURIComponent).join();
          const { users } = await page<{ users: User[] }>(`/v1/users?ids=${some}`);
          for (const user of users) found.set(user.id, user);
        }
        return found;
      },
    },
  };
}

/** Refusals that mean that there is no current user. */
const nobody = new Set(["invalid_auth_header", "unauthenticated", "user_not_synced", "user_deleted"]);

function missing(): UsersyncError {
  const detail = "Send `Authorization: Bearer <token>`, once.";
  return new UsersyncError("problem", "invalid_auth_header", detail, { status: 401 });
}

/** The bearer token; `null` if there is none. */
function tokenOf(source: TokenSource): string | null {
  if (typeof source === "string") return source || null;
  const headers = source instanceof Request ? source.headers : source;
  return /^Bearer +(\S+)$/i.exec(headers?.get("authorization") ?? "")?.[1] ?? null;
}

/** Whether an error is about a missing token, about this program, or temporary. */
function toResponse(error: unknown): Response {
  if (!isUsersyncError(error)) throw error;
  const isTheirs = error.kind === "problem";
  const status = isTheirs ? error.status : 503;
  const code = isTheirs ? error.code : "usersync_unavailable";
  const headers = new Headers({ "content-type": "application/problem+json", "cache-control": "no-store" });
  if (status === 401) headers.set("www-authenticate", code === "invalid_auth_header" ? "Bearer" : 'Bearer error="invalid_token"');
  const seconds = error.retryAfterSeconds ?? (status === 503 ? 5 : undefined);
  if (seconds !== undefined) headers.set("retry-after", String(Math.ceil(seconds)));
  const detail = isTheirs ? error.detail : "The user cannot be determined now. Try again soon.";
  return new Response(JSON.stringify({ type: `urn:usersync:problem:${code}`, title: code, status, code, detail }), {
    status,
    headers,
  });
}

function userFromForwardAuth(
  headers: Headers | Record<string, string | string[] | undefined>,
  _: { trusted: true },
): ForwardedUser | null {
  const get = (name: string) => {
    const value = headers instanceof Headers ? headers.get(name) : headers[name];
    // Two headers of one name are not from the configured proxy.
    return typeof value === "string" ? value : "";
  };
  const id = get("x-user-id");
  if (!id) return null;
  return {
    id,
    externalId: get("x-user-external-id"),
    source: get("x-user-source"),
    email: get("x-user-email") || null,
  };
}
