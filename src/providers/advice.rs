//! What `usersync doctor` and `usersync explain` say about a vendor.

use super::REGISTRY;
use crate::config::Signing;

/// The texts of advice about a vendor. A part that a vendor does not have is left out.
#[derive(Clone, Copy, Debug)]
pub struct Advice {
    /// The vendor's name as people write it; none for a provider that covers many vendors.
    pub vendor: Option<&'static str>,
    /// What of the vendor's sends bearer tokens.
    pub bearer_sender: Option<&'static str>,
    /// What to do about a token without `aud`, given the audience that a rule requires and the rule's path.
    pub no_audience: Option<fn(audience: &str, rule: &str) -> String>,
    /// How to get a signed JSON Web Token rather than an opaque or an encrypted one.
    pub readable_token: Option<&'static str>,
    /// Where the vendor's settings choose a key pair over a shared secret.
    pub key_pair: Option<&'static str>,
    /// How the vendor's instances for development differ from those for production.
    pub development: Option<DevelopmentInstances>,
}

impl Advice {
    /// Nothing to say.
    pub const NONE: Self = Self {
        vendor: None,
        bearer_sender: None,
        no_audience: None,
        readable_token: None,
        key_pair: None,
        development: None,
    };
}

/// A vendor's instances for development, whose users are test users.
#[derive(Clone, Copy, Debug)]
pub struct DevelopmentInstances {
    /// The vendor.
    pub vendor: &'static str,
    /// What the addresses of these issuers end in.
    pub issuer_suffix: &'static str,
    /// What the address of a production issuer looks like.
    pub production_issuer: &'static str,
    /// The keys that an app in production uses.
    pub production_keys: &'static str,
}

impl DevelopmentInstances {
    /// Those that an issuer is one of.
    pub fn of(issuer: &str) -> Option<&'static Self> {
        let issuer = issuer.trim_end_matches('/');
        let known = REGISTRY.iter().filter_map(|registered| registered.advice.development.as_ref());
        known.into_iter().find(|instances| issuer.ends_with(instances.issuer_suffix))
    }
}

/// What is known about the provider of this name.
pub fn advice(provider: &str) -> Advice {
    let registered = REGISTRY.iter().find(|registered| registered.kind.name == provider);
    registered.map_or(Advice::NONE, |registered| registered.advice)
}

/// One hint of every vendor that has it, such as `Auth0: name an audience; Clerk: …`.
pub fn hints(which: impl Fn(&Advice) -> Option<&'static str>) -> String {
    let hints = REGISTRY.iter().filter_map(|registered| {
        Some(format!("{}: {}", registered.advice.vendor?, which(&registered.advice)?))
    });
    hints.collect::<Vec<_>>().join("; ")
}

/// The vendors whose sources can be made by environment variables, such as `Clerk, Auth0 or WorkOS`.
pub fn vendors_with_variables() -> String {
    let with_variables = REGISTRY.iter().filter(|registered| registered.kind.variables.is_some());
    let vendors: Vec<_> = with_variables.filter_map(|registered| registered.advice.vendor).collect();
    match vendors.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => vendors.concat(),
    }
}

/// The headers with which vendors prove a delivery, each with whose it is, without those of Standard
/// Webhooks, which belong to no vendor alone.
pub fn signature_headers() -> Vec<(&'static str, String)> {
    let mut headers = Vec::new();
    for registered in REGISTRY {
        if let (Signing::TimestampedHmac { header }, Some(vendor)) =
            (registered.kind.signing, registered.advice.vendor)
        {
            headers.push((header, vendor.to_owned()));
        }
        if let Some(sender) = registered.advice.bearer_sender {
            headers.push(("authorization", format!("a bearer token, as of {sender}")));
        }
    }
    headers
}
