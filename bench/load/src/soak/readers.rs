//! Requests for the current user: lookups, waits for a user who is not there yet, and streams.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::ground::Ground;
use super::history::user_id;
use crate::call::Call;
use crate::streams::events::Events;

const PATH: &str = "/v1/users/current";
const TIMEOUT: Duration = Duration::from_secs(20);
/// Between two waits for the next new user.
const WAIT_PAUSE: Duration = Duration::from_secs(2);
/// After a stream that was refused or that broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How the error begins if the user was deleted.
const DELETED: &str = "no stream: HTTP/1.1 410 ";
/// How many users back a lookup goes.
const RECENT: u64 = 400;

/// Looks users up at a steady rate.
pub(super) async fn look_up(ground: Arc<Ground>, rate: u32) {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        let ground = Arc::clone(&ground);
        tokio::spawn(async move {
            let Some((user, replica)) = choose(&ground) else { return };
            current(&ground, "lookup", user, replica, "").await;
        });
    }
}

/// Waits for users who are not there yet.
pub(super) async fn wait_for_new_users(ground: Arc<Ground>) {
    loop {
        let (user, replica) = {
            let mut book = ground.ledger.open();
            (book.history.born(), book.random.index(ground.addresses.len()))
        };
        current(&ground, "wait", user, replica, "?wait=10").await;
        sleep(WAIT_PAUSE).await;
    }
}

/// A recent user, and a replica.
fn choose(ground: &Ground) -> Option<(u32, usize)> {
    let mut book = ground.ledger.open();
    let born = u64::from(book.history.born());
    let back = book.random.below(born.min(RECENT));
    let replica = book.random.index(ground.addresses.len());
    Some((u32::try_from(born.checked_sub(back + 1)?).ok()?, replica))
}

async fn current(ground: &Ground, what: &'static str, user: u32, replica: usize, query: &str) {
    let Ok(call) = call(ground, user, query) else { return };
    let certain = ground.ledger.open().certain_statuses(user);
    let Some(answer) = ground.request(what, replica, &call, TIMEOUT).await else { return };
    let id = user_id(user);
    if !certain.contains(&answer.status) {
        ground.ledger.violation(format!("{what} of {id}: {answer:?}, and not one of {certain:?}"));
    } else if answer.status == 200 {
        let found = answer.json().unwrap_or_default();
        if found["externalId"] != *id {
            ground.ledger.violation(format!("{what} of {id} was answered with another user: {answer:?}"));
        }
        ground.ledger.count(if what == "wait" {
            "waits that ended with a row"
        } else {
            "lookups that found a row"
        });
    }
}

fn call(ground: &Ground, user: u32, rest: &str) -> anyhow::Result<Call> {
    let bearer = ground.issuer.bearer(&user_id(user))?;
    Ok(Call::get("localhost", &format!("{PATH}{rest}"), &[("authorization", &bearer)]))
}

/// Opens one stream after another, and reads each for a while.
pub(super) async fn follow(ground: Arc<Ground>) {
    loop {
        let Some((user, replica)) = choose(&ground) else {
            sleep(WAIT_PAUSE).await;
            continue;
        };
        let time = ground.ledger.open().random.milliseconds(5_000, 60_000);
        let calm = ground.is_calm(replica);
        let followed = timeout(time, follow_one(&ground, user, replica)).await;
        match followed {
            // The client leaves.
            Err(_) => ground.ledger.count("streams that the client ended"),
            Ok(Ok(())) => ground.ledger.count("streams that the service ended, as the user was deleted"),
            Ok(Err(error)) if format!("{error:#}").starts_with(DELETED) => {
                ground.ledger.count("streams of deleted users, refused");
                sleep(PAUSE).await;
            }
            Ok(Err(error)) => {
                ground.ledger.count("streams that broke");
                if calm && ground.is_calm(replica) {
                    let id = user_id(user);
                    ground.ledger.violation(format!("a stream of {id} at replica {replica}: {error:#}"));
                }
                sleep(PAUSE).await;
            }
        }
    }
}

/// Reads a stream to its last event.
async fn follow_one(ground: &Ground, user: u32, replica: usize) -> anyhow::Result<()> {
    let call = call(ground, user, "/stream")?;
    let mut events = Events::open(ground.addresses[replica], &call.request).await?;
    let id = user_id(user);
    loop {
        let event = events.next().await?;
        ground.ledger.count("events of streams");
        match event.name.as_str() {
            "pending" => {}
            "user" => {
                let row: Value = serde_json::from_str(&event.data)?;
                if row["externalId"] != *id {
                    ground.ledger.violation(format!("a stream of {id} has another user: {}", event.data));
                }
            }
            "deleted" | "expired" => return Ok(()),
            other => anyhow::bail!("an event {other:?}"),
        }
    }
}
