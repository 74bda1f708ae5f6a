//! Settings that are valid but probably a mistake. Invalid settings were refused when the file was read.

use secrecy::ExposeSecret;

use super::Finding;
use crate::auth::same_issuer;
use crate::config::{Config, Source};
use crate::explain::ConfiguredRule;
use crate::providers::{self, DevelopmentInstances};

pub(super) fn check(config: &Config, rules: &[ConfiguredRule<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if config.sources.is_empty() {
        findings.push(Finding::error(
            "no source is configured",
            "every webhook and every token is refused",
            format!(
                "add [[sources]], or set the variables of {} (docs/configuration.md)",
                providers::vendors_with_variables()
            ),
        ));
    }
    findings.extend(config.sources.iter().enumerate().flat_map(|(index, it)| source(index, it, config)));
    findings.extend(rules.iter().enumerate().flat_map(|(index, it)| rule(it, &rules[..index])));
    findings.extend(exposure(config));
    findings
}

fn source(index: usize, source: &Source, config: &Config) -> Vec<Finding> {
    let Source { name, provider, webhook_secrets, bearer_tokens, tokens, .. } = source;
    let place = format!("sources[{index}] (`{name}`)");
    let secrets = webhook_secrets.len() + bearer_tokens.len();
    let mut findings = vec![Finding::ok(format!(
        "{place}: provider {}, secrets: {secrets}, token rules: {}",
        provider.name,
        tokens.len()
    ))];
    if let Err(error) = providers::Source::new(source) {
        let fix = "correct or remove this source; `usersync serve` does not start with it";
        findings.push(Finding::error(error.to_string(), "the service cannot start", fix));
    }
    if secrets == 0 {
        findings.push(Finding::warning(
            format!("{place} has no secret"),
            format!("every delivery to /webhooks/{name} is refused, so its users get no row"),
            "put the webhook endpoint's signing secret into webhook_secrets",
        ));
    }
    if tokens.is_empty() {
        findings.push(Finding::warning(
            format!("{place} has no token rule"),
            "its users' tokens are refused",
            format!(
                "add [[sources.tokens]] to it (docs/configuration.md); if no app sends tokens of `{name}`, ignore \
                this"
            ),
        ));
    }
    let earlier = config.sources.iter().take(index);
    findings.extend(earlier.filter(|other| share_a_secret(source, other)).map(|other| {
        Finding::warning(
            format!("{place} and source `{}` have the same secret", other.name),
            "deliveries for one source pass the check of the other, and users end up in the wrong source",
            "copy the secret of each endpoint from the provider's dashboard",
        )
    }));
    findings
}

fn share_a_secret(one: &Source, other: &Source) -> bool {
    let secrets = |source: &Source| {
        let all = source.webhook_secrets.iter().chain(&source.bearer_tokens);
        all.map(|secret| secret.expose_secret().to_owned()).collect::<Vec<_>>()
    };
    let others = secrets(other);
    secrets(one).iter().any(|secret| others.contains(secret))
}

fn rule(rule: &ConfiguredRule<'_>, earlier: &[ConfiguredRule<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(instances) = DevelopmentInstances::of(rule.issuer()) {
        let key = rule.key(rule.issuer_key());
        findings.push(Finding::warning(
            format!("{rule} is for a development instance of {}", instances.vendor),
            "tokens of your production instance are refused, and the users of the development instance are \
                test users",
            format!("in production, set {key} to {}", instances.production_issuer),
        ));
    }
    if rule.rule.application_id.is_none() && rule.rule.authorized_parties.is_empty() {
        findings.push(Finding::warning(
            format!("{rule} checks neither audience nor authorized party"),
            "a token that the issuer made for another application is accepted here",
            format!(
                "set applicationID or authorizedParties in {}, unless the issuer belongs to your \
                application alone",
                rule.path
            ),
        ));
    }
    let matches_the_same_tokens = |other: &&ConfiguredRule<'_>| {
        let wanted = &other.rule.application_id;
        same_issuer(other.issuer(), rule.issuer())
            && (wanted.is_none() || *wanted == rule.rule.application_id)
    };
    if let Some(other) = earlier.iter().find(matches_the_same_tokens) {
        findings.push(Finding::warning(
            format!("{rule} is never used"),
            format!("{other} comes first and matches the same tokens: it has the same issuer"),
            "remove one of them, set applicationID in each, or put the stricter one first",
        ));
    }
    findings
}

/// Who can reach the service, and how it reaches others.
fn exposure(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    let listen = config.server.listen;
    if !listen.ip().is_loopback() && config.server.metrics_listen.is_none() {
        findings.push(Finding::warning(
            format!("{listen} serves /metrics to everyone who can reach it"),
            "metrics show how many users sign up and what fails",
            "set metrics_listen under [server], such as \"127.0.0.1:9787\", or block /metrics in the proxy in \
                front of it",
        ));
    }
    if config.tokens.allow_http {
        findings.push(Finding::warning(
            "keys may be fetched without encryption (allow_http)",
            "an attacker on the network can replace the keys and sign tokens that are accepted",
            "remove allow_http, unless the provider is inside a private network",
        ));
    }
    findings
}
