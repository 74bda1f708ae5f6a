//! A replica hears of the others as long as its connection is there, and learns when it is not.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use usersync::domain::UserKey;
use usersync::store::Store;

use crate::support::postgres::Template;

/// Longer than a listener is quiet without looking, and than it waits for an answer then.
const LONG: Duration = Duration::from_secs(6);
const LONGEST: Duration = Duration::from_secs(30);

/// Something between that forgets its connections: they stay open, and nothing passes any more.
struct Firewall {
    address: SocketAddr,
    forgets: CancellationToken,
}

impl Firewall {
    async fn before(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, forgets) = (listener.local_addr().unwrap(), CancellationToken::new());
        let forgetting = forgets.clone();
        tokio::spawn(async move {
            loop {
                let (mut near, _) = listener.accept().await.unwrap();
                let (mut far, forgetting) = (TcpStream::connect(&server).await.unwrap(), forgetting.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        _ = copy_bidirectional(&mut near, &mut far) => {}
                        () = forgetting.cancelled() => std::future::pending().await,
                    }
                });
            }
        });
        Self { address, forgets }
    }
}

#[tokio::test]
async fn a_connection_that_was_forgotten_is_noticed_and_one_that_is_quiet_is_kept() {
    static EMPTY: Template = Template::new("listening");
    let Some(database) = EMPTY.database(async |_| anyhow::Ok(())).await else { return };
    let direct = Store::connect(&database.url()).await.unwrap();
    let mut url: url::Url = database.url().parse().unwrap();
    let server = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432));
    let firewall = Firewall::before(server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(firewall.address.port())).unwrap();
    let behind = Store::connect(url.as_str()).await.unwrap();
    let mut listener = behind.listen().await.unwrap().unwrap();

    let ada = UserKey::new("clerk", "ada");
    let told = async {
        tokio::time::sleep(LONG).await;
        let tx = direct.begin().await.unwrap();
        tx.lock(&BTreeSet::from([ada.clone()])).await.unwrap();
        tx.commit().await.unwrap();
    };
    let (heard, ()) = tokio::join!(listener.next(), told);
    assert_eq!(heard.unwrap(), [ada.fingerprint()]);

    firewall.forgets.cancel();
    let noticed = tokio::time::timeout(LONGEST, listener.next()).await.expect("it listens to nobody");
    assert!(noticed.unwrap_err().to_string().contains("does not answer"));
    direct.close().await.unwrap();
}
