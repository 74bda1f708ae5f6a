//! A PostgreSQL that speaks TLS, with the certificates that hosts have, and the addresses that they show.

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use sea_orm::{ConnectionTrait as _, DatabaseConnection};
use url::Url;

use crate::support::binary::ProgramFixture;
use crate::support::client::fixture::CREATED;
use crate::support::postgres::Cluster;

/// An authority whose certificate clients may trust.
struct Authority {
    certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap().pem();
        Self { certificate, issuer: Issuer::new(params, key) }
    }

    /// A certificate for a host, and its key.
    fn certify(&self, host: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

/// Writes a file into the cluster's folder, which only its own user can do.
async fn put(database: &DatabaseConnection, file: &str, text: &str) {
    let sql = format!(
        "COPY (SELECT line FROM unnest(string_to_array($${}$$, E'\\n')) AS line) \
         TO PROGRAM 'umask 077; cat >{file}'",
        text.trim_end()
    );
    database.execute_unprepared(&sql).await.unwrap();
}

/// A cluster that takes only connections with TLS, with a certificate for a host.
async fn cluster(authority: &Authority, host: &str) -> Option<Cluster> {
    let cluster = Cluster::make()?;
    let database = sea_orm::Database::connect(cluster.url()).await.unwrap();
    let (certificate, key) = authority.certify(host);
    put(&database, "server.crt", &certificate).await;
    put(&database, "server.key", &key).await;
    put(&database, "pg_hba.conf", "hostssl all all all scram-sha-256").await;
    database.execute_unprepared("ALTER SYSTEM SET ssl = on").await.unwrap();
    database.execute_unprepared("SELECT pg_reload_conf()").await.unwrap();
    database.close().await.unwrap();
    Some(cluster)
}

/// The cluster's URL with other options.
fn with_options(cluster: &Cluster, options: &str) -> String {
    let mut url: Url = cluster.url().parse().unwrap();
    url.set_query(Some(options));
    url.into()
}

#[tokio::test]
async fn certificates_are_checked_as_the_address_requires() {
    let (known, other) = (Authority::new(), Authority::new());
    let home = ProgramFixture::bare();
    home.write("known.pem", &known.certificate);
    home.write("other.pem", &other.certificate);
    let [known_file, other_file] =
        ["known.pem", "other.pem"].map(|file| home.path(file).display().to_string());
    let Some(right) = cluster(&known, "127.0.0.1").await else { return };
    let Some(wrong_host) = cluster(&known, "db.example.com").await else { return };
    let refused = "certificate";

    for (cluster, options, trusted, refusal) in [
        // What hosts show as the address to copy.
        (&right, "sslmode=require".to_owned(), "", None),
        (&right, "sslmode=no-verify".to_owned(), "", None),
        (&right, format!("sslmode=verify-full&sslrootcert={known_file}"), "", None),
        (&right, "sslmode=verify-full&sslrootcert=system".to_owned(), &known_file, None),
        (&right, "sslmode=verify-full".to_owned(), &known_file, None),
        (&right, format!("sslmode=verify-ca&sslrootcert={known_file}"), "", None),
        // A file is trusted beside the system's authorities, and not instead of them.
        (&right, format!("sslmode=verify-full&sslrootcert={other_file}"), &known_file, None),
        (&wrong_host, format!("sslmode=verify-ca&sslrootcert={known_file}"), "", None),
        (&wrong_host, "sslmode=require".to_owned(), "", None),
        // Certificates that must not pass.
        (&right, format!("sslmode=verify-full&sslrootcert={other_file}"), "", Some(refused)),
        (&right, "sslmode=verify-full&sslrootcert=system".to_owned(), &other_file, Some(refused)),
        (&right, "sslmode=verify-full&sslrootcert=system".to_owned(), "", Some(refused)),
        (&wrong_host, format!("sslmode=verify-full&sslrootcert={known_file}"), "", Some(refused)),
        // A server that takes no connection without TLS.
        (&right, "sslmode=disable".to_owned(), "", Some("no encryption")),
    ] {
        let home = ProgramFixture::bare().with("DATABASE_URL", with_options(cluster, &options));
        let home = if trusted.is_empty() { home } else { home.with("SSL_CERT_FILE", trusted) };
        let said = home.run(&["migrate"]).await;
        match refusal {
            None => assert_eq!(said.code, Some(0), "{options}, trusted {trusted:?}: {said:?}"),
            Some(reason) => {
                assert_eq!(said.code, Some(1), "{options}, trusted {trusted:?}: {said:?}");
                assert!(said.stderr.contains(reason), "{options}, trusted {trusted:?}: {said:?}");
            }
        }
    }
}

#[tokio::test]
async fn deliveries_are_written_over_tls() {
    let authority = Authority::new();
    let Some(cluster) = cluster(&authority, "127.0.0.1").await else { return };
    let home = ProgramFixture::on_sqlite().with("DATABASE_URL", with_options(&cluster, "sslmode=require"));
    let service = home.serve().await;
    let client = home.client(&service).await;
    assert_eq!(client.deliver(CREATED).await, "200 applied");
    service.stop().await;
}
