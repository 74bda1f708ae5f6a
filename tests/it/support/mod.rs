//! What the tests stand on: the servers they need, found or made, and cleaned away after them.

pub(crate) mod app;
pub(crate) mod client;
pub(crate) mod command;
pub(crate) mod postgres;

#[path = "../../../src/auth/testing/provider.rs"]
pub(crate) mod provider;
#[path = "../../../src/auth/testing/signer.rs"]
pub(crate) mod signer;

/// A test on SQLite and the same test on PostgreSQL.
///
/// The test is given an app of its own, and may be preceded by `configured by change_settings;` to change its settings.
/// It fails if it leaves parked deliveries behind that it has not expected with `app.expect_parked(n)`.
macro_rules! on_both_databases {
    ($(configured by $configure:ident;)? async fn $name:ident($app:ident: &TestApp) $body:block) => {
        async fn $name($app: &$crate::support::app::TestApp) $body

        mod $name {
            use $crate::support::app::TestApp;

            fn configure(_config: &mut usersync::config::Config) {
                $(super::$configure(_config);)?
            }

            #[tokio::test]
            async fn on_sqlite() {
                let app = TestApp::on_sqlite(configure).await;
                super::$name(&app).await;
                app.finish().await;
            }

            #[tokio::test]
            async fn on_postgres() {
                let Some(app) = TestApp::on_postgres(configure).await else { return };
                super::$name(&app).await;
                app.finish().await;
            }
        }
    };
}
