//! Connections that end without an error: a replica still notices the changes of the others, and continues to write.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use usersync::internals::config::Database as Settings;
use usersync::internals::domain::UserKey;
use usersync::internals::store::{Chain, Store};

use crate::support::postgres::{Database, Template};

/// Longer than a listener is quiet without looking, and than it waits for an answer then.
const QUIET_TIME: Duration = Duration::from_secs(6);
const TIMEOUT: Duration = Duration::from_secs(30);

/// Something between that can forget the connections that it has: they stay open, and nothing passes any more.
struct Firewall {
    address: SocketAddr,
    forgets: Arc<Notify>,
}

impl Firewall {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, forgets) = (listener.local_addr().unwrap(), Arc::new(Notify::new()));
        let forgetting = Arc::clone(&forgets);
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let mut far = TcpStream::connect(&server).await.unwrap();
                let forgetting = Arc::clone(&forgetting);
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = forgetting.notified() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, forgets }
    }
}

/// A store on an empty database, and another one with a firewall between. The database is deleted when it is dropped.
async fn stores() -> Option<(Database, Store, Firewall, Store)> {
    static EMPTY: Template = Template::new("firewall");
    let database = EMPTY.database(async |_| anyhow::Ok(())).await?;
    let direct = Store::connect(&Settings::at(&database.url())).await.unwrap();
    let mut url: url::Url = database.url().parse().unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let firewall = Firewall::before(server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(firewall.address.port())).unwrap();
    let behind = Store::connect(&Settings::at(url.as_str())).await.unwrap();
    Some((database, direct, firewall, behind))
}

#[tokio::test]
async fn a_connection_that_was_forgotten_is_noticed_and_one_that_is_quiet_is_kept() {
    let Some((_database, direct, firewall, behind)) = stores().await else { return };
    let mut listener = behind.listen().await.unwrap().unwrap();

    let ada = UserKey::new("clerk", "ada");
    let notify = async {
        tokio::time::sleep(QUIET_TIME).await;
        let tx = direct.begin().await.unwrap();
        tx.lock(&BTreeSet::from([ada.clone()])).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (notified, ()) = tokio::join!(listener.next(), notify);
    assert_eq!(notified.unwrap(), [ada.fingerprint()]);

    firewall.forgets.notify_waiters();
    let noticed =
        tokio::time::timeout(TIMEOUT, listener.next()).await.expect("the listener receives nothing");
    assert!(noticed.unwrap_err().to_string().contains("does not answer"));
    direct.close().await.unwrap();
}

#[tokio::test]
async fn connections_that_were_forgotten_leave_their_place_to_others() {
    let Some((_database, direct, firewall, behind)) = stores().await else { return };
    let forgotten = [(); 2].map(|()| Chain::for_batches(behind.clone()));
    let mut transactions = Vec::new();
    for mut chain in forgotten {
        transactions.push(chain.begin().await.unwrap());
    }
    firewall.forgets.notify_waiters();
    drop(transactions);
    let until = Instant::now() + TIMEOUT;
    let mut chain = Chain::for_batches(behind);
    while let Err(error) = chain.begin().await {
        assert!(Instant::now() < until, "{error}");
    }
    direct.close().await.unwrap();
}
