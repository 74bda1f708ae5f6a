// What the app meets. What the service answers is from the types that are generated from its OpenAPI document.

import type { UsersyncError } from "./error";
import type { components } from "./openapi";

type Schemas = components["schemas"];

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The current user's row. Facts that are not known are `null`; times are RFC 3339. */
export interface User extends Omit<Schemas["User"], "metadata"> {
  readonly metadata: JsonValue;
}

/** What one user may see of another. */
export type PublicUser = Schemas["PublicUser"];

/** What a verified token says, whether or not its user has a row. */
export interface Identity extends Pick<Schemas["CustomJwtIdentity"], "tokenIdentifier" | "subject" | "issuer"> {
  readonly [claim: string]: JsonValue | undefined;
}

/** The stable codes of the service's refusals. */
export type ProblemCode = Schemas["ProblemCode"];

/**
 * Gets the token of who is signed in.
 *
 * Return `null` when nobody is signed in. Throw when the token could not be got now: the session is kept, and the
 * function is called again later.
 */
export type FetchToken = (options: {
  /** Whether a token from a cache will not do, because the service refused it or it expires soon. */
  forceRefresh: boolean;
  signal: AbortSignal;
}) => Promise<string | null | undefined>;

/** What the sign-in library knows. */
export interface AuthInput {
  /** Whether the library does not know yet, or is about to change its mind. */
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

/** Who is signed in, as far as it is known. */
export type Session =
  | { readonly status: "loading" }
  | { readonly status: "signedOut" }
  /** Signed in, and the row has not come yet. */
  | { readonly status: "pending"; readonly refreshing: boolean; readonly error?: UsersyncError }
  | {
      readonly status: "signedIn";
      readonly user: User;
      /** Whether a new token or connection is being got. The user stays. */
      readonly refreshing: boolean;
      /** Whether changes are told as they happen. */
      readonly live: boolean;
      readonly error?: UsersyncError;
    }
  | { readonly status: "deleted" }
  | { readonly status: "failed"; readonly error: UsersyncError };

/** One request. It never holds a token. */
export interface LogEvent {
  readonly path: string;
  /** The HTTP status; 0 where there was no answer. */
  readonly status: number;
}

/** What happens to the current user, as the stream tells it. */
export type UserEvent =
  | { readonly type: "pending" }
  | { readonly type: "user"; readonly user: User }
  | { readonly type: "deleted" };
