//! Every request of backfill and reconcile, judged by the providers' own published descriptions with Prism.

use std::path::Path;

use serde_json::{Value, json};

use crate::backfill::{backfill, clerk, configure};
use crate::reconcile::reconcile;
use crate::support::binary::ProgramFixture;
use crate::support::directory::{FakeDirectory, auth0_users, clerk_users, workos_users};
use crate::support::peers::PRISM;

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
