// The types for apps. The types of the service's answers are generated from its OpenAPI document.

import type { UsersyncError } from "./error";
import type { components } from "./openapi";

type Schemas = components["schemas"];

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The current user's row. Facts that are not known are `null`; times are RFC 3339. */
export interface User extends Omit<Schemas["User"], "metadata"> {
  readonly metadata: JsonValue;
}

/** The part of a user that other users may see. */
export type PublicUser = Schemas["PublicUser"];

/** The content of a verified token, whether or not its user has a row. */
export interface Identity extends Pick<Schemas["CustomJwtIdentity"], "tokenIdentifier" | "subject" | "issuer"> {
  readonly [claim: string]: JsonValue | undefined;
}

/** The stable codes of the service's refusals. */
export type ProblemCode = Schemas["ProblemCode"];

/**
 * Fetches the token of the signed-in user.
 *
 * Return `null` when no user is signed in. Throw when the token cannot be fetched now: the session is kept, and the
 * function is called again later.
 */
export type FetchToken = (options: {
  /** Whether a token from a cache cannot be used, because the service refused it or it expires soon. */
  forceRefresh: boolean;
  signal: AbortSignal;
}) => Promise<string | null | undefined>;

/** The state of the sign-in library. */
export interface AuthInput {
  /** Whether the library is still loading, or loading again. */
  isLoading: boolean;
  isAuthenticated: boolean;
  /** Names the session: another key is another session. The identity of functions and objects never matters. */
  sessionKey: string | null;
  /**
   * The token's `sub`, where it is known before the token is. With it a new `sessionKey` of the same user keeps the
   * user on the screen; without it the user is dropped at once.
   */
  subject?: string | null | undefined;
  fetchToken: FetchToken;
}

/** The session: whether a user is signed in, and which. */
export type Session =
  | { readonly status: "loading" }
  | { readonly status: "signedOut" }
  /** Signed in, but there is no row yet. */
  | { readonly status: "pending"; readonly refreshing: boolean; readonly error?: UsersyncError }
  | {
      readonly status: "signedIn";
      readonly user: User;
      /** Whether a new token is being fetched or a new connection opened. The user stays. */
      readonly refreshing: boolean;
      /** Whether changes arrive immediately, by a stream. */
      readonly live: boolean;
      readonly error?: UsersyncError;
    }
  | { readonly status: "deleted" }
  | { readonly status: "failed"; readonly error: UsersyncError };

/** One request. It never contains a token. */
export interface LogEvent {
  readonly path: string;
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number;
}

/** A change of the current user, from the stream. */
export type UserEvent =
  | { readonly type: "pending" }
  | { readonly type: "user"; readonly user: User }
  | { readonly type: "deleted" };
