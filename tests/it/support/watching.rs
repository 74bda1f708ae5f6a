//! A running program that watches its sources, and the states that it reports.

use std::time::{Duration, Instant};

use serde_json::Value;
use usersync::internals::clock::Clock;

use super::binary::{Process, ProgramFixture};
use super::client::Client;

/// Long enough for a busy machine, and for the pauses of the watch.
const TIMEOUT: Duration = Duration::from_mins(2);

/// A client with a key that may read the sources.
pub(crate) async fn operator(home: &ProgramFixture, service: &Process) -> Client {
    let name = format!("operator of {}", service.address);
    let said = home.run(&["keys", "create", &name, "--scope", "admin"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    Client::new(format!("http://{}", service.address), said.stdout.trim_end().to_owned(), Clock::system())
}

impl Client {
    /// The status of a source.
    pub(crate) async fn source(&self, name: &str) -> Value {
        let listed = self.get_as(self.service_key(), "/v1/sources").await;
        assert_eq!(listed.status, 200, "{listed:?}");
        let listed = listed.json();
        let found = listed.as_array().unwrap().iter().find(|source| source["name"] == name);
        found.unwrap_or_else(|| panic!("{listed}")).clone()
    }

    /// The status of a source after a check.
    pub(crate) async fn check(&self, name: &str) -> Value {
        let path = format!("/v1/sources/{name}/check");
        let checked =
            super::client::answer(self.request(reqwest::Method::POST, &path).bearer_auth(self.service_key()))
                .await;
        assert_eq!(checked.status, 200, "{checked:?}");
        checked.json()
    }
}

/// Waits until a condition is true.
pub(crate) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + TIMEOUT;
    while !holds().await {
        assert!(Instant::now() < end, "timed out: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
