//! The management APIs of the providers, with users and faults that a test chooses.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write as _;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::event_log;
use super::signer::base64url;

/// The fault of one request.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// This status, with this header.
    Status(u16, Option<(&'static str, String)>),
    /// The answer ends in the middle.
    Cut,
    /// A proxy's page.
    Html,
    /// This JSON.
    Json(Value),
    /// This status, with an error message of the provider.
    Says(u16, String),
}

/// What the provider has, and what has happened to it.
#[derive(Default)]
pub(crate) struct ProviderState {
    /// As the provider describes them, in the order of their creation.
    pub(crate) users: Vec<Value>,
    /// The next requests meet these, one each.
    pub(crate) faults: VecDeque<Fault>,
    /// Method and path with query of every request.
    pub(crate) requests: Vec<String>,
    /// Every request as a whole: method, URL, headers and body.
    pub(crate) recorded: Vec<Value>,
    /// Every value of the header `Authorization`.
    pub(crate) authorizations: Vec<String>,
    /// The instance that the key belongs to.
    pub(crate) instance: String,
    /// The ids of the keys with which that instance signs tokens.
    pub(crate) signing_keys: Vec<&'static str>,
    /// The ids of the keys of the issuer, which is at the same address.
    pub(crate) issuer_keys: Vec<&'static str>,
    /// How many tokens were issued.
    pub(crate) tokens: usize,
    /// The lifetime of a token, in seconds, that the provider reports; a day if it is not set.
    pub(crate) reported_lifetime: Option<u64>,
    /// How many export jobs were made.
    pub(crate) jobs: usize,
    /// The first jobs fail.
    pub(crate) failed_jobs: usize,
    /// The first jobs are deleted as soon as they are made.
    pub(crate) deleted_jobs: usize,
    /// How often an export job answers that it is not ready.
    pub(crate) looks: usize,
    /// Users who are there, but not in the list.
    pub(crate) unlisted: Vec<Value>,
    /// Whether a proxy answers instead of the provider to a request for one user.
    pub(crate) is_behind_a_proxy: bool,
    /// The number of users that the provider reports, if not the number that it lists.
    pub(crate) said_count: Option<Value>,
    /// The next downloads end in the middle.
    pub(crate) cut_downloads: usize,
    /// The log of events, in the format of webhooks, oldest first.
    pub(crate) events: Vec<Value>,
    /// How many of the first events, and their positions, are deleted.
    pub(crate) forgotten: usize,
    /// Whether the credentials may not read the log of events.
    pub(crate) log_is_forbidden: bool,
    /// The next streams of events end after their first message.
    pub(crate) cut_streams: usize,
    /// The endpoints of webhooks.
    pub(crate) endpoints: Vec<Value>,
    /// No request is answered.
    pub(crate) hangs: bool,
    /// Requests beyond this many get no answer for now.
    pub(crate) answers_left: Option<usize>,
}

impl ProviderState {
    fn number_of_users(&self) -> Value {
        self.said_count.clone().unwrap_or_else(|| json!(self.users.len()))
    }

    /// Whether a request is answered now.
    fn takes_one(&mut self) -> bool {
        match &mut self.answers_left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

/// A running provider; it ends with the test's runtime.
pub(crate) struct FakeDirectory {
    site: Arc<Mutex<ProviderState>>,
    base: String,
}

impl FakeDirectory {
    pub(crate) fn start(users: Vec<Value>) -> Self {
        let site = Arc::new(Mutex::new(ProviderState {
            users,
            instance: "ins_1".to_owned(),
            ..ProviderState::default()
        }));
        let data = web::Data::from(Arc::clone(&site));
        let server =
            HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)));
        let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
        let base = format!("http://{}", server.addrs()[0]);
        tokio::spawn(server.run());
        Self { site, base }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub(crate) fn site(&self) -> MutexGuard<'_, ProviderState> {
        self.site.lock().unwrap()
    }

    /// Waits until this was requested the given number of times.
    pub(crate) async fn wait_for(&self, path: &str, times: usize) {
        while self.count(path) < times {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// The number of requests so far whose path begins with this.
    pub(crate) fn count(&self, path: &str) -> usize {
        self.site().requests.iter().filter(|request| request.contains(path)).count()
    }
}

async fn answer(
    request: HttpRequest,
    body: web::Bytes,
    site: web::Data<Mutex<ProviderState>>,
) -> HttpResponse {
    {
        let mut site = site.lock().unwrap();
        site.requests.push(format!("{} {}", request.method(), request.uri()));
        let authorization = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        site.authorizations.push(authorization.unwrap_or_default().to_owned());
        site.recorded.push(record(&request, &body));
    }
    let shared = site.clone().into_inner();
    let hangs = site.lock().unwrap().hangs;
    if hangs {
        std::future::pending::<()>().await;
    }
    while !site.lock().unwrap().takes_one() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut site = site.lock().unwrap();
    match site.faults.pop_front() {
        Some(Fault::Status(status, header)) => {
            let mut response = HttpResponse::build(StatusCode::from_u16(status).unwrap());
            if let Some(header) = header {
                response.insert_header(header);
            }
            return response.json(json!({"errors": [{"message": "not now", "code": "fault"}]}));
        }
        Some(Fault::Html) => {
            return HttpResponse::Ok().content_type("text/html").body("<html>sign in</html>");
        }
        Some(Fault::Json(body)) => return HttpResponse::Ok().json(body),
        Some(Fault::Says(status, words)) => {
            let status = StatusCode::from_u16(status).unwrap();
            return HttpResponse::build(status).json(json!({"errors": [{"message": words}]}));
        }
        Some(Fault::Cut) => return cut(b"[{\"id\":\"user_1\",".to_vec()),
        None => {}
    }
    let query: Vec<(String, String)> =
        url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let base = format!("http://{}", request.connection_info().host());
    if let Some(answer) = event_log::respond(&mut site, shared, request.path(), &query) {
        return answer;
    }
    respond(&mut site, &base, request.path(), &query, &body)
}

fn record(request: &HttpRequest, body: &[u8]) -> Value {
    let headers = request.headers().iter();
    let headers: BTreeMap<&str, &str> =
        headers.map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
    let method = request.method().as_str().to_lowercase();
    let body: Option<Value> = serde_json::from_slice(body).ok();
    json!({"method": method, "url": request.uri().to_string(), "headers": headers, "body": body})
}

/// An answer that ends after these bytes.
fn cut(bytes: Vec<u8>) -> HttpResponse {
    let pieces = vec![Ok(web::Bytes::from(bytes)), Err(std::io::Error::other("cut"))];
    HttpResponse::Ok().content_type("application/json").streaming(futures_util::stream::iter(pieces))
}

fn respond(
    site: &mut ProviderState,
    base: &str,
    path: &str,
    query: &[(String, String)],
    body: &[u8],
) -> HttpResponse {
    let value = |name: &str| query.iter().find(|(known, _)| known == name).map(|(_, value)| &**value);
    let limit = |most: usize| value("limit").and_then(|limit| limit.parse().ok()).unwrap_or(10).min(most);
    let after = |key: &str, cursor: Option<&str>| match cursor {
        Some(cursor) => site.users.iter().position(|user| user[key] == cursor).map_or(0, |at| at + 1),
        None => 0,
    };
    match path {
        "/users" if value("order_by") == Some("-created_at") => {
            HttpResponse::Ok().json(site.users.iter().rev().take(limit(500)).collect::<Vec<_>>())
        }
        "/user_management/users" if value("order") == Some("desc") => {
            let page: Vec<&Value> = site.users.iter().rev().take(limit(100)).collect();
            HttpResponse::Ok().json(json!({"data": page, "list_metadata": {"before": null, "after": null}}))
        }
        "/api/v2/users" => {
            let page: Vec<&Value> = site.users.iter().rev().take(10).collect();
            HttpResponse::Ok().json(json!({"users": page, "total": site.number_of_users()}))
        }
        "/users" if value("user_id").is_some() => {
            let ids: Vec<&str> =
                query.iter().filter(|(name, _)| name == "user_id").map(|(_, id)| &**id).collect();
            let all = site.users.iter().chain(&site.unlisted);
            let found = all.filter(|user| ids.contains(&user["id"].as_str().unwrap()));
            HttpResponse::Ok().json(found.take(limit(500)).collect::<Vec<_>>())
        }
        "/users" => {
            let start = after("id", value("starting_after"));
            let since: i64 = value("created_at_after").map_or(0, |since| since.parse().unwrap());
            let rest = site.users.iter().skip(start).filter(|user| user["created_at"].as_i64() > Some(since));
            let page: Vec<&Value> = rest.take(limit(500)).collect();
            HttpResponse::Ok().json(page)
        }
        "/users/count" => HttpResponse::Ok().json(json!({"total_count": site.number_of_users()})),
        "/jwks" => HttpResponse::Ok().json(key_set(&site.signing_keys)),
        "/.well-known/openid-configuration" => {
            HttpResponse::Ok().json(json!({"issuer": base, "jwks_uri": format!("{base}/issuer/jwks")}))
        }
        "/issuer/jwks" => HttpResponse::Ok().json(key_set(&site.issuer_keys)),
        "/instance" => HttpResponse::Ok().json(json!({"object": "instance", "id": site.instance})),
        "/user_management/users" => {
            let start = after("id", value("after"));
            let page: Vec<&Value> = site.users.iter().skip(start).take(limit(100)).collect();
            let has_more = start + page.len() < site.users.len();
            let next = page.last().filter(|_| has_more).map(|user| &user["id"]);
            HttpResponse::Ok().json(json!({"data": page, "list_metadata": {"before": null, "after": next}}))
        }
        "/oauth/token" => {
            assert!(String::from_utf8_lossy(body).contains("/api/v2/"), "the audience");
            site.tokens += 1;
            let lifetime = site.reported_lifetime.unwrap_or(86_400);
            HttpResponse::Ok()
                .json(json!({"access_token": format!("token_{}", site.tokens), "expires_in": lifetime}))
        }
        "/api/v2/jobs/users-exports" => {
            site.jobs += 1;
            HttpResponse::Ok().json(json!({"id": format!("job_{}", site.jobs), "status": "pending"}))
        }
        job if job.starts_with("/api/v2/jobs/job_") => export_job(site, base, job),
        "/export.json.gz" => {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            for user in &site.users {
                writeln!(encoder, "{user}").unwrap();
            }
            let mut file = encoder.finish().unwrap();
            if site.cut_downloads > 0 {
                site.cut_downloads -= 1;
                file.truncate(file.len() * 3 / 4);
                return cut(file);
            }
            HttpResponse::Ok().content_type("application/gzip").body(file)
        }
        "/pages" => {
            let page: usize = value("page").unwrap().parse().unwrap();
            let per_page = value("per_page").unwrap().parse().unwrap();
            let users: Vec<&Value> = site.users.iter().skip((page - 1) * per_page).take(per_page).collect();
            HttpResponse::Ok()
                .insert_header(("x-total-count", site.users.len()))
                .json(json!({"users": users}))
        }
        _ => one_user(site, path),
    }
}

/// Keys with these ids.
fn key_set(ids: &[&str]) -> Value {
    let key = |id: &&str| json!({"kty": "OKP", "crv": "Ed25519", "kid": id, "x": base64url([7; 32])});
    json!({"keys": ids.iter().map(key).collect::<Vec<Value>>()})
}

/// The state of an export job.
fn export_job(site: &mut ProviderState, base: &str, path: &str) -> HttpResponse {
    let id = path.trim_start_matches("/api/v2/jobs/");
    let number: usize = id.trim_start_matches("job_").parse().unwrap();
    if number <= site.deleted_jobs {
        return HttpResponse::NotFound().json(json!({"statusCode": 404, "errorCode": "inexistent_job"}));
    }
    if number <= site.failed_jobs {
        let job = json!({"id": id, "status": "failed", "status_details": "no connection"});
        return HttpResponse::Ok().json(job);
    }
    if site.looks > 0 {
        site.looks -= 1;
        return HttpResponse::Ok().json(json!({"id": id, "status": "processing", "percentage_done": 50}));
    }
    let location = format!("{base}/export.json.gz?signed");
    HttpResponse::Ok().json(json!({"id": id, "status": "completed", "location": location}))
}

/// One user by id, or the provider's own answer that there is none.
fn one_user(site: &ProviderState, path: &str) -> HttpResponse {
    let places = [
        ("/users/", "id", json!({"errors": [{"message": "not found", "code": "resource_not_found"}]})),
        ("/user_management/users/", "id", json!({"message": "User not found", "code": "entity_not_found"})),
        ("/api/v2/users/", "user_id", json!({"statusCode": 404, "errorCode": "inexistent_user"})),
    ];
    for (folder, key, gone) in places {
        let Some(id) = path.strip_prefix(folder) else { continue };
        let id = percent_encoding::percent_decode_str(id).decode_utf8().unwrap();
        if site.is_behind_a_proxy {
            return HttpResponse::NotFound().content_type("text/html").body("<html>not here</html>");
        }
        let all = site.users.iter().chain(&site.unlisted);
        return match all.into_iter().find(|user| user[key] == *id) {
            Some(user) => HttpResponse::Ok().json(user),
            None => HttpResponse::NotFound().json(gone),
        };
    }
    HttpResponse::NotFound().body("no such page")
}

/// Users as Clerk describes them.
pub(crate) fn clerk_users(count: usize) -> Vec<Value> {
    let user = |n: usize| {
        let time = 1_767_000_000_000_i64 + i64::try_from(n).unwrap() * 1000;
        json!({
            "id": format!("user_{n:05}"), "object": "user", "first_name": "User", "last_name": n.to_string(),
            "username": null, "image_url": "https://img.clerk.com/x", "primary_email_address_id": "e",
            "email_addresses": [{"id": "e", "email_address": format!("user{n}@example.com"),
                "verification": {"status": "verified"}}],
            "primary_phone_number_id": null, "phone_numbers": [], "public_metadata": {"n": n},
            "private_metadata": {"secret": "SENTINEL"}, "created_at": time, "updated_at": time + 500,
        })
    };
    (0..count).map(user).collect()
}

/// Users as WorkOS describes them.
pub(crate) fn workos_users(count: usize) -> Vec<Value> {
    let user = |n: usize| {
        json!({
            "object": "user", "id": format!("user_{n:05}"), "email": format!("user{n}@example.com"),
            "email_verified": true, "first_name": "User", "last_name": n.to_string(), "metadata": {},
            "profile_picture_url": null, "created_at": "2026-01-01T12:00:00.000Z", "updated_at": "2026-01-02T12:00:00.000Z",
        })
    };
    (0..count).map(user).collect()
}

/// Users as Auth0's export describes them: what is not set is left out.
pub(crate) fn auth0_users(count: usize) -> Vec<Value> {
    let user = |n: usize| {
        json!({
            "user_id": format!("auth0|{n:05}"), "email": format!("user{n}@example.com"), "email_verified": true,
            "name": format!("User {n}"), "app_metadata": {"secret": "SENTINEL"},
            "identities": [{"provider": "auth0", "access_token": "SENTINEL"}],
            "created_at": "2026-01-01T12:00:00.000Z", "updated_at": "2026-01-02T12:00:00.000Z",
        })
    };
    (0..count).map(user).collect()
}
