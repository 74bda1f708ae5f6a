//! What the tests stand on: the servers they need, found or made, and cleaned away after them.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod postgres;

#[path = "../../../src/auth/testing/provider.rs"]
pub(crate) mod provider;
#[path = "../../../src/auth/testing/signer.rs"]
pub(crate) mod signer;

/// A test on SQLite and the same test on PostgreSQL.
///
/// The test is given an app of its own, and may be preceded by `configure |config| …;` to change its settings.
/// It fails if it leaves parked deliveries behind that it has not expected with `app.expect_parked(n)`.
macro_rules! on_both_databases {
    ($(configured by $configure:expr;)? $(#[$meta:meta])* async fn $name:ident($app:ident: &TestApp) $body:block) => {
        $(#[$meta])*
        mod $name {
            #[allow(unused_imports, reason = "not every test needs what its file has")]
            use super::*;

            async fn test($app: &crate::support::app::TestApp) $body

            fn configure(config: &mut usersync::config::Config) {
                let _ = &config;
                $(let configure: fn(&mut usersync::config::Config) = $configure; configure(config);)?
            }

            #[tokio::test]
            async fn on_sqlite() {
                let app = crate::support::app::TestApp::on_sqlite(configure).await;
                test(&app).await;
                app.finish().await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(app) = crate::support::app::TestApp::on_postgres(configure).await else { return };
                test(&app).await;
                app.finish().await;
            }
        }
    };
}
