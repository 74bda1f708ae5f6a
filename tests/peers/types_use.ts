// What a client relies on in the types that are generated from /openapi.json. It is compiled, not run.
import type { components, operations } from "./api";

type Schemas = components["schemas"];
type Json<Operation extends keyof operations, Status extends number> = operations[Operation] extends {
  responses: { [S in Status]: { content: { "application/json": infer Body } } };
}
  ? Body
  : never;
type Refusal<Operation extends keyof operations, Status extends number> = operations[Operation] extends {
  responses: { [S in Status]: { content: { "application/problem+json": infer Body } } };
}
  ? Body
  : never;

/** Two types are the same. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
type OptionalKeys<T> = { [K in keyof T]-?: {} extends Pick<T, K> ? K : never }[keyof T];
function same<_ extends true>(): void {}

// Every member is always there; what is not known is null.
export const user: Schemas["User"] = {
  id: "01a20884-80f7-7520-90ce-8858c5ec0504",
  source: "clerk",
  externalId: "user_1",
  name: null,
  givenName: null,
  familyName: null,
  nickname: null,
  email: null,
  emailVerified: null,
  phoneNumber: null,
  phoneNumberVerified: null,
  pictureUrl: null,
  metadata: null,
  createdAt: null,
  updatedAt: "2026-01-04T12:00:00Z",
  syncedAt: "2026-01-04T12:00:00Z",
};
same<Same<Schemas["User"]["email"], string | null>>();
same<Same<OptionalKeys<Schemas["User"]>, never>>();
same<Same<OptionalKeys<Schemas["PublicUser"]>, never>>();
// Only `cursor_expired` has the cursor to go on from.
same<Same<OptionalKeys<Schemas["Problem"]>, "next">>();

// Answers.
same<Same<Json<"getCurrentUser", 200>, Schemas["User"]>>();
same<Same<Json<"storeCurrentUser", 201>, Schemas["User"]>>();
same<Same<Json<"getUser", 200>, Schemas["UserOrPublicUser"]>>();
same<
  Same<
    Json<"receiveWebhook", 200>["outcome"],
    "applied" | "stale" | "duplicate" | "ignored" | "parked"
  >
>();

// Events are told apart by their type.
export function whose(event: Json<"listEvents", 200>["events"][number]): string {
  return event.type === "user.updated" ? event.changed.join(", ") : event.data.externalId;
}

// Refusals, each with its codes.
same<Same<Refusal<"listEvents", 410>["code"], "cursor_expired">>();
same<Same<Refusal<"getCurrentUser", 404>["code"], "user_not_synced">>();
same<Same<Refusal<"getCurrentUser", 410>["code"], "user_deleted">>();
same<Same<Refusal<"checkAuth", 403>["code"], "user_not_synced" | "user_deleted">>();
export function retryLater(problem: Refusal<"getCurrentUser", 503>): string {
  switch (problem.code) {
    case "keys_unavailable":
    case "database_unavailable":
      return problem.detail;
  }
}

// Parameters.
export const page: NonNullable<operations["listUsers"]["parameters"]["query"]> = { limit: 200, ids: ["a", "b"] };
export const wait: operations["getCurrentUser"]["parameters"]["query"] = { wait: 20 };

// The stream's events are distinguished by their name.
export function onEvent(event: Schemas["CurrentUserEvent"]): Schemas["User"] | null {
  return event.event === "user" ? event.data : null;
}

// The identity has three names always, and the claims of the token.
export function whoIs(identity: Json<"getIdentity", 200>): string {
  return `${identity.tokenIdentifier} ${identity.subject} ${identity.issuer}`;
}

same<Same<Schemas["Scope"], "users:read" | "events:read" | "admin">>();
