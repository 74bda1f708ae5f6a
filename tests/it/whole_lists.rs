//! Lists that never end, or that end without all users: none of them is reported as complete.

use std::sync::atomic::{AtomicUsize, Ordering};

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::io::Write as _;

use crate::backfill::{backfill, clerk, configure, number};
use crate::support::binary::ProgramFixture;
use crate::support::directory::{FakeDirectory, clerk_users};

const CURSOR: &str = "{ type = 'cursor', from = '/next', to = 'cursor' }";
const USERS: &str = "SELECT count(*) FROM users";

/// A request to the provider: the query, and the number of the request.
struct ListRequest {
    query: String,
    number: usize,
}

type Page = fn(&ListRequest) -> HttpResponse;

/// A provider with these answers.
fn start(page: Page) -> String {
    let site = web::Data::new((page, AtomicUsize::new(0)));
    let server = HttpServer::new(move || App::new().app_data(site.clone()).default_service(web::to(answer)));
    let server = server.workers(1).disable_signals().bind(("127.0.0.1", 0)).unwrap();
    let base = format!("http://{}", server.addrs()[0]);
    tokio::spawn(server.run());
    base
}

async fn answer(request: HttpRequest, site: web::Data<(Page, AtomicUsize)>) -> HttpResponse {
    let number = site.1.fetch_add(1, Ordering::SeqCst);
    (site.0)(&ListRequest { query: request.query_string().to_owned(), number })
}

fn list(home: &ProgramFixture, base: &str, next: &str) {
    let list = format!(
        "[sources.map]\ntype = '/type'\nupsert = ['user']\nid = '/id'\nupdated_at = '/updated_at'\n\
         [sources.list]\nurl = '{base}/users'\nitems = '/users'\ntotal = '/total'\nnext = {next}\n\
         map = {{ id = '/id', updated_at = '/updated_at', profile = {{ name = '/name' }} }}\n"
    );
    configure(home, "standard", &list);
}

fn users(first: usize) -> Value {
    let user = |n: usize| json!({"id": format!("u{n}"), "name": "Ada", "updated_at": 1_700_000_000 + n});
    (first..first + 10).map(user).collect()
}

fn page(users: &Value, next: &Value) -> HttpResponse {
    HttpResponse::Ok().json(json!({"users": users, "next": next}))
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    let shapes: [(&str, &str, Page); 4] = [
        ("two cursors", CURSOR, |request| page(&users(request.number % 2 * 10), &json!(request.number % 2))),
        ("empty pages", CURSOR, |request| page(&json!([]), &json!(request.number))),
        ("pages in another order", "{ type = 'offset', to = 'offset' }", |request| {
            page(&users(request.number % 5), &Value::Null)
        }),
        ("links", "{ type = 'link' }", |request| {
            let link = format!("</users?{}>; rel=next", request.number % 3);
            HttpResponse::Ok()
                .insert_header(("link", link))
                .json(json!({"users": users(request.number % 3 * 10)}))
        }),
    ];
    for (name, next, page) in shapes {
        let home = ProgramFixture::on_sqlite();
        list(&home, &start(page), next);
        let (said, summary) = backfill(&home, &[]).await;
        assert_eq!((said.code, &summary["complete"]), (Some(1), &json!(false)), "{name}: {said:?}");
        assert!(said.stderr.contains("the list repeats itself"), "{name}: {said:?}");
        assert!(!said.stderr.contains("run the command again: it continues"), "{name}: {said:?}");
    }
}

async fn a_list_that_ends_too_early_is_not_complete(home: &mut ProgramFixture) {
    let directory = FakeDirectory::start(clerk_users(500));
    directory.site().said_count = Some(json!(1200));
    clerk(home, &directory);
    for _ in 0..2 {
        let (said, summary) = backfill(home, &[]).await;
        assert_eq!((said.code, &summary["complete"]), (Some(1), &json!(false)), "{said:?}");
        assert_eq!(summary["seen"], 500, "each call starts from the beginning: {summary}");
        assert!(said.stderr.contains("ended after 500 users, but the provider reports 1200"), "{said:?}");
    }
    directory.site().users = clerk_users(1200);
    let (said, summary) = backfill(home, &[]).await;
    assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(1200)), "{said:?}");
    // The list is empty at once, though each user can still be looked up.
    {
        let mut site = directory.site();
        site.unlisted = std::mem::take(&mut site.users);
        site.said_count = None;
    }
    let (said, _) = backfill(home, &["--restart"]).await;
    assert_eq!(said.code, Some(1), "{said:?}");
    assert!(said.stderr.contains("the list is empty, but this source has users here"), "{said:?}");
}

on_both_databases!(a_list_that_ends_too_early_is_not_complete, with ProgramFixture);

#[tokio::test]
async fn an_empty_list_is_read_again_when_it_has_users() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(Vec::new());
    clerk(&home, &directory);
    for count in [0, 7] {
        directory.site().users = clerk_users(count);
        let (said, summary) = backfill(&home, &[]).await;
        assert_eq!((said.code, &summary["seen"]), (Some(0), &json!(count)), "{said:?}");
    }
}

#[tokio::test]
async fn an_end_that_cannot_be_confirmed_is_an_error() {
    let shapes: [(&str, Page, &str); 4] = [
        (CURSOR, |_| page(&users(0), &json!({})), "neither a text nor a number"),
        (
            "{ type = 'link' }",
            |_| HttpResponse::Ok().insert_header(("link", "garbage")).json(json!({"users": users(0)})),
            "`Link` cannot be read",
        ),
        (
            CURSOR,
            |_| HttpResponse::Ok().json(json!({"users": users(0), "total": 10_000})),
            "ended after 10 users, but the provider reports 10000",
        ),
        (
            CURSOR,
            |_| {
                page(&json!([{"id": "u1", "updated_at": "x"}, {"id": "u2", "updated_at": "x"}]), &Value::Null)
            },
            "none of the 2 users could be read",
        ),
    ];
    for (next, page, words) in shapes {
        let home = ProgramFixture::on_sqlite();
        list(&home, &start(page), next);
        let (said, summary) = backfill(&home, &[]).await;
        assert_eq!((said.code, &summary["complete"]), (Some(1), &json!(false)), "{words}: {said:?}");
        assert!(said.stderr.contains(words), "{words}: {said:?}");
    }
}

#[tokio::test]
async fn links_and_answers_are_read_in_every_form_that_the_standards_allow() {
    let home = ProgramFixture::on_sqlite();
    let base = start(|request| {
        if request.query == "p=2" {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            write!(encoder, "\u{feff}{}", json!({"users": users(10)})).unwrap();
            let body = encoder.finish().unwrap();
            return HttpResponse::Ok().insert_header(("content-encoding", "gzip")).body(body);
        }
        HttpResponse::Ok()
            .append_header(("link", "</users>; rel=first"))
            .append_header(("link", "</users?p=2>; title=\"a,b>\"; REL = NEXT"))
            .body(json!({"users": users(0)}).to_string().replacen("Ada", "Ada \\ud83d", 1))
    });
    list(&home, &base, "{ type = 'link' }");
    let (said, summary) = backfill(&home, &[]).await;
    assert_eq!((said.code, &summary["applied"]), (Some(0), &json!(20)), "{said:?}");
    assert_eq!(number(&home, USERS).await, 20);
    assert_eq!(number(&home, "SELECT count(*) FROM users WHERE name = 'Ada \u{fffd}'").await, 1);
}
