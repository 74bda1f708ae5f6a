//! What replicas tell each other of users that change.

use secrecy::ExposeSecret;
use usersync::domain::UserKey;
use usersync::store::{Heard, Store};

async fn change(store: &Store, user: &UserKey) {
    let tx = store.begin().await.unwrap();
    tx.lock(&[user.clone()].into()).await.unwrap();
    tx.commit().await.unwrap();
}

on_both_databases! {
    async fn a_replica_hears_of_others_changes_and_not_of_its_own(app: &TestApp) {
        // On SQLite there is no other replica.
        let Some(mut listener) = app.store.listen().await.unwrap() else { return };
        let other = Store::connect(app.config.database.url.expose_secret()).await.unwrap();
        let (ada, grace) = (UserKey::new("clerk", "ada"), UserKey::new("clerk", "grace"));
        change(&app.store, &ada).await;
        change(&other, &grace).await;
        assert_eq!(listener.next().await.unwrap(), Heard::Changed(vec![grace.fingerprint()]));
        other.close().await.unwrap();
    }
}
