//! Every request of backfill, reconcile and the watch, judged by the providers' own published descriptions with Prism.

use std::path::Path;

use serde_json::{Value, json};

use crate::backfill::{backfill, clerk, configure, with_issuer};
use crate::reconcile::reconcile;
use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::CREATED;
use crate::support::directory::{FakeDirectory, auth0_users, clerk_users, workos_users};
use crate::support::event_log::{auth0_event, workos_event};
use crate::support::peers::PRISM;
use crate::support::watching::{operator, until};

/// What is wrong with the requests that were made.
async fn wrong_with(
    description: &str,
    directory: &FakeDirectory,
    is_described: impl Fn(&str) -> bool,
) -> Option<Value> {
    let mut prism = PRISM.start()?;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/specs").join(description);
    let made: Vec<Value> = directory.site().recorded.clone();
    let mut wrong = Vec::new();
    for mut request in made {
        if !is_described(request["url"].as_str().unwrap()) {
            continue;
        }
        request["description"] = json!(file);
        let judged = prism.ask(&request).await;
        if judged["violations"] != json!([]) {
            wrong.push(json!({"request": request, "judged": judged}));
        }
    }
    Some(Value::Array(wrong))
}

/// Imports all users, finds a deleted one and one that is not listed, and looks up both by id.
async fn make_every_request(home: &ProgramFixture, directory: &FakeDirectory) {
    let (said, _) = backfill(home, &[]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    {
        let mut site = directory.site();
        site.users.remove(3);
        let unlisted = site.users.remove(3);
        site.unlisted.push(unlisted);
    }
    let (said, report) = reconcile(home, &["--repair", "--delete"]).await;
    assert_eq!((said.code, &report["deleted"]), (Some(0), &json!(1)), "{said:?}");
    assert_eq!(report["counts"]["notListed"], 1, "{report}");
}

#[tokio::test]
async fn requests_to_clerk_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(clerk_users(1100));
    clerk(&home, &directory);
    make_every_request(&home, &directory).await;
    if let Some(wrong) = wrong_with("clerk.yaml", &directory, |_| true).await {
        assert_eq!(wrong, json!([]));
    }
}

#[tokio::test]
async fn requests_to_workos_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(workos_users(250));
    let base = directory.url("");
    let api = format!("[sources.api]\nsecret_key = 'sk_1'\nbase_url = '{base}'\nrequests_per_second = 1000");
    configure(&home, "workos", &api);
    make_every_request(&home, &directory).await;
    if let Some(wrong) = wrong_with("workos.yaml", &directory, |_| true).await {
        assert_eq!(wrong, json!([]));
    }
}

#[tokio::test]
async fn requests_to_auth0_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(auth0_users(60));
    let base = directory.url("");
    let api = format!(
        "[sources.api]\ndomain = 'tenant.us.auth0.com'\nclient_id = 'id'\nclient_secret = 'secret'\nbase_url = '{base}'\nrequests_per_second = 1000"
    );
    configure(&home, "auth0", &api);
    make_every_request(&home, &directory).await;
    // The export's address is signed and no part of the API.
    if let Some(wrong) = wrong_with("auth0.yaml", &directory, |url| !url.starts_with("/export")).await {
        assert_eq!(wrong, json!([]));
    }
}

/// Watches a source until each of these requests was made.
async fn watch(home: &ProgramFixture, directory: &FakeDirectory, provider: &str, requests: &[&str]) {
    let service = home.serve().await;
    let client = operator(home, &service).await;
    client.check(provider).await;
    for request in requests {
        until(request, async || directory.count(request) > 0).await;
    }
    service.stop().await;
}

#[tokio::test]
async fn requests_of_the_watch_to_clerk_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let directory = FakeDirectory::start(clerk_users(12));
    configure(&home, "clerk", &with_issuer(&directory));
    directory.site().issuer_keys = vec!["of_the_instance"];
    directory.site().signing_keys = vec!["of_the_instance"];
    let newest = ["/users?order_by=-created_at", "/users/count", "/users/user_", "/jwks"];
    watch(&home, &directory, "clerk", &newest).await;
    let service = home.serve().await;
    assert_eq!(home.client(&service).await.deliver(CREATED).await, "200 applied");
    service.stop().await;
    watch(&home, &directory, "clerk", &["/instance"]).await;
    let is_described = |url: &str| !url.starts_with("/issuer") && !url.starts_with("/.well-known");
    if let Some(wrong) = wrong_with("clerk.yaml", &directory, is_described).await {
        assert_eq!(wrong, json!([]));
    }
}

#[tokio::test]
async fn requests_of_the_watch_to_workos_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let users = workos_users(150);
    let directory = FakeDirectory::start(users.clone());
    let base = directory.url("");
    let api = format!("[sources.api]\nsecret_key = 'sk_1'\nbase_url = '{base}'\nrequests_per_second = 1000");
    configure(&home, "workos", &api);
    directory.site().events =
        (0..150).map(|number| workos_event(number, "user.created", &users[number], 10)).collect();
    let requests = [
        "/user_management/users?",
        "/user_management/users/user_",
        "/webhook_endpoints",
        "range_start=",
        "after=event_",
    ];
    watch(&home, &directory, "workos", &requests).await;
    if let Some(wrong) = wrong_with("workos.yaml", &directory, |_| true).await {
        assert_eq!(wrong, json!([]));
    }
}

#[tokio::test]
async fn requests_of_the_watch_to_auth0_match_its_api_description() {
    let home = ProgramFixture::on_sqlite();
    let users = auth0_users(12);
    let directory = FakeDirectory::start(users.clone());
    let base = directory.url("");
    let api = format!(
        "[sources.api]\ndomain = 'tenant.us.auth0.com'\nclient_id = 'id'\nclient_secret = 'secret'\nbase_url = '{base}'\nrequests_per_second = 1000"
    );
    configure(&home, "auth0", &api);
    {
        let mut site = directory.site();
        site.cut_streams = 1;
        site.events = vec![auth0_event(0, "user.created", &users[0])];
        site.endpoints = vec![json!({
            "id": "est_0000000000000000000001", "status": "enabled", "subscriptions": [], "destination":
                {"type": "webhook", "configuration": {"webhook_endpoint": "https://a.test/webhooks/auth0"}},
        })];
    }
    let requests = [
        "/oauth/token",
        "/api/v2/users?",
        "/api/v2/users/auth0",
        "/api/v2/events?from_timestamp=",
        "/api/v2/events?from=1",
        "/api/v2/event-streams?",
        "/api/v2/event-streams/est_0000000000000000000001/deliveries?",
    ];
    watch(&home, &directory, "auth0", &requests).await;
    if let Some(wrong) = wrong_with("auth0.yaml", &directory, |_| true).await {
        assert_eq!(wrong, json!([]));
    }
}

#[tokio::test]
async fn a_request_that_is_not_described_is_noticed() {
    let Some(mut prism) = PRISM.start() else { return };
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/specs/clerk.yaml");
    let key = json!({"authorization": "Bearer sk_live_1"});
    for (url, headers) in [
        ("/users?limit=501", &key),
        ("/users?start_after=user_1", &key),
        ("/user", &key),
        ("/users?limit=500", &json!({})),
    ] {
        let asked = json!({"description": file, "method": "get", "url": url, "headers": headers});
        let judged = prism.ask(&asked).await;
        assert_ne!(judged["violations"], json!([]), "{url}");
    }
}
