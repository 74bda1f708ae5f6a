//! The work of the store, of each kind a piece.

use std::collections::BTreeSet;
use std::sync::Arc;

use usersync::internals::clock::Clock;
use usersync::internals::config::Source;
use usersync::internals::domain::{EventKind, Timestamp, UserId, UserKey};
use usersync::internals::providers::{self, Sources};
use usersync::internals::store::{
    Claimant, EventFilter, ListFilter, Listing, Order, Position, Store, Wanted, Which,
};
use usersync::internals::sync::Replay;

use crate::support::app::SECRET;
use crate::support::client::fixture::{ADA, CREATED, DELETED, UPDATED};

/// The page size of each piece of work.
const PAGE: u64 = 100;

/// The work of the store.
pub(super) const WORK: [&str; 20] = [
    "deliver",
    "look up",
    "load",
    "list",
    "list by source",
    "list by small source",
    "list by external id",
    "list by email",
    "list by email and source",
    "read the journal",
    "read the journal since",
    "read parked deliveries",
    "read newest deliveries",
    "read users of the journal",
    "sweep",
    "dispatch",
    "read the log of events",
    "list deliveries",
    "list deliveries of a user",
    "list newest users",
];

/// Ids as the filled tables have them.
fn external_id(number: u32) -> String {
    format!("user_{number}")
}

fn id(number: u32) -> UserId {
    UserId(format!("01900000-0000-7000-8000-{number:012}").parse().unwrap())
}

fn received_at(number: i64) -> Timestamp {
    Timestamp::parse("2025-01-01T00:00:00Z")
        .unwrap()
        .plus(std::time::Duration::from_secs(number.unsigned_abs()))
}

fn position(number: i64) -> Position {
    let message_id = format!("msg_{number}");
    let key = usersync::internals::domain::DeliveryKey { source: "clerk".to_owned(), message_id };
    Position { received_at: received_at(number), key }
}

/// Does one piece of work, in the middle of the filled tables.
pub(super) async fn work(store: &Store, name: &str) {
    let keys =
        BTreeSet::from([1, 50_000, 99_950].map(|number| {
            UserKey::new(if number > 99_900 { "small" } else { "clerk" }, external_id(number))
        }));
    let listing = Listing { after: Some(id(50_000)), limit: PAGE, ..Listing::default() };
    let source = |name: &str| Some(name.to_owned());
    match name {
        "deliver" => deliver(store).await,
        "look up" => drop(store.users().look_up(&keys.iter().collect()).await.unwrap()),
        "load" => load(store, &keys).await,
        "list" => drop(store.users().list(&listing).await.unwrap()),
        "list by source" => {
            store.users().list(&Listing { source: source("clerk"), ..listing.clone() }).await.unwrap();
            store.users().list(&Listing { source: source("clerk"), after: None, ..listing }).await.unwrap();
        }
        "list by small source" => {
            store.users().list(&Listing { source: source("small"), ..listing.clone() }).await.unwrap();
            store.users().list(&Listing { source: source("small"), after: None, ..listing }).await.unwrap();
        }
        "list by external id" => {
            let listing = Listing { external_id: Some(external_id(70_000)), after: None, ..listing };
            store.users().list(&listing).await.unwrap();
            store.users().list(&Listing { source: source("clerk"), ..listing }).await.unwrap();
        }
        "list by email" | "list by email and source" => {
            let source = name.ends_with("source").then(|| "clerk".to_owned());
            let email = Some("ada70000@example.com".to_owned());
            store.users().list(&Listing { email, source, after: None, ..listing }).await.unwrap();
        }
        "read the journal" => {
            for source in [None, source("clerk")] {
                read(store, Which { source, ..Which::default() }).await;
            }
        }
        "read the journal since" => {
            read(store, Which { since: Some(received_at(50_000)), ..Which::default() }).await;
        }
        "read parked deliveries" => {
            read(store, Which { parked: true, ..Which::default() }).await;
            read(store, Which { parked: true, source: source("clerk"), ..Which::default() }).await;
            store.journal().parked().await.unwrap();
        }
        "read newest deliveries" => {
            for source in ["clerk", "small"] {
                store.journal().newest_times(source, received_at(0), PAGE).await.unwrap();
                store.journal().newest_payloads(source, PAGE).await.unwrap();
            }
        }
        "read users of the journal" => {
            store.journal().users(None, PAGE).await.unwrap();
            let after = UserKey::new("clerk", external_id(50_000));
            store.journal().users(Some(&after), PAGE).await.unwrap();
        }
        "sweep" => {
            store.journal().erase_payloads_before(None, received_at(60_000), 50).await.unwrap();
            store
                .journal()
                .erase_payloads_before(Some(received_at(50_000)), received_at(60_000), 50)
                .await
                .unwrap();
        }
        "dispatch" => dispatch(store).await,
        "read the log of events" => {
            let after = store.outbox().end().await.unwrap() - 50;
            store.outbox().page(after, &EventFilter::default(), PAGE).await.unwrap();
            let clerk = EventFilter { source: source("clerk"), ..EventFilter::default() };
            store.outbox().page(after, &clerk, PAGE).await.unwrap();
            store.outbox().has_kept(after, received_at(0)).await.unwrap();
        }
        "list deliveries" => {
            let (journal, all) = (store.journal(), ListFilter::default());
            for before in [None, Some(&position(70_000))] {
                journal.listed(&all, before, PAGE).await.unwrap();
            }
            journal.outcomes_since(received_at(99_900), PAGE).await.unwrap();
            journal.parked_causes(PAGE).await.unwrap();
        }
        "list deliveries of a user" => {
            let (journal, user) = (store.journal(), UserKey::new("clerk", external_id(70_000)));
            for source in [None, Some("clerk")] {
                for before in [None, Some(&position(70_001))] {
                    journal.of_user(&user.external_id, source, before, PAGE).await.unwrap();
                }
            }
            journal.of_user_with_stamp(&user, received_at(1), PAGE).await.unwrap();
            journal.find(&position(70_000).key).await.unwrap();
            store.users().stored(&user).await.unwrap();
        }
        "list newest users" => {
            for before in [None, Some(id(50_000))] {
                store.users().newest(before, PAGE).await.unwrap();
            }
        }
        other => panic!("unknown work {other:?}"),
    }
}

/// What is known of users.
async fn load(store: &Store, keys: &BTreeSet<UserKey>) {
    let tx = store.begin().await.unwrap();
    let known = tx.load(keys).await.unwrap();
    tx.rows_out_of_sync(&known).await.unwrap();
    tx.history(keys).await.unwrap();
    tx.erase_payloads_of_ended_lifetimes(keys).await.unwrap();
    tx.erase_payloads(keys).await.unwrap();
    store.users().by_ids(&[id(7), id(50_000)]).await.unwrap();
}

/// Events that are claimed for an endpoint and recorded as sent, and one that has to wait.
async fn dispatch(store: &Store) {
    let (now, name) = (received_at(1_000_000), "app");
    let until = now.plus(std::time::Duration::from_secs(30));
    let claimant = Claimant { endpoint: name, holder: "this process" };
    store.endpoints().has_work(name, now).await.unwrap();
    let tx = store.begin().await.unwrap();
    let mut endpoint = tx.lock_endpoint(name, now).await.unwrap();
    tx.expire(&mut endpoint, received_at(0), uuid::Uuid::nil, now).await.unwrap();
    let wanted = Wanted { kinds: vec![EventKind::Created], sources: Vec::new() };
    tx.fan_out(&mut endpoint, &wanted, now).await.unwrap();
    let due = tx.due(name, now, Order::Sequence, 32).await.unwrap();
    let users: BTreeSet<UserKey> =
        due.iter().filter_map(|it| Some(it.message.event()?.event.user.clone())).collect();
    tx.pending_of(name, &users).await.unwrap();
    let mut sequences: Vec<i64> = due.iter().map(|it| it.message.sequence()).collect();
    tx.claim_unchanged(claimant, sequences.clone(), until).await.unwrap();
    tx.claim(claimant, &due.iter().take(1).collect::<Vec<_>>(), until).await.unwrap();
    tx.postpone(claimant, sequences.pop().unwrap_or_default(), until).await.unwrap();
    tx.drop_pending(name, sequences.pop().into_iter().collect()).await.unwrap();
    tx.delete_sent(claimant, sequences).await.unwrap();
    tx.save_endpoint(&endpoint).await.unwrap();
    tx.commit().await.unwrap();
}

/// The first page, and one from the middle.
async fn read(store: &Store, which: Which) {
    for after in [None, Some(&position(70_000))] {
        store.journal().page(&which, after, PAGE).await.unwrap();
        store.journal().positions(&which, after, PAGE).await.unwrap();
    }
}

/// Deliveries of one new user, and the same ones again from the journal.
async fn deliver(store: &Store) {
    let clerk = Source {
        name: "clerk".to_owned(),
        provider: providers::CLERK,
        webhook_secrets: vec![secrecy::SecretString::from(SECRET)],
        bearer_tokens: Vec::new(),
        tokens: Vec::new(),
        map: None,
        api: None,
        list: None,
    };
    let sources = Arc::new(Sources::new(&[clerk]).unwrap());
    // Later than everything else in the journal.
    let clock = Clock::fixed(Timestamp::parse("2026-01-04T12:00:00Z").unwrap());
    let since = Some(clock.now());
    let replay = Replay::new(Arc::clone(&sources), store.clone(), clock.clone(), false);
    let user = format!("user_{}", clock.fresh_id());
    for body in [CREATED, UPDATED, DELETED, UPDATED] {
        let body = body.replace(ADA, &user).into_bytes();
        replay.event(sources.get("clerk").unwrap(), body).await.unwrap();
    }
    replay.journal(&Which { since, ..Which::default() }, |_| ()).await.unwrap();
}
