// Generated from /openapi.json by generate.mjs. Do not edit; CONTRIBUTING.md says how to generate it again.

export interface paths {
    readonly "/healthz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** The process runs. */
        readonly get: operations["getHealth"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/metrics": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** The metrics, for Prometheus. */
        readonly get: operations["getMetrics"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/openapi.json": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** This document. */
        readonly get: operations["getOpenApi"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/readyz": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Whether deliveries can be written. */
        readonly get: operations["getReadiness"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/auth": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Whether a reverse proxy may pass a request on, and for which user.
         * @description Takes every method, and every path below `/v1/auth/`: some proxies use the method and the path of the original request.
         */
        readonly get: operations["checkAuth"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/events": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * The changes since a cursor, in order.
         * @description Each event has its user as it is now, not as it was: events of one user on the same page are merged into one, with the sequence of the newest. A user who was created and deleted since the cursor is not on the page. If there are no events, `next` may still be higher than `after`. A cursor that is older than `[events] retention` is refused with `cursor_expired`.
         */
        readonly get: operations["listEvents"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/identity": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** The content of the token, whether or not its user has a row. */
        readonly get: operations["getIdentity"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/sources": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** Whether the deliveries of each source arrive, and whether its rows match the provider. */
        readonly get: operations["listSources"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/sources/{name}/check": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Checks a source at its provider now, and returns its state.
         * @description Makes the checks at the provider now, in addition to those every five minutes, and continues to read its log of events. This may take up to 20 seconds; if a check is already running, its result is the answer. Nothing is repaired. If no requests are sent to the source's provider, only its state is calculated again.
         */
        readonly post: operations["checkSource"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/users": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /**
         * Users by their ids; or a page of users.
         * @description With `ids`, the users with these ids in the order of the ids, each once; unknown ids are left out. A user token can only use `ids`, and gets the public view. Without `ids`, a page of all users that match the other parameters, in the order in which their rows were created.
         */
        readonly get: operations["listUsers"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/users/{id}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** One user: the public view for a user token, the full view for a service key. */
        readonly get: operations["getUser"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/users/current": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** The row of the token's user. */
        readonly get: operations["getCurrentUser"];
        readonly put?: never;
        /** Stores the user from the claims of the token, unless a webhook about the user has arrived. */
        readonly post: operations["storeCurrentUser"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/v1/users/current/stream": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        /** The current user, now and on every change, as Server-Sent Events. */
        readonly get: operations["streamCurrentUser"];
        readonly put?: never;
        readonly post?: never;
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "/webhooks/{source}": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Accepts one delivery of a provider.
         * @description The signature is over the raw bytes of the body, whatever its content type. The headers of the signature are those of the provider: `svix-id`, `svix-timestamp`, `svix-signature`, the same with `webhook-`, `WorkOS-Signature`, or `Authorization: Bearer` for a source with bearer tokens.
         */
        readonly post: operations["receiveWebhook"];
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export interface webhooks {
    readonly "user.created": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * A user was created.
         * @description Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.
         */
        readonly post: {
            readonly parameters: {
                readonly query?: never;
                readonly header: {
                    /** @description `evt_…`: the same at each attempt. */
                    readonly "webhook-id": string;
                    /** @description One signature `v1,…` for each secret, with spaces between them. */
                    readonly "webhook-signature": string;
                    /** @description The time of the attempt, in seconds since 1970. */
                    readonly "webhook-timestamp": string;
                };
                readonly path?: never;
                readonly cookie?: never;
            };
            readonly requestBody: {
                readonly content: {
                    readonly "application/json": components["schemas"]["UserCreatedEvent"];
                };
            };
            readonly responses: {
                /** @description The event was received. */
                readonly "2XX": {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The endpoint no longer exists: nothing more is sent to it. */
                readonly 410: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The event is sent again later, after `Retry-After` at the earliest. */
                readonly default: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "user.deleted": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * A user was deleted.
         * @description Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.
         */
        readonly post: {
            readonly parameters: {
                readonly query?: never;
                readonly header: {
                    /** @description `evt_…`: the same at each attempt. */
                    readonly "webhook-id": string;
                    /** @description One signature `v1,…` for each secret, with spaces between them. */
                    readonly "webhook-signature": string;
                    /** @description The time of the attempt, in seconds since 1970. */
                    readonly "webhook-timestamp": string;
                };
                readonly path?: never;
                readonly cookie?: never;
            };
            readonly requestBody: {
                readonly content: {
                    readonly "application/json": components["schemas"]["UserDeletedEvent"];
                };
            };
            readonly responses: {
                /** @description The event was received. */
                readonly "2XX": {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The endpoint no longer exists: nothing more is sent to it. */
                readonly 410: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The event is sent again later, after `Retry-After` at the earliest. */
                readonly default: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "user.updated": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Something that the API shows of a user has changed.
         * @description Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.
         */
        readonly post: {
            readonly parameters: {
                readonly query?: never;
                readonly header: {
                    /** @description `evt_…`: the same at each attempt. */
                    readonly "webhook-id": string;
                    /** @description One signature `v1,…` for each secret, with spaces between them. */
                    readonly "webhook-signature": string;
                    /** @description The time of the attempt, in seconds since 1970. */
                    readonly "webhook-timestamp": string;
                };
                readonly path?: never;
                readonly cookie?: never;
            };
            readonly requestBody: {
                readonly content: {
                    readonly "application/json": components["schemas"]["UserUpdatedEvent"];
                };
            };
            readonly responses: {
                /** @description The event was received. */
                readonly "2XX": {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The endpoint no longer exists: nothing more is sent to it. */
                readonly 410: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The event is sent again later, after `Retry-After` at the earliest. */
                readonly default: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "users.resync": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * Events are missing: list the users.
         * @description Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.
         */
        readonly post: {
            readonly parameters: {
                readonly query?: never;
                readonly header: {
                    /** @description `evt_…`: the same at each attempt. */
                    readonly "webhook-id": string;
                    /** @description One signature `v1,…` for each secret, with spaces between them. */
                    readonly "webhook-signature": string;
                    /** @description The time of the attempt, in seconds since 1970. */
                    readonly "webhook-timestamp": string;
                };
                readonly path?: never;
                readonly cookie?: never;
            };
            readonly requestBody: {
                readonly content: {
                    readonly "application/json": components["schemas"]["UsersResyncEvent"];
                };
            };
            readonly responses: {
                /** @description The event was received. */
                readonly "2XX": {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The endpoint no longer exists: nothing more is sent to it. */
                readonly 410: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The event is sent again later, after `Retry-After` at the earliest. */
                readonly default: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
    readonly "users.test": {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly get?: never;
        readonly put?: never;
        /**
         * A test of the endpoint.
         * @description Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.
         */
        readonly post: {
            readonly parameters: {
                readonly query?: never;
                readonly header: {
                    /** @description `evt_…`: the same at each attempt. */
                    readonly "webhook-id": string;
                    /** @description One signature `v1,…` for each secret, with spaces between them. */
                    readonly "webhook-signature": string;
                    /** @description The time of the attempt, in seconds since 1970. */
                    readonly "webhook-timestamp": string;
                };
                readonly path?: never;
                readonly cookie?: never;
            };
            readonly requestBody: {
                readonly content: {
                    readonly "application/json": components["schemas"]["UsersTestEvent"];
                };
            };
            readonly responses: {
                /** @description The event was received. */
                readonly "2XX": {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The endpoint no longer exists: nothing more is sent to it. */
                readonly 410: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
                /** @description The event is sent again later, after `Retry-After` at the earliest. */
                readonly default: {
                    headers: {
                        readonly [name: string]: unknown;
                    };
                    content?: never;
                };
            };
        };
        readonly delete?: never;
        readonly options?: never;
        readonly head?: never;
        readonly patch?: never;
        readonly trace?: never;
    };
}
export interface components {
    schemas: {
        /** @description An event of the stream of the current user. */
        readonly CurrentUserEvent: {
            readonly data: Record<string, never>;
            /** @enum {string} */
            readonly event: "pending";
            /** @description For `Last-Event-ID`: the same for the same data. */
            readonly id: string;
        } | {
            readonly data: components["schemas"]["User"];
            /** @enum {string} */
            readonly event: "user";
            /** @description For `Last-Event-ID`: the same for the same data. */
            readonly id: string;
        } | {
            readonly data: Record<string, never>;
            /** @enum {string} */
            readonly event: "deleted";
        } | {
            readonly data: Record<string, never>;
            /** @enum {string} */
            readonly event: "expired";
        };
        /** @description Every claim keeps its name and its type. The claims of a nested object have dotted names. */
        readonly CustomJwtIdentity: {
            /** @description The `iss` of the token. */
            readonly issuer: string;
            /** @description The `sub` of the token. */
            readonly subject: string;
            /** @description `issuer|subject`: unique over all providers. */
            readonly tokenIdentifier: string;
        } & {
            readonly [key: string]: unknown;
        };
        /** @description The answer to a delivery, sent after the commit. */
        readonly DeliveryAnswer: {
            /** @description The provider's id of the message. */
            readonly messageId: string;
            /** @enum {string} */
            readonly outcome: "applied" | "stale" | "duplicate" | "ignored" | "parked";
        };
        /** @description What differs between the table and the provider. A number is null if it was not checked. */
        readonly Drift: {
            /**
             * Format: int64
             * @description How many of the provider's newest users have no row. Null after a comparison, until the next check.
             */
            readonly canary: number | null;
            /**
             * Format: date-time
             * @description When it was last checked.
             */
            readonly checkedAt: string;
            /**
             * Format: int64
             * @description The provider's number of users minus the number of rows. Null after a comparison, until the next check.
             */
            readonly count: number | null;
            /**
             * Format: int64
             * @description In the last comparison: rows whose fields differ from the provider's and were not repaired.
             */
            readonly different: number | null;
            /**
             * Format: int64
             * @description In the last comparison: rows of users who were deleted at the provider and not here.
             */
            readonly extra: number | null;
            /**
             * Format: int64
             * @description In the last comparison: users without a row who were not repaired.
             */
            readonly missing: number | null;
            /**
             * Format: int64
             * @description In the last comparison: users who exist at the provider, but are not in the list.
             */
            readonly notListed: number | null;
        };
        /** @description What changed. */
        readonly Event: components["schemas"]["UserCreatedEvent"] | components["schemas"]["UserUpdatedEvent"] | components["schemas"]["UserDeletedEvent"];
        /** @description The answer to `/healthz`. */
        readonly Health: {
            /** @enum {string} */
            readonly status: "ok";
        };
        /** @description The profile claims of OpenID Connect have fixed names and types. Other claims are as in the token. */
        readonly OidcIdentity: {
            readonly address?: string;
            readonly birthday?: string;
            readonly email?: string;
            readonly emailVerified?: boolean;
            readonly familyName?: string;
            readonly gender?: string;
            readonly givenName?: string;
            /** @description The `iss` of the token. */
            readonly issuer: string;
            readonly language?: string;
            readonly name?: string;
            readonly nickname?: string;
            readonly phoneNumber?: string;
            readonly phoneNumberVerified?: boolean;
            readonly pictureUrl?: string;
            readonly preferredUsername?: string;
            readonly profileUrl?: string;
            /** @description The `sub` of the token. */
            readonly subject: string;
            readonly timezone?: string;
            /** @description `issuer|subject`: unique over all providers. */
            readonly tokenIdentifier: string;
            /** Format: date-time */
            readonly updatedAt?: string;
            readonly websiteUrl?: string;
        } & {
            readonly [key: string]: unknown;
        };
        /** @description The body of a refusal, as the client reads it. */
        readonly Problem: {
            /** @description The stable name, for programs. */
            readonly code: components["schemas"]["ProblemCode"];
            /** @description What the client can do. It is always the same for a code, except for the name of a missing scope. */
            readonly detail: string;
            /** @description Of `cursor_expired`: the cursor to continue from, after all users were listed. */
            readonly next?: string | null;
            /**
             * Format: int32
             * @description The HTTP status of the response.
             */
            readonly status: number;
            /** @description What is wrong, in a few words. Always the same for a code. */
            readonly title: string;
            /** @description `urn:usersync:problem:` and the code. */
            readonly type: string;
        };
        /**
         * @description The stable names of everything that can be refused. [`Code::meaning`] is the table of what they mean.
         * @enum {string}
         */
        readonly ProblemCode: "invalid_auth_header" | "no_auth_provider" | "unauthenticated" | "keys_unavailable" | "insufficient_scope" | "user_not_synced" | "user_deleted" | "user_not_found" | "not_a_user" | "unknown_source" | "missing_signature" | "invalid_signature" | "stale_timestamp" | "invalid_bearer_token" | "invalid_json" | "body_too_large" | "body_timeout" | "body_broken" | "invalid_query" | "cursor_expired" | "not_found" | "method_not_allowed" | "preflight_refused" | "database_unavailable" | "queue_full" | "too_many_requests" | "internal";
        /** @description What is known of a user. Unknown facts are null. Each field is the user's field of the same name. */
        readonly Profile: {
            readonly email: string | null;
            readonly emailVerified: boolean | null;
            readonly familyName: string | null;
            readonly givenName: string | null;
            readonly metadata: unknown;
            readonly name: string | null;
            readonly nickname: string | null;
            readonly phoneNumber: string | null;
            readonly phoneNumberVerified: boolean | null;
            readonly pictureUrl: string | null;
        };
        /** @description What a user may see of other users. */
        readonly PublicUser: {
            /**
             * Format: uuid
             * @description The id of the row.
             */
            readonly id: string;
            readonly name: string | null;
            readonly nickname: string | null;
            readonly pictureUrl: string | null;
        };
        /** @description The answer to `/readyz`. */
        readonly Readiness: {
            /** @enum {string} */
            readonly status: "ready";
        };
        /** @description A run through the provider's list of users. */
        readonly Run: {
            /**
             * Format: int64
             * @description How many of them changed a row.
             */
            readonly applied: number;
            /** Format: date-time */
            readonly finishedAt: string | null;
            /** @description `backfill` or `reconcile`. */
            readonly kind: string;
            /**
             * Format: int64
             * @description How many could not be read, and were parked.
             */
            readonly parked: number;
            /**
             * Format: int64
             * @description How many users it has read.
             */
            readonly seen: number;
            /** Format: date-time */
            readonly startedAt: string;
            /** @description `running`, `unfinished` (the next run of its kind continues it), `complete` or `abandoned`. */
            readonly state: string;
            /**
             * Format: int64
             * @description How many changed nothing.
             */
            readonly unchanged: number;
        };
        /**
         * @description What a service key may do. `admin` includes all other scopes.
         * @enum {string}
         */
        readonly Scope: "users:read" | "events:read" | "admin";
        /** @description A source, with its state and the reasons for it. */
        readonly Source: {
            readonly drift: components["schemas"]["Drift"] | null;
            /**
             * Format: date-time
             * @description When a delivery was last accepted.
             */
            readonly lastDeliveryAt: string | null;
            /**
             * Format: date-time
             * @description When a delivery was last refused because of its signature or token.
             */
            readonly lastRefusedAt: string | null;
            readonly lastRun: components["schemas"]["Run"] | null;
            /** @description Its name in the configuration. */
            readonly name: string;
            /**
             * Format: int64
             * @description The number of its deliveries that are parked.
             */
            readonly parked: number;
            /** @description The name of its provider. */
            readonly provider: string;
            readonly reasons: readonly ("users_missing" | "count_differs" | "reconcile_differs" | "not_checked" | "api_unauthorized" | "api_forbidden" | "api_misconfigured" | "api_unavailable" | "unexpected_answer" | "wrong_instance" | "reconcile_refused" | "event_log_forbidden" | "event_log_unavailable" | "events_lost" | "no_delivery_yet" | "no_deliveries" | "deliveries_refused" | "webhooks_missing" | "endpoint_missing" | "endpoint_disabled" | "endpoint_events_missing" | "deliveries_failed")[];
            /**
             * Format: date-time
             * @description When the first delivery was refused since the last one that was accepted; null if none was.
             */
            readonly refusedSince: string | null;
            /** @enum {string} */
            readonly state: "ok" | "silent" | "unknown" | "drifting";
            /**
             * Format: int64
             * @description The number of its rows.
             */
            readonly users: number;
            /** @description The path of its webhooks. */
            readonly webhookPath: string;
        };
        /** @description A user. Unknown facts are null; times are in RFC 3339. */
        readonly User: components["schemas"]["Profile"] & {
            /**
             * Format: date-time
             * @description When the user was created at the provider.
             */
            readonly createdAt: string | null;
            /** @description The user's id at the provider, which is the `sub` of its tokens. */
            readonly externalId: string;
            /**
             * Format: uuid
             * @description The id of the row.
             */
            readonly id: string;
            /** @description The source that the user comes from. */
            readonly source: string;
            /**
             * Format: date-time
             * @description When this row was last written.
             */
            readonly syncedAt: string;
            /**
             * Format: date-time
             * @description When the user was last changed at the provider.
             */
            readonly updatedAt: string;
        };
        /** @description A user was created. */
        readonly UserCreatedEvent: {
            /** @description For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`. */
            readonly changed: readonly string[];
            readonly data: components["schemas"]["User"];
            /** @description The event's number in the log. Later events of a user have a higher one. */
            readonly sequence: string;
            /**
             * Format: date-time
             * @description The provider's time of the change.
             */
            readonly timestamp: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly type: "user.created";
        };
        /** @description A user was deleted, with the row. */
        readonly UserDeletedEvent: {
            /** @description For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`. */
            readonly changed: readonly string[];
            readonly data: {
                /** @description The user's id at the provider. */
                readonly externalId: string;
                /**
                 * Format: uuid
                 * @description The id that the row had.
                 */
                readonly id: string;
                /** @description The source that the user came from. */
                readonly source: string;
            };
            /** @description The event's number in the log. Later events of a user have a higher one. */
            readonly sequence: string;
            /**
             * Format: date-time
             * @description The provider's time of the change.
             */
            readonly timestamp: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly type: "user.deleted";
        };
        /** @description A page of users, in the order in which their rows were created. */
        readonly UserList: {
            /** @description For the next page; null on the last page. */
            readonly nextCursor: string | null;
            /** @description The users. */
            readonly users: readonly components["schemas"]["User"][];
        };
        /** @description The full view for a service key, the public view for a user token. */
        readonly UserOrPublicUser: components["schemas"]["User"] | components["schemas"]["PublicUser"];
        /** @description Users by their ids. */
        readonly UsersById: {
            readonly users: readonly components["schemas"]["UserOrPublicUser"][];
        };
        /** @description Events up to `sequence` are not kept any more: list the users, and continue with later events. Sent only to endpoints. */
        readonly UsersResyncEvent: {
            /** @description For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`. */
            readonly changed: readonly string[];
            readonly data: Record<string, never>;
            /** @description The event's number in the log. Later events of a user have a higher one. */
            readonly sequence: string;
            /**
             * Format: date-time
             * @description The provider's time of the change.
             */
            readonly timestamp: string;
            /** @enum {string} */
            readonly type: "users.resync";
        };
        /** @description Sent by `usersync endpoints test`: there is nothing to do. */
        readonly UsersTestEvent: {
            /** @description For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`. */
            readonly changed: readonly string[];
            readonly data: Record<string, never>;
            /** @description The event's number in the log. Later events of a user have a higher one. */
            readonly sequence: string;
            /**
             * Format: date-time
             * @description The provider's time of the change.
             */
            readonly timestamp: string;
            /** @enum {string} */
            readonly type: "users.test";
        };
        /** @description Something that the API shows of a user has changed. */
        readonly UserUpdatedEvent: {
            /** @description For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`. */
            readonly changed: readonly string[];
            readonly data: components["schemas"]["User"];
            /** @description The event's number in the log. Later events of a user have a higher one. */
            readonly sequence: string;
            /**
             * Format: date-time
             * @description The provider's time of the change.
             */
            readonly timestamp: string;
            /**
             * @description discriminator enum property added by openapi-typescript
             * @enum {string}
             */
            readonly type: "user.updated";
        };
    };
    responses: never;
    parameters: never;
    requestBodies: never;
    headers: {
        /** @description The number of seconds to wait before trying again. */
        readonly "Retry-After": number;
        /** @description Which credentials are needed (RFC 6750). */
        readonly "WWW-Authenticate": string;
        /** @description The id of the request: the client's own `X-Request-Id` if it was a plain one, else a new one. Every log line about the request has it. */
        readonly "X-Request-Id": string;
    };
    pathItems: never;
}
export type $defs = Record<string, never>;
export interface operations {
    readonly getHealth: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The process runs. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Health"];
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
        };
    };
    readonly getMetrics: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The metrics in the text format of OpenMetrics. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/openmetrics-text": string;
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
        };
    };
    readonly getOpenApi: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The OpenAPI document. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": Record<string, never>;
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
        };
    };
    readonly getReadiness: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The service is ready. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Readiness"];
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `database_unavailable`: The database is unavailable; `queue_full`: Too many deliveries are waiting to be written */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "database_unavailable" | "queue_full";
                    };
                };
            };
        };
    };
    readonly checkAuth: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The user, as headers for the app. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    /** @description The email address; empty if it is not known. */
                    readonly "X-User-Email": string;
                    /** @description The user's id at the provider. */
                    readonly "X-User-External-Id": string;
                    /** @description The `id` of the row. */
                    readonly "X-User-Id": string;
                    /** @description The source that the user comes from. */
                    readonly "X-User-Source": string;
                    readonly [name: string]: unknown;
                };
                content?: never;
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `user_not_synced`: The user has no row yet; `user_deleted`: The user was deleted */
            readonly 403: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_not_synced" | "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly listEvents: {
        readonly parameters: {
            readonly query?: {
                /** @description `next` of the previous answer, or the `sequence` of an event. Without it, from the oldest event that is kept. */
                readonly after?: string;
                /** @description The most events in one answer. */
                readonly limit?: number;
                /** @description Only events of users of this source. */
                readonly source?: string;
                /** @description Only events of this type: `user.created`, `user.updated` or `user.deleted`. */
                readonly type?: string;
                /** @description How many seconds to wait if there is no event yet. Values over 30 count as 30. */
                readonly wait?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The events, and the cursor to continue from. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": {
                        readonly events: readonly components["schemas"]["Event"][];
                        /** @description For `after` of the next request. */
                        readonly next: string;
                    };
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "unauthenticated";
                    };
                };
            };
            /** @description `insufficient_scope`: The service key lacks a scope */
            readonly 403: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "insufficient_scope";
                    };
                };
            };
            /** @description `cursor_expired`: The cursor is too old */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "cursor_expired";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "database_unavailable";
                    };
                };
            };
        };
    };
    readonly getIdentity: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The identity. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["OidcIdentity"] | components["schemas"]["CustomJwtIdentity"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly listSources: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description Every source, by name. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": readonly components["schemas"]["Source"][];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "unauthenticated";
                    };
                };
            };
            /** @description `insufficient_scope`: The service key lacks a scope */
            readonly 403: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "insufficient_scope";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "database_unavailable";
                    };
                };
            };
        };
    };
    readonly checkSource: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The name of a configured source. */
                readonly name: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The source, after the checks. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["Source"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "unauthenticated";
                    };
                };
            };
            /** @description `insufficient_scope`: The service key lacks a scope */
            readonly 403: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "insufficient_scope";
                    };
                };
            };
            /** @description `unknown_source`: The source is unknown */
            readonly 404: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "unknown_source";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "database_unavailable";
                    };
                };
            };
        };
    };
    readonly listUsers: {
        readonly parameters: {
            readonly query?: {
                /** @description `nextCursor` of the previous page. */
                readonly cursor?: string;
                /** @description Only the users with exactly this email address. */
                readonly email?: string;
                /** @description Only the users with this id at the provider. */
                readonly externalId?: string;
                /** @description The ids of users, separated by commas. No other parameter may be set with it. */
                readonly ids?: readonly string[];
                /** @description The size of a page. */
                readonly limit?: number;
                /** @description Only users of this source. */
                readonly source?: string;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A page of users; or, with `ids`, the users with these ids. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["UserList"] | components["schemas"]["UsersById"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `insufficient_scope`: The service key lacks a scope */
            readonly 403: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "insufficient_scope";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly getUser: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The `id` of the row, a UUID. */
                readonly id: string;
            };
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The user. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["UserOrPublicUser"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `insufficient_scope`: The service key lacks a scope */
            readonly 403: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "insufficient_scope";
                    };
                };
            };
            /** @description `user_not_found`: The user was not found */
            readonly 404: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_not_found";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly getCurrentUser: {
        readonly parameters: {
            readonly query?: {
                /** @description How many seconds to wait for the row if it does not exist yet. Values over 30 count as 30. */
                readonly wait?: number;
            };
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The user. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["User"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `user_not_synced`: The user has no row yet */
            readonly 404: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_not_synced";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly storeCurrentUser: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description The row existed. Facts from the provider win over claims. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["User"];
                };
            };
            /** @description The row was created. */
            readonly 201: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["User"];
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `not_a_user`: The token does not belong to a user */
            readonly 403: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "not_a_user";
                    };
                };
            };
            /** @description `user_not_synced`: The user has no row yet */
            readonly 404: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_not_synced";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly streamCurrentUser: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: {
                /** @description The id of the last event that the client received. It is not sent again. */
                readonly "Last-Event-ID"?: string;
            };
            readonly path?: never;
            readonly cookie?: never;
        };
        readonly requestBody?: never;
        readonly responses: {
            /** @description A stream of events; each has the shape of `CurrentUserEvent`, with `data` as JSON. `pending` comes at the start if there is no row yet, `user` at the start and on every change. `deleted` and `expired` are last events. A comment line comes every 15 seconds. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "text/event-stream": string;
                };
            };
            /** @description `invalid_query`: A query parameter is not valid */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_query";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `no_auth_provider`: No token rule matches the token; `unauthenticated`: The token is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "no_auth_provider" | "unauthenticated";
                    };
                };
            };
            /** @description `user_deleted`: The user was deleted */
            readonly 410: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "user_deleted";
                    };
                };
            };
            /** @description `too_many_requests`: Too many requests */
            readonly 429: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "too_many_requests";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `keys_unavailable`: The provider's signing keys are unavailable; `database_unavailable`: The database is unavailable */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "keys_unavailable" | "database_unavailable";
                    };
                };
            };
        };
    };
    readonly receiveWebhook: {
        readonly parameters: {
            readonly query?: never;
            readonly header?: never;
            readonly path: {
                /** @description The name of a configured source. */
                readonly source: string;
            };
            readonly cookie?: never;
        };
        /** @description The event of the provider. */
        readonly requestBody: {
            readonly content: {
                readonly "application/json": unknown;
            };
        };
        readonly responses: {
            /** @description The delivery is committed; this is its outcome. */
            readonly 200: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/json": components["schemas"]["DeliveryAnswer"];
                };
            };
            /** @description `missing_signature`: A signature header is missing; `invalid_signature`: The signature is not valid; `stale_timestamp`: The timestamp of the signature is too far from the current time; `invalid_json`: The body is not valid JSON; `body_broken`: The connection was closed too early */
            readonly 400: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "missing_signature" | "invalid_signature" | "stale_timestamp" | "invalid_json" | "body_broken";
                    };
                };
            };
            /** @description `invalid_auth_header`: The Authorization header is missing or malformed; `invalid_bearer_token`: The bearer token of the delivery is not valid */
            readonly 401: {
                headers: {
                    readonly "WWW-Authenticate": components["headers"]["WWW-Authenticate"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "invalid_auth_header" | "invalid_bearer_token";
                    };
                };
            };
            /** @description `unknown_source`: The source is unknown */
            readonly 404: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "unknown_source";
                    };
                };
            };
            /** @description `body_timeout`: The body did not arrive in time */
            readonly 408: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "body_timeout";
                    };
                };
            };
            /** @description `body_too_large`: The body is too large */
            readonly 413: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "body_too_large";
                    };
                };
            };
            /** @description `internal`: Internal error */
            readonly 500: {
                headers: {
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "internal";
                    };
                };
            };
            /** @description `database_unavailable`: The database is unavailable; `queue_full`: Too many deliveries are waiting to be written */
            readonly 503: {
                headers: {
                    readonly "Retry-After": components["headers"]["Retry-After"];
                    readonly "X-Request-Id": components["headers"]["X-Request-Id"];
                    readonly [name: string]: unknown;
                };
                content: {
                    readonly "application/problem+json": components["schemas"]["Problem"] & {
                        /** @enum {string} */
                        readonly code: "database_unavailable" | "queue_full";
                    };
                };
            };
        };
    };
}
