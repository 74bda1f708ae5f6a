//! The events in the OpenAPI document: the answer of `GET /v1/events`, and the messages to endpoints (`webhooks`).

use serde_json::{Value, json};
use utoipa::ToSchema;

use super::endpoint::reference;
use super::views::UserView;

pub(super) const EVENTS: &str = "\
Each event has its user as it is now, not as it was: events of one user on the same page are merged into one, with the \
sequence of the newest. A user who was created and deleted since the cursor is not on the page. If there are no events, `next` \
may still be higher than `after`. A cursor that is older than `[events] retention` is refused with `cursor_expired`.";

const CREATED: &str = "UserCreatedEvent";
const UPDATED: &str = "UserUpdatedEvent";
const DELETED: &str = "UserDeletedEvent";
const RESYNC: &str = "UsersResyncEvent";
const TEST: &str = "UsersTestEvent";
const EVENT: &str = "Event";

/// The schemas of all events.
pub(super) fn schemas() -> Vec<(&'static str, Value)> {
    let deleted = json!({
        "type": "object",
        "required": ["id", "source", "externalId"],
        "properties": {
            "id": {"type": "string", "format": "uuid", "description": "The id that the row had."},
            "source": {"type": "string", "description": "The source that the user came from."},
            "externalId": {"type": "string", "description": "The user's id at the provider."},
        },
    });
    let nothing = json!({"type": "object", "additionalProperties": false});
    let user = reference("schemas", &UserView::name());
    let of_users = [CREATED, UPDATED, DELETED].map(|name| reference("schemas", name));
    vec![
        (CREATED, event("user.created", "A user was created.", &user)),
        (UPDATED, event("user.updated", "Something that the API shows of a user has changed.", &user)),
        (DELETED, event("user.deleted", "A user was deleted, with the row.", &deleted)),
        (
            RESYNC,
            event(
                "users.resync",
                "Events up to `sequence` are not kept any more: list the users, and continue with later events. Sent only to \
                 endpoints.",
                &nothing,
            ),
        ),
        (TEST, event("users.test", "Sent by `usersync endpoints test`: there is nothing to do.", &nothing)),
        (
            EVENT,
            json!({
                "description": "What changed.",
                "oneOf": of_users,
                "discriminator": {"propertyName": "type", "mapping": {
                    "user.created": format!("#/components/schemas/{CREATED}"),
                    "user.updated": format!("#/components/schemas/{UPDATED}"),
                    "user.deleted": format!("#/components/schemas/{DELETED}"),
                }},
            }),
        ),
    ]
}

fn event(name: &str, description: &str, data: &Value) -> Value {
    json!({
        "description": description,
        "type": "object",
        "required": ["type", "timestamp", "data", "sequence", "changed"],
        "properties": {
            "type": {"type": "string", "enum": [name]},
            "timestamp": {"type": "string", "format": "date-time", "description": "The provider's time of the change."},
            "data": data,
            "sequence": {
                "type": "string",
                "pattern": "^[0-9]+$",
                "description": "The event's number in the log. Later events of a user have a higher one.",
            },
            "changed": {
                "type": "array",
                "items": {"type": "string"},
                "description": "For `user.updated`, the names of the changed fields. Never `updatedAt` or `syncedAt`.",
            },
        },
    })
}

/// The answer of `GET /v1/events`.
pub(super) fn response() -> Value {
    json!({"content": {"application/json": {"schema": {
        "type": "object",
        "required": ["events", "next"],
        "properties": {
            "events": {"type": "array", "items": reference("schemas", EVENT)},
            "next": {"type": "string", "pattern": "^[0-9]+$", "description": "For `after` of the next request."},
        },
    }}}})
}

/// The messages that are sent to endpoints.
pub(super) fn webhooks() -> Value {
    let described = [
        ("user.created", CREATED, "A user was created."),
        ("user.updated", UPDATED, "Something that the API shows of a user has changed."),
        ("user.deleted", DELETED, "A user was deleted."),
        ("users.resync", RESYNC, "Events are missing: list the users."),
        ("users.test", TEST, "A test of the endpoint."),
    ];
    let webhook = |(name, schema, summary): (&str, &str, &str)| (name.to_owned(), webhook(schema, summary));
    Value::Object(described.into_iter().map(webhook).collect())
}

fn webhook(schema: &str, summary: &str) -> Value {
    let header = |name: &str, description: &str| json!({"name": name, "in": "header", "required": true, "description": description, "schema": {"type": "string"}});
    json!({"post": {
        "tags": ["events"],
        "summary": summary,
        "description": "Signed as Standard Webhooks. At least once, and per user in the order of `sequence`.",
        "parameters": [
            header("webhook-id", "`evt_…`: the same at each attempt."),
            header("webhook-timestamp", "The time of the attempt, in seconds since 1970."),
            header("webhook-signature", "One signature `v1,…` for each secret, with spaces between them."),
        ],
        "requestBody": {
            "required": true,
            "content": {"application/json": {"schema": reference("schemas", schema)}},
        },
        "responses": {
            "2XX": {"description": "The event was received."},
            "410": {"description": "The endpoint no longer exists: nothing more is sent to it."},
            "default": {"description": "The event is sent again later, after `Retry-After` at the earliest."},
        },
    }})
}
