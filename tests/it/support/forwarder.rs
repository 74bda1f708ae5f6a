//! A TCP forwarder whose target can be changed, like an address that leads to the new primary after a failover.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use url::Url;

pub(crate) struct Forwarder {
    address: SocketAddr,
    target: Arc<Mutex<String>>,
    delay: Arc<Mutex<Duration>>,
    accepted: Arc<AtomicUsize>,
}

impl Forwarder {
    /// Listens, and connects each client to the server of this URL.
    pub(crate) async fn to(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let target = Arc::new(Mutex::new(server_of(url)));
        let delay = Arc::new(Mutex::new(Duration::ZERO));
        let accepted = Arc::<AtomicUsize>::default();
        let (now, delay_now, counter) = (Arc::clone(&target), Arc::clone(&delay), Arc::clone(&accepted));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let server = now.lock().unwrap().clone();
                let delay = *delay_now.lock().unwrap();
                tokio::spawn(async move {
                    tokio::time::sleep(delay).await;
                    if let Ok(mut far) = TcpStream::connect(server).await {
                        copy_bidirectional(&mut near, &mut far).await.ok();
                    }
                });
            }
        });
        Self { address, target, delay, accepted }
    }

    /// How many clients have connected.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// New clients are connected to this server. Existing connections stay.
    pub(crate) fn turn_to(&self, url: &str) {
        *self.target.lock().unwrap() = server_of(url);
    }

    /// Each new client waits so long until it is connected.
    pub(crate) fn delay_by(&self, delay: Duration) {
        *self.delay.lock().unwrap() = delay;
    }

    /// The same URL with this address.
    pub(crate) fn url(&self, url: &str) -> String {
        let mut url: Url = url.parse().unwrap();
        url.set_host(Some("127.0.0.1")).unwrap();
        url.set_port(Some(self.address.port())).unwrap();
        url.into()
    }
}

fn server_of(url: &str) -> String {
    let url: Url = url.parse().unwrap();
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap_or(5432))
}
