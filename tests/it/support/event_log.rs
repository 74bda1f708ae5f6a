//! The providers' logs of events and the endpoints of their webhooks, as part of the fake provider.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::directory::ProviderState;

/// The answer, if this module serves the path.
pub(super) fn respond(
    site: &mut ProviderState,
    shared: Arc<Mutex<ProviderState>>,
    path: &str,
    query: &[(String, String)],
) -> Option<HttpResponse> {
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    Some(match path {
        "/events" | "/api/v2/events" if site.log_is_forbidden => {
            HttpResponse::Forbidden().json(json!({"statusCode": 403, "message": "Insufficient scope"}))
        }
        "/events" => pages(site, value("after"), value("range_start")),
        "/webhook_endpoints" => HttpResponse::Ok()
            .json(json!({"data": site.endpoints, "list_metadata": {"before": null, "after": null}})),
        "/api/v2/events" => stream(site, shared, value("from")),
        "/api/v2/event-streams" => HttpResponse::Ok().json(json!({"eventStreams": site.endpoints})),
        path if path.ends_with("/deliveries") => HttpResponse::Ok().json(json!([])),
        _ => return None,
    })
}

/// WorkOS: a hundred events per page.
fn pages(site: &ProviderState, after: Option<&str>, since: Option<&str>) -> HttpResponse {
    let kept = &site.events[site.forgotten..];
    let start = match (after, since) {
        (Some(id), _) => match kept.iter().position(|event| event["id"] == id) {
            Some(at) => at + 1,
            None => return HttpResponse::UnprocessableEntity().json(json!({"message": "no such event"})),
        },
        (None, Some(since)) => {
            kept.iter().position(|event| event["created_at"].as_str() >= Some(since)).unwrap_or(kept.len())
        }
        (None, None) => return HttpResponse::BadRequest().json(json!({"message": "no range"})),
    };
    let page: Vec<&Value> = kept.iter().skip(start).take(100).collect();
    let has_more = start + page.len() < kept.len();
    let next = page.last().filter(|_| has_more).map(|event| &event["id"]);
    HttpResponse::Ok().json(json!({"object": "list", "data": page, "list_metadata": {"after": next}}))
}

/// Auth0: all events from an offset, which is the number of the event, and then new ones as they happen.
fn stream(site: &mut ProviderState, shared: Arc<Mutex<ProviderState>>, from: Option<&str>) -> HttpResponse {
    let start: usize = from.map_or(site.forgotten, |offset| offset.parse().unwrap());
    if start < site.forgotten {
        return HttpResponse::Gone().json(json!({"statusCode": 410, "message": "the cursor has expired"}));
    }
    let is_cut = site.cut_streams > 0;
    site.cut_streams = site.cut_streams.saturating_sub(1);
    let next = move |(sent, at): (usize, usize)| {
        let shared = Arc::clone(&shared);
        async move {
            if sent == 0 {
                return Some((Ok::<_, std::io::Error>(web::Bytes::from(":connected\n\n")), (1, at)));
            }
            if is_cut && sent == 2 {
                return None;
            }
            loop {
                let event = shared.lock().unwrap().events.get(at).cloned();
                if let Some(event) = event {
                    let data = json!({"offset": (at + 1).to_string(), "event": event});
                    let kind = event["type"].as_str().unwrap();
                    let text = format!("event: {kind}\nid: {}\ndata: {data}\n\n", at + 1);
                    return Some((Ok(web::Bytes::from(text)), (sent + 1, at + 1)));
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    };
    let messages = futures_util::stream::unfold((0, start), next);
    HttpResponse::Ok().content_type("text/event-stream").streaming(Box::pin(messages))
}

/// An event of WorkOS about a user, which happened `seconds_ago`.
pub(crate) fn workos_event(number: usize, kind: &str, user: &Value, seconds_ago: i64) -> Value {
    let at = chrono::Utc::now() - chrono::TimeDelta::seconds(seconds_ago);
    json!({
        "object": "event", "id": format!("event_{number:05}"), "event": kind, "data": user,
        "created_at": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
    })
}

/// An event of Auth0 about a user.
pub(crate) fn auth0_event(number: usize, kind: &str, user: &Value) -> Value {
    json!({
        "specversion": "1.0", "type": kind, "source": "urn:auth0:tenant.us", "id": format!("evt_{number:05}"),
        "time": "2026-01-03T12:00:00.000Z", "data": {"object": user}, "a0tenant": "tenant", "a0stream": "est_1",
    })
}
