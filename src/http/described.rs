//! Parts of the OpenAPI document that no type gives: parameters, headers, streams and bodies that are not of a fixed
//! shape.

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::reference;
use super::problem::Code;
use super::sources::SourceView;
use super::users::{MOST_IDS, UserList, UsersById};
use super::views::UserView;

/// The name of [`event_schema`] in the document.
pub(super) const EVENT: &str = "CurrentUserEvent";

/// The names of the schemas of an identity.
pub(super) const OIDC_IDENTITY: &str = "OidcIdentity";
pub(super) const CUSTOM_IDENTITY: &str = "CustomJwtIdentity";

const OIDC_BOOLEANS: [&str; 2] = ["emailVerified", "phoneNumberVerified"];
const OIDC_STRINGS: [&str; 15] = [
    "name",
    "givenName",
    "familyName",
    "nickname",
    "preferredUsername",
    "profileUrl",
    "pictureUrl",
    "websiteUrl",
    "email",
    "gender",
    "birthday",
    "timezone",
    "language",
    "phoneNumber",
    "address",
];

pub(super) const DELIVERY: &str = "\
The signature is over the raw bytes of the body, whatever its content type. The headers of the signature are those of \
the provider: `svix-id`, `svix-timestamp`, `svix-signature`, the same with `webhook-`, `WorkOS-Signature`, or \
`Authorization: Bearer` for a source with bearer tokens.";

pub(super) const LIST: &str = "\
With `ids`, the users with these ids in the order of the ids, each once; unknown ids are left out. A user token can only \
use `ids`, and gets the public view. Without `ids`, a page of all users that match the other parameters, in the \
order in which their rows were created.";

pub(super) const STREAM: &str = "\
A stream of events; each has the shape of `CurrentUserEvent`, with `data` as JSON. `pending` comes at the start if there \
is no row yet, `user` at the start and on every change. `deleted` and `expired` are last events. A comment line comes \
every 15 seconds.";

pub(super) const FORWARD_AUTH: &str = "\
Takes every method, and every path below `/v1/auth/`: some proxies use the method and the path of the original request.";

pub(super) const CHECK: &str = "\
Makes the checks at the provider now, in addition to those every five minutes, and continues to read its log of events. This \
may take up to 20 seconds; if a check is already running, its result is the answer. Nothing is repaired. If no requests are \
sent to the source's provider, only its state is calculated again.";

/// What a delivery can be refused with.
pub(super) const DELIVERY_REFUSALS: [Code; 12] = [
    Code::UnknownSource,
    Code::InvalidAuthHeader,
    Code::InvalidBearerToken,
    Code::MissingSignature,
    Code::InvalidSignature,
    Code::StaleTimestamp,
    Code::InvalidJson,
    Code::BodyTooLarge,
    Code::BodyTimeout,
    Code::BodyBroken,
    Code::DatabaseUnavailable,
    Code::QueueFull,
];

pub(super) fn source_parameter() -> Value {
    path_parameter("source", "The name of a configured source.")
}

pub(super) fn source_name_parameter() -> Value {
    path_parameter("name", "The name of a configured source.")
}

pub(super) fn sources_response() -> Value {
    let source = reference("schemas", &SourceView::name());
    json!({"content": {"application/json": {"schema": {"type": "array", "items": source}}}})
}

pub(super) fn delivery_body() -> Value {
    json!({
        "description": "The event of the provider.",
        "required": true,
        "content": {"application/json": {"schema": {}}},
    })
}

pub(super) fn id_parameter() -> Value {
    path_parameter("id", "The `id` of the row, a UUID.")
}

pub(super) fn ids_parameter() -> Value {
    json!({
        "name": "ids",
        "in": "query",
        "description": "The ids of users, separated by commas. No other parameter may be set with it.",
        "style": "form",
        "explode": false,
        "schema": {"type": "array", "items": {"type": "string"}, "maxItems": MOST_IDS},
    })
}

pub(super) fn list_response() -> Value {
    let names = [UserList::name(), UsersById::name()];
    json!({"content": {"application/json": {"schema": {"anyOf": names.map(|name| reference("schemas", name.as_ref()))}}}})
}

pub(super) fn last_event_id_parameter() -> Value {
    json!({
        "name": "Last-Event-ID",
        "in": "header",
        "description": "The id of the last event that the client received. It is not sent again.",
        "schema": {"type": "string"},
    })
}

pub(super) fn stream_response() -> Value {
    json!({"content": {"text/event-stream": {
        "schema": {"type": "string", "description": "Server-Sent Events, each of the schema `CurrentUserEvent`."},
    }}})
}

/// One event of the stream: its name, its id, and its data after parsing.
pub(super) fn event_schema() -> Value {
    let event = |name: &str, data: Value, is_last: bool| {
        let mut event = json!({
            "type": "object",
            "required": ["event", "data"],
            "properties": {"event": {"type": "string", "enum": [name]}, "data": data},
        });
        if !is_last {
            event["required"] = json!(["event", "id", "data"]);
            event["properties"]["id"] = json!({
                "type": "string",
                "description": "For `Last-Event-ID`: the same for the same data.",
            });
        }
        event
    };
    let nothing = || json!({"type": "object", "additionalProperties": false});
    json!({
        "description": "An event of the stream of the current user.",
        "oneOf": [
            event("pending", nothing(), false),
            event("user", reference("schemas", &UserView::name()), false),
            event("deleted", nothing(), true),
            event("expired", nothing(), true),
        ],
    })
}

/// The identity of a token whose rule has the type `oidc`.
pub(super) fn oidc_identity_schema() -> Value {
    let text = json!({"type": "string"});
    let mut schema = identity_schema(
        "The profile claims of OpenID Connect have fixed names and types. Other claims are as in the token.",
    );
    for name in OIDC_STRINGS {
        schema["properties"][name] = text.clone();
    }
    for name in OIDC_BOOLEANS {
        schema["properties"][name] = json!({"type": "boolean"});
    }
    schema["properties"]["updatedAt"] = json!({"type": "string", "format": "date-time"});
    schema
}

/// The identity of a token whose rule has the type `customJwt`.
pub(super) fn custom_identity_schema() -> Value {
    identity_schema(
        "Every claim keeps its name and its type. The claims of a nested object have dotted names.",
    )
}

pub(super) fn identity_response() -> Value {
    let names = [OIDC_IDENTITY, CUSTOM_IDENTITY];
    json!({"content": {"application/json": {"schema": {"anyOf": names.map(|name| reference("schemas", name))}}}})
}

fn identity_schema(description: &str) -> Value {
    json!({
        "description": description,
        "type": "object",
        "required": ["tokenIdentifier", "subject", "issuer"],
        "properties": {
            "tokenIdentifier": {"type": "string", "description": "`issuer|subject`: unique over all providers."},
            "subject": {"type": "string", "description": "The `sub` of the token."},
            "issuer": {"type": "string", "description": "The `iss` of the token."},
        },
        "additionalProperties": true,
    })
}

pub(super) fn forward_auth_response() -> Value {
    let header = |description: &str| json!({"description": description, "required": true, "schema": {"type": "string"}});
    json!({"headers": {
        "X-User-Id": header("The `id` of the row."),
        "X-User-External-Id": header("The user's id at the provider."),
        "X-User-Source": header("The source that the user comes from."),
        "X-User-Email": header("The email address; empty if it is not known."),
    }})
}

pub(super) fn document_response() -> Value {
    json!({"content": {"application/json": {"schema": {"type": "object"}}}})
}

pub(super) fn metrics_response() -> Value {
    json!({"content": {"application/openmetrics-text": {"schema": {"type": "string"}}}})
}

fn path_parameter(name: &str, description: &str) -> Value {
    json!({
        "name": name,
        "in": "path",
        "required": true,
        "description": description,
        "schema": {"type": "string"},
    })
}
