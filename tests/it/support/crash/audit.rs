//! Compares the database with the record of what was sent: what was acknowledged is there, and the rows are what the
//! rule makes of exactly what is journaled.

use std::collections::{BTreeMap, BTreeSet};

use entity::{journal, tombstone, user};
use sea_orm::{ConnectOptions, Database, DatabaseConnection, DbBackend, EntityTrait};
use sea_orm::{FromQueryResult as _, Statement};
use usersync::internals::config::Database as Settings;
use usersync::internals::domain::{
    Content, IdPolicy, Outcome, Profile, Record, Timestamp, User, UserId, UserKey,
};
use usersync::internals::store::{Listing, Store};

use super::SharedMessages;
use super::sending::SentMessages;

/// Clerk's ids are never used again.
const IDS: IdPolicy = IdPolicy::Final;

/// The check of the database. It remembers the last one: what was there then must be there now.
#[derive(Default)]
pub(crate) struct Audit {
    journaled: BTreeMap<String, String>,
    records: BTreeMap<UserKey, Record>,
    ids: BTreeMap<UserKey, UserId>,
}

/// Every row of a table, which SQLite has in no schema.
async fn all_of<E: EntityTrait>(database: &DatabaseConnection, table: &str) -> Vec<E::Model> {
    let backend = database.get_database_backend();
    let schema = if backend == DbBackend::Postgres { "usersync." } else { "" };
    let rows = Statement::from_string(backend, format!("SELECT * FROM {schema}{table}"));
    E::find().from_raw_sql(rows).all(database).await.unwrap()
}

impl Audit {
    /// # Panics
    ///
    /// If anything is lost, is there twice, or is not what the rule makes of what is journaled.
    pub(crate) async fn check(&mut self, url: &str, account: &SharedMessages) {
        account.assert_nothing_wrong();
        let mut options = ConnectOptions::new(url);
        options.sqlx_logging(false);
        let database = Database::connect(options).await.unwrap();
        assert_sound(&database).await;
        let rows = all_of::<journal::Entity>(&database, "journal").await;
        let tombstones = all_of::<tombstone::Entity>(&database, "tombstones").await;
        let living = all_of::<user::Entity>(&database, "users").await;
        database.close().await.unwrap();
        let store = Store::connect(&Settings::at(url)).await.unwrap();
        let shown = store.users().list(&Listing { limit: 1_000_000, ..Listing::default() }).await.unwrap();
        store.close().await.unwrap();

        let book = account.open();
        self.take_in(&book, &rows);
        for (id, sent) in &book.sent {
            let journaled = self.journaled.get(id);
            assert!(!sent.acknowledged || journaled.is_some(), "{id} was acknowledged, and is not there");
            if let Some(outcome) = &sent.outcome {
                assert_eq!(
                    journaled,
                    Some(outcome),
                    "{id} was answered with one outcome, and another is journaled"
                );
            }
        }
        self.compare_payloads(&book, &rows);
        self.compare_tombstones(tombstones);
        self.compare_rows(living, shown.users);
    }

    /// How many deliveries are journaled.
    pub(crate) fn journaled(&self) -> usize {
        self.journaled.len()
    }

    /// Joins what is new in the journal to what was there before.
    fn take_in(&mut self, book: &SentMessages, rows: &[journal::Model]) {
        let present: BTreeMap<String, String> =
            rows.iter().map(|row| (row.message_id.clone(), row.outcome.clone())).collect();
        assert_eq!(present.len(), rows.len(), "a message is journaled twice");
        for (id, outcome) in &self.journaled {
            assert_eq!(present.get(id), Some(outcome), "{id} was journaled, and is there no more");
        }
        for row in rows.iter().filter(|row| !self.journaled.contains_key(&row.message_id)) {
            let id = &row.message_id;
            let sent = book.sent.get(id).unwrap_or_else(|| panic!("{id} was never sent"));
            let delivery = &sent.message.delivery;
            let outcomes = match &delivery.content {
                Content::Change(change) => {
                    let record = self.records.entry(change.user.clone()).or_default();
                    *record = std::mem::take(record).join(Record::of(change), IDS);
                    assert_eq!(row.external_id.as_ref(), Some(&change.user.external_id), "{id}");
                    assert_eq!(row.stamp.map(Timestamp::from), Some(change.stamp), "{id}");
                    &[Outcome::Applied, Outcome::Stale][..]
                }
                Content::Unreadable { .. } => &[Outcome::Parked],
            };
            assert!(outcomes.iter().any(|outcome| outcome.as_str() == row.outcome), "{id}: {}", row.outcome);
        }
        self.journaled = present;
    }

    /// A payload is stored as it was sent, unless its user was deleted: then it is erased.
    fn compare_payloads(&self, book: &SentMessages, rows: &[journal::Model]) {
        for row in rows {
            let message = &book.sent[&row.message_id].message;
            // Also of a message that could not be read, if it names its user.
            let record = message.delivery.user().and_then(|user| self.records.get(user));
            let over = record.is_some_and(|record| record.deleted_at.is_some());
            let expected = (!over).then_some(&message.body);
            assert_eq!(row.payload.as_ref(), expected, "the payload of {}", row.message_id);
        }
    }

    fn compare_tombstones(&self, tombstones: Vec<tombstone::Model>) {
        let found: BTreeMap<UserKey, Timestamp> = tombstones
            .into_iter()
            .map(|row| (UserKey::new(row.source, row.external_id), row.deleted_at.into()))
            .collect();
        let deleted = |(key, record): (&UserKey, &Record)| Some((key.clone(), record.deleted_at?));
        let expected: BTreeMap<UserKey, Timestamp> = self.records.iter().filter_map(deleted).collect();
        assert_eq!(found, expected, "the tombstones are not those of what is journaled");
    }

    fn compare_rows(&mut self, living: Vec<user::Model>, shown: Vec<User>) {
        type Row = (Profile, Option<Timestamp>, Timestamp);
        assert_eq!(living.len(), shown.len());
        let ids: BTreeMap<UserKey, UserId> = shown.iter().map(|user| (user.key.clone(), user.id)).collect();
        assert_eq!(ids.len(), shown.len(), "a user has two rows");
        let found: BTreeMap<UserKey, Row> = shown
            .into_iter()
            .map(|user| (user.key, (user.profile, user.created_at, user.updated_at)))
            .collect();
        let life = |(key, record): (&UserKey, &Record)| Some((key.clone(), record.life.clone()?));
        let lives: BTreeMap<UserKey, _> = self.records.iter().filter_map(life).collect();
        let expected: BTreeMap<UserKey, Row> = lives
            .iter()
            .map(|(key, life)| (key.clone(), (life.profile(), life.created_at(), life.updated_at())))
            .collect();
        assert_eq!(found, expected, "the rows are not those of what is journaled");
        for row in living {
            let life = &lives[&UserKey::new(row.source, row.external_id)];
            assert_eq!(row.record, serde_json::to_string(life).unwrap(), "what the fields are worth");
        }
        for (key, id) in &ids {
            let before = self.ids.get(key).unwrap_or(id);
            assert_eq!(before, id, "{key:?} has another id than before");
        }
        let distinct: BTreeSet<UserId> = ids.values().copied().collect();
        assert_eq!(distinct.len(), ids.len(), "two users have one id");
        self.ids = ids;
    }
}

/// SQLite can check whether its file is intact.
async fn assert_sound(database: &DatabaseConnection) {
    if database.get_database_backend() != DbBackend::Sqlite {
        return;
    }
    let statement = Statement::from_string(DbBackend::Sqlite, "PRAGMA integrity_check");
    let found = sea_orm::JsonValue::find_by_statement(statement).all(database).await.unwrap();
    assert_eq!(found, [serde_json::json!({"integrity_check": "ok"})]);
}
