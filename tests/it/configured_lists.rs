//! `[sources.list]`: lists of users in the shapes of other providers, with their paging, their credentials and their
//! way to say that a user is gone.

use std::sync::{Arc, Mutex};

use actix_web::http::StatusCode;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::backfill::{backfill, configure, number};
use crate::reconcile::reconcile;
use crate::support::binary::ProgramFixture;

const MAP: &str = "[sources.map]
type = '/type'
upsert = ['user']
id = '/id'
updated_at = '/updated_at'
";

/// A provider: its `[sources.list]`, and how it answers.
struct Shape {
    name: &'static str,
    list: &'static str,
    path: &'static str,
    authorization: &'static str,
    page: fn(&[Value], &ListRequest) -> HttpResponse,
}

/// A request to the provider.
struct ListRequest {
    query: Vec<(String, String)>,
    body: Value,
    url: String,
}

impl ListRequest {
    fn value(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| &**value)
    }

    fn number(&self, name: &str, default: usize) -> usize {
        self.value(name).map_or(default, |value| value.parse().unwrap())
    }
}

const SHAPES: [Shape; 7] = [
    Shape {
        name: "supabase",
        path: "/auth/v1/admin/users",
        authorization: "Bearer service_key",
        list: "query = ['per_page=50']
items = '/users'
total_header = 'X-Total-Count'
headers = ['apikey: service_key']
auth = { type = 'bearer', token = 'service_key' }
next = { type = 'page', to = 'page', first = 1 }
map = { id = '/id', created_at = '/created_at', updated_at = '/updated_at', profile = { email = '/email' } }",
        page: |users, asked| {
            let (page, size) = (asked.number("page", 1), asked.number("per_page", 50));
            let users: Vec<&Value> = users.iter().skip((page - 1) * size).take(size).collect();
            HttpResponse::Ok().insert_header(("x-total-count", "120")).json(json!({"users": users}))
        },
    },
    Shape {
        name: "stytch",
        path: "/v1/users/search",
        authorization: "Basic cHJvamVjdDpzZWNyZXQ=",
        list: "method = 'POST'
body = '{\"limit\": 50}'
items = '/results'
total = '/results_metadata/total'
auth = { type = 'basic', username = 'project', password = 'secret' }
next = { type = 'cursor', from = '/results_metadata/next_cursor', to = '/cursor' }
map = { id = '/id', created_at = '/created_at', profile = { email = '/email' } }",
        page: |users, asked| {
            assert_eq!(asked.body["limit"], 50);
            let start: usize = asked.body["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
            let page: Vec<&Value> = users.iter().skip(start).take(50).collect();
            let next = (start + 50 < users.len()).then(|| (start + 50).to_string());
            HttpResponse::Ok()
                .json(json!({"results": page, "results_metadata": {"next_cursor": next, "total": -1}}))
        },
    },
    Shape {
        name: "kinde",
        path: "/api/v1/users",
        authorization: "Bearer granted",
        list: "query = ['page_size=50']
items = '/users'
auth = { type = 'clientCredentials', token_url = 'BASE/token', client_id = 'id', client_secret = 'secret', audience = 'https://kinde.example/api' }
next = { type = 'cursor', from = '/next_token', to = 'next_token' }
map = { id = '/id', created_at = '/created_at', profile = { email = '/email' } }",
        page: |users, asked| {
            let start = asked.number("next_token", 0);
            let page: Vec<&Value> = users.iter().skip(start).take(asked.number("page_size", 10)).collect();
            let next = (start + 50 < users.len()).then(|| (start + 50).to_string());
            HttpResponse::Ok().json(json!({"code": "OK", "users": page, "next_token": next}))
        },
    },
    Shape {
        name: "logto",
        path: "/api/users",
        authorization: "Bearer granted",
        list: "query = ['page_size=50']
items = ''
total_header = 'Total-Number'
auth = { type = 'clientCredentials', token_url = 'BASE/token', client_id = 'id', client_secret = 'secret', resource = 'https://logto.example/api', scope = 'all' }
next = { type = 'link' }
map = { id = '/id', created_at = '/createdAt', profile = { email = '/email' } }",
        page: |users, asked| {
            let (page, size) = (asked.number("page", 1), asked.number("page_size", 20));
            let there: Vec<&Value> = users.iter().skip((page - 1) * size).take(size).collect();
            let next = format!("<{}?page_size={size}&page={}>; rel=\"next\"", asked.url, page + 1);
            let first = format!("<{}?page_size={size}&page=1>; rel=\"first\"", asked.url);
            let link = if page * size < users.len() { format!("{first}, {next}") } else { first };
            HttpResponse::Ok()
                .insert_header(("link", link))
                .insert_header(("total-number", users.len()))
                .json(there)
        },
    },
    Shape {
        name: "keycloak",
        path: "/admin/realms/r/users",
        authorization: "Bearer granted",
        list: "query = ['max=50']
items = ''
auth = { type = 'clientCredentials', token_url = 'BASE/token', client_id = 'id', client_secret = 'secret' }
next = { type = 'offset', to = 'first', first = 0 }
map = { id = '/id', created_at = '/createdAt', profile = { email = '/email' } }",
        page: |users, asked| {
            let page: Vec<&Value> =
                users.iter().skip(asked.number("first", 0)).take(asked.number("max", 100)).collect();
            HttpResponse::Ok().json(page)
        },
    },
    Shape {
        name: "scim",
        path: "/scim/v2/Users",
        authorization: "Bearer service_key",
        list: "query = ['count=50', 'sortBy=id']
items = '/Resources'
total = '/totalResults'
auth = { type = 'bearer', token = 'service_key' }
next = { type = 'offset', to = 'startIndex', first = 1 }
map = { id = '/id', created_at = '/meta/created', updated_at = '/meta/lastModified', profile = { email = '/email' } }",
        page: |users, asked| {
            let start = asked.number("startIndex", 1) - 1;
            let page: Vec<&Value> = users.iter().skip(start).take(asked.number("count", 100)).collect();
            let mut answer = json!({"totalResults": users.len(), "startIndex": start + 1});
            // Servers leave out what is empty (RFC 7644, 3.4.2).
            if !page.is_empty() {
                answer["Resources"] = json!(page);
            }
            HttpResponse::Ok().content_type("application/scim+json").json(answer)
        },
    },
    Shape {
        name: "by the last id",
        path: "/customers",
        authorization: "",
        list: "query = ['limit=50']
items = '/data'
next = { type = 'lastId', to = 'starting_after' }
map = { id = '/id', created_at = '/created_at', updated_at = '/updated_at', profile = { email = '/email' } }",
        page: |users, asked| {
            let after = asked.value("starting_after");
            let start = after.map_or(0, |id| users.iter().position(|user| user["id"] == id).unwrap() + 1);
            let page: Vec<&Value> = users.iter().skip(start).take(50).collect();
            HttpResponse::Ok().json(json!({"data": page}))
        },
    },
];

fn users() -> Vec<Value> {
    let user = |n: usize| {
        json!({
            "id": format!("u-{n:04}"), "email": format!("user{n}@example.com"),
            "created_at": "2026-01-01T12:00:00Z", "updated_at": "2026-01-02T12:00:00Z",
            "createdAt": 1_767_268_800_000_i64,
            "meta": {"created": "2026-01-01T12:00:00Z", "lastModified": "2026-01-02T12:00:00Z"},
        })
    };
    (0..120).map(user).collect()
}

type Site = (&'static Shape, Mutex<Vec<Value>>);

/// A provider of this shape, and its address.
fn start(shape: &'static Shape) -> (Arc<Site>, String) {
    let site: Arc<Site> = Arc::new((shape, Mutex::new(users())));
    let data = web::Data::from(Arc::clone(&site));
    let server = HttpServer::new(move || App::new().app_data(data.clone()).default_service(web::to(answer)));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    tokio::spawn(server.run());
    (site, base)
}

async fn answer(request: HttpRequest, body: web::Bytes, site: web::Data<Site>) -> HttpResponse {
    let (shape, users) = &**site;
    let sent = request.headers().get("authorization").map_or("", |value| value.to_str().unwrap());
    if request.path() == "/token" {
        let form = String::from_utf8(body.to_vec()).unwrap();
        assert!(form.contains("grant_type=client_credentials"), "{form}");
        assert_eq!(sent, format!("Basic {}", STANDARD.encode("id:secret")));
        return HttpResponse::Ok().json(json!({"access_token": "granted", "expires_in": 3600}));
    }
    if sent != shape.authorization {
        return HttpResponse::build(StatusCode::UNAUTHORIZED).json(json!({"error": sent}));
    }
    let users = users.lock().unwrap();
    if let Some(id) = request.path().strip_prefix("/one/") {
        return match users.iter().find(|user| user["id"] == *id) {
            Some(user) => HttpResponse::Ok().json(user),
            None => HttpResponse::NotFound().json(json!({"message": "no such user"})),
        };
    }
    assert_eq!(request.path(), shape.path);
    let query = url::form_urlencoded::parse(request.query_string().as_bytes()).into_owned().collect();
    let url = format!("http://{}{}", request.connection_info().host(), request.path());
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (shape.page)(&users, &ListRequest { query, body, url })
}

#[tokio::test]
async fn everybody_in_a_list_of_each_shape_is_read_and_who_left_is_found() {
    for shape in &SHAPES {
        let (site, base) = start(shape);
        let home = ProgramFixture::on_sqlite();
        let Shape { name, path, list, .. } = shape;
        let list = list.replace("BASE", &base);
        let list = format!("{MAP}[sources.list]\nurl = '{base}{path}'\nget = '{base}/one/{{id}}'\n{list}\n");
        configure(&home, "standard", &list);
        let (said, summary) = backfill(&home, &[]).await;
        assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(120)), "{name}: {said:?}");
        let complete = "SELECT count(*) FROM users WHERE email IS NOT NULL AND created_at IS NOT NULL";
        assert_eq!(number(&home, complete).await, 120, "{name}");
        site.1.lock().unwrap().remove(70);
        let (said, report) = reconcile(&home, &["--delete"]).await;
        assert_eq!((said.code, &report["extra"]), (Some(0), &json!(["u-0070"])), "{name}: {said:?}");
        assert_eq!(number(&home, complete).await, 119, "{name}");
    }
}
