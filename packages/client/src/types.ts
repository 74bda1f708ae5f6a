// What the service answers. A type test holds these against the types generated from its OpenAPI document.

/** Any JSON value. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [key: string]: JsonValue };

/** The current user's row. Facts that are not known are `null`; times are RFC 3339. */
export interface User {
  readonly id: string;
  readonly source: string;
  readonly externalId: string;
  readonly name: string | null;
  readonly givenName: string | null;
  readonly familyName: string | null;
  readonly nickname: string | null;
  readonly email: string | null;
  readonly emailVerified: boolean | null;
  readonly phoneNumber: string | null;
  readonly phoneNumberVerified: boolean | null;
  readonly pictureUrl: string | null;
  readonly metadata: JsonValue;
  readonly createdAt: string | null;
  readonly updatedAt: string;
  readonly syncedAt: string;
}

/** What one user may see of another. */
export interface PublicUser {
  readonly id: string;
  readonly name: string | null;
  readonly nickname: string | null;
  readonly pictureUrl: string | null;
}

/** What a verified token says, whether or not its user has a row. */
export interface Identity {
  readonly tokenIdentifier: string;
  readonly subject: string;
  readonly issuer: string;
  readonly [claim: string]: JsonValue | undefined;
}

/** The stable codes of the refusals that a client meets. */
export type ProblemCode =
  | "invalid_auth_header"
  | "no_auth_provider"
  | "unauthenticated"
  | "keys_unavailable"
  | "insufficient_scope"
  | "user_not_synced"
  | "user_deleted"
  | "user_not_found"
  | "too_many_requests"
  | "invalid_query"
  | "database_unavailable"
  | "not_found"
  | "method_not_allowed"
  | "internal";

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
  | { readonly status: "pending"; readonly refreshing: boolean; readonly error?: UsersyncErrorLike }
  | {
      readonly status: "signedIn";
      readonly user: User;
      /** Whether a new token or connection is being got. The user stays. */
      readonly refreshing: boolean;
      /** Whether changes are told as they happen. */
      readonly live: boolean;
      readonly error?: UsersyncErrorLike;
    }
  | { readonly status: "deleted" }
  | { readonly status: "failed"; readonly error: UsersyncErrorLike };

type UsersyncErrorLike = import("./error").UsersyncError;

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
