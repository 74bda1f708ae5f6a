//! Endpoints behind TLS: no event goes to a server whose certificate is not trusted.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rcgen::generate_simple_self_signed;
use secrecy::SecretString;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{self, ServerConfig};
use usersync::internals::config::{Config, Endpoint};
use usersync::internals::domain::{EndpointState, EventKind};

use crate::support::app::{SECRET, TestApp};
use crate::support::client::fixture::CREATED;

/// A server with a certificate of its own making. Returns its port, and how many bytes it has received over TLS.
async fn self_signed() -> (u16, Arc<AtomicUsize>) {
    let made = generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("localhost:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            // A client that does not trust the certificate ends the handshake.
            let Ok(mut stream) = acceptor.accept(connection).await else { continue };
            let mut bytes = [0; 1024];
            while let Ok(read @ 1..) = stream.read(&mut bytes).await {
                counter.fetch_add(read, Ordering::SeqCst);
            }
        }
    });
    (port, received)
}

async fn an_endpoint_with_an_untrusted_certificate_is_sent_nothing_and_tried_again(app: &TestApp) {
    let (port, received) = self_signed().await;
    let endpoint = Endpoint {
        name: "app".to_owned(),
        url: format!("https://localhost:{port}/hooks/users").parse().unwrap(),
        secrets: vec![SecretString::from(SECRET)],
        events: vec![EventKind::Created],
        sources: Vec::new(),
    };
    let config = Config { endpoints: vec![endpoint], ..app.config.clone() };
    let (service, client) = app.replica_of(&config).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    for attempts in 1..=3 {
        let attempted = async || app.store.endpoints().find("app").await.unwrap().unwrap();
        while attempted().await.health.failures < attempts {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let endpoint = attempted().await;
        assert_eq!((endpoint.health.state, endpoint.health.failures), (EndpointState::Healthy, attempts));
        assert_eq!(endpoint.last.unwrap().status, None, "there was no answer");
        app.clock.advance(Duration::from_hours(1));
    }
    let metrics = client.get("/metrics").await.text;
    assert!(
        metrics.contains("usersync_event_attempts_total{endpoint=\"app\",result=\"unreachable\"}"),
        "{metrics}"
    );
    assert!(metrics.contains("usersync_events_pending{endpoint=\"app\"} 1"), "{metrics}");
    assert_eq!(received.load(Ordering::SeqCst), 0, "not one byte of the event");
    service.stop().await.unwrap();
}

on_both_databases!(an_endpoint_with_an_untrusted_certificate_is_sent_nothing_and_tried_again);
