//! Webhooks at a steady rate: new ones, late ones, repetitions, and such as must be refused.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::ground::Ground;
use super::history::Message;
use crate::call::Call;

const WHAT: &str = "webhook";
/// No answer takes as long as this.
const TIMEOUT: Duration = Duration::from_secs(20);
/// How many are under way at most.
const MOST: usize = 64;
/// How many are under way while the rest is sent at the end.
const MOST_AT_THE_END: usize = 8;
/// How long a delivery is sent again at the end.
const PATIENCE: Duration = Duration::from_mins(1);
/// A second that is far from the current one, also for a replica whose clock was stepped.
const FAR: i64 = 1800;

/// Sends until the soak stops, and then waits for the answers.
pub(super) async fn send_all(ground: Arc<Ground>, rate: u32) {
    let mut ticks = interval(Duration::from_secs(1) / rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let places = Arc::new(Semaphore::new(MOST));
    let mut under_way = JoinSet::new();
    while !ground.is_stopping() {
        ticks.tick().await;
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
        let ground = Arc::clone(&ground);
        under_way.spawn(async move {
            let (message, replica, is_wrong) = {
                let mut book = ground.ledger.open();
                let replica = book.random.index(ground.addresses.len());
                (book.next(), replica, book.random.one_in(100))
            };
            if is_wrong {
                send_wrong(&ground, &message, replica).await;
            }
            send(&ground, &message, replica).await;
            drop(place);
        });
    }
    while under_way.join_next().await.is_some() {}
}

/// Sends what still waits, until it is acknowledged.
pub(super) async fn send_the_rest(ground: &Arc<Ground>) {
    let places = Arc::new(Semaphore::new(MOST_AT_THE_END));
    let mut under_way = JoinSet::new();
    let waiting = ground.ledger.open().take_waiting();
    for (index, message) in waiting.into_iter().enumerate() {
        let (ground, places) = (Arc::clone(ground), Arc::clone(&places));
        under_way.spawn(async move {
            let Ok(_place) = places.acquire().await else { return };
            let started = Instant::now();
            while !send(&ground, &message, index % ground.addresses.len()).await {
                if started.elapsed() > PATIENCE {
                    return ground.ledger.violation(format!("{} was never acknowledged", message.id()));
                }
                sleep(Duration::from_secs(1)).await;
            }
        });
    }
    while under_way.join_next().await.is_some() {}
    // What failed waits once more, and has been acknowledged.
    ground.ledger.open().take_waiting();
}

/// Returns whether it is acknowledged.
async fn send(ground: &Ground, message: &Message, replica: usize) -> bool {
    let Ok(call) = signed(ground, message, 0) else { return false };
    let was_acknowledged = ground.ledger.open().sent[message.number as usize].acknowledged;
    let answer = ground.request(WHAT, replica, &call, TIMEOUT).await;
    let mut book = ground.ledger.open();
    match answer {
        Some(answer) if answer.status == 200 => {
            book.acknowledged(message, was_acknowledged, &answer);
            return true;
        }
        Some(answer) => book.violation(format!("{} was answered {answer:?}", message.id())),
        None => {}
    }
    book.failed(message);
    false
}

/// With a time long ago or far ahead: it must be refused, so nothing of it counts.
async fn send_wrong(ground: &Ground, message: &Message, replica: usize) {
    let offset = if message.number.is_multiple_of(2) { FAR } else { -FAR };
    let Ok(call) = signed(ground, message, offset) else { return };
    if let Some(answer) = ground.request("webhook with a wrong time", replica, &call, TIMEOUT).await
        && answer.status != 400
    {
        ground.ledger.violation(format!("a timestamp {offset} s off was answered {answer:?}"));
    }
}

/// The request, with a timestamp so many seconds off.
pub(super) fn signed(ground: &Ground, message: &Message, offset: i64) -> anyhow::Result<Call> {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs())?;
    let (id, body, timestamp) = (message.id(), message.body(), now + offset);
    let signature = ground.webhook().sign(&id, timestamp, body.as_bytes())?;
    let headers = [
        ("content-type", "application/json"),
        ("svix-id", &id),
        ("svix-timestamp", &timestamp.to_string()),
        ("svix-signature", &signature),
    ];
    Ok(Call::post("localhost", "/webhooks/clerk", &headers, &body))
}
