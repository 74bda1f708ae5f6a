//! `[sources.api]`: a provider's management API.

use std::num::NonZeroU32;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use super::address::Domain;
use super::settings::settings;
use super::units::PeriodOrOff;

settings! {
    /// The management API of a source's provider. If it is left out, no request is sent to the provider.
    #[derive(Clone, Debug)]
    pub struct SourceApi {
        /// For clerk and workos: the API key, which must be allowed to read users.
        ///
        /// A secret: `sk_live_…` or `sk_test_…`. It must belong to the same instance as the webhooks.
        #[example = "\"env:CLERK_SECRET_KEY\""]
        pub secret_key: Option<SecretString>,
        /// For auth0: the tenant's own domain, even if tokens come from a custom domain.
        #[example = "\"tenant.us.auth0.com\""]
        pub domain: Option<Url> as Option<Domain>,
        /// For auth0: the client id of a machine-to-machine application that may `read:users`.
        #[example = "\"client-id\""]
        pub client_id: Option<String>,
        /// For auth0: that application's secret.
        #[example = "\"env:AUTH0_MANAGEMENT_CLIENT_SECRET\""]
        pub client_secret: Option<SecretString>,
        /// The address of the API, for tests and proxies.
        ///
        /// By default the provider's own.
        #[example = "\"https://api.clerk.com/v1\""]
        pub base_url: Option<Url> as Option<Domain>,
        /// The most requests to the API per second.
        ///
        /// By default half of what the provider allows.
        #[example = "50"]
        pub requests_per_second: Option<NonZeroU32>,
        /// Whether `serve` also reads the provider's own log of events and checks for differences.
        ///
        /// See [watch.md](watch.md). Without it only the deliveries are watched.
        pub watch: bool = true,
        /// How often `serve` compares the table with the provider's list, without repairs. `off`: never.
        ///
        /// Counted from the last comparison, or from the first start.
        pub reconcile_every: Option<Duration> as PeriodOrOff = Some(Duration::from_hours(24)),
    }
}

impl SourceApi {
    /// The configured address of the API, or the provider's own.
    pub fn base_url(&self, own: &str) -> Option<Url> {
        self.base_url.clone().or_else(|| Url::parse(own).ok())
    }
}
