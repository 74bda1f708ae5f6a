//! What to do about a token's failed check.

use url::Url;

use super::between;
use super::fetching;
use super::near_miss::difference;
use super::rules::ConfiguredRule;
use crate::auth::{Claimed, TokenError, same_issuer};
use crate::config::RuleKind;
use crate::providers::{self, DevelopmentInstances};

/// A refused token and the rules that it met.
pub(super) struct RefusedToken<'a> {
    /// The input: examined if it is not a token, never printed.
    pub(super) token: &'a str,
    pub(super) claimed: &'a Claimed,
    pub(super) rules: &'a [ConfiguredRule<'a>],
    /// The one that was picked.
    pub(super) rule: Option<&'a ConfiguredRule<'a>>,
}

/// A time in milliseconds is at least this number. As seconds it would be in the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;

pub(super) fn fix(error: &TokenError, case: &RefusedToken<'_>) -> String {
    match error {
        TokenError::Malformed(_) => malformed(case.token),
        TokenError::NoIssuer => {
            "send the token that the provider issued, not one that the app made".to_owned()
        }
        TokenError::ForeignIssuer { found } => foreign_issuer(found, case.rules),
        TokenError::WrongAudience { found, .. } => wrong_audience(found, case),
        TokenError::WrongAlgorithm { found, .. } => wrong_algorithm(found, case),
        TokenError::CriticalExtension => "configure the issuer to leave `crit` out of the header".to_owned(),
        TokenError::NoKeyId => {
            "configure the issuer to send a key id (`kid`); or write the rule with type = \"oidc\", which does not require one"
                .to_owned()
        }
        TokenError::KeysUnavailable { why } => {
            case.rule.map(|rule| fetching::fix(why, rule)).unwrap_or_default()
        }
        TokenError::UnknownKey { known: 0, .. } => {
            "the issuer publishes no usable key (RSA from 2048 bits, P-256, Ed25519)".to_owned()
        }
        TokenError::UnknownKey { .. } => unknown_key(case),
        TokenError::AmbiguousKey { .. } => "configure the issuer to send the key id (`kid`) in the header".to_owned(),
        TokenError::WrongSignature => wrong_signature(case),
        TokenError::NoTime { claim: "iat" } => {
            "configure the issuer to set `iat`; or write type = \"customJwt\", which does not require it".to_owned()
        }
        TokenError::NoTime { claim } => {
            format!("configure the issuer to set `{claim}`: a token that never expires cannot be revoked")
        }
        TokenError::NotATime { claim } => not_a_time(claim, case.claimed),
        TokenError::Expired { at, now } => format!(
            "it expired {} ago: get a new one from the provider for each request instead of storing it; if it \
                is new, this machine's clock is ahead (`usersync doctor` checks it)",
            between(*at, *now)
        ),
        TokenError::NotYetValid { from: at, now } | TokenError::IssuedInTheFuture { at, now } => format!(
            "this machine's clock is at least {} behind the issuer's: synchronise it by NTP (`usersync \
                doctor` checks it); `leeway` under [tokens] allows only for a few seconds",
            between(*at, *now)
        ),
        TokenError::WrongParty { expected, found } => wrong_party(expected, found.as_deref(), case),
        TokenError::PendingSession => {
            "the user has signed in, but has not completed a required task (for example, choosing an \
                organization): send the token of the completed session; or set allowPendingSessions on the \
                rule"
                .to_owned()
        }
        TokenError::NoSubject => {
            "it identifies no user: send a user's token, not the token of a program (client credentials)"
                .to_owned()
        }
    }
}

/// What to do if the input is not a token. Its first characters show what it is.
fn malformed(text: &str) -> String {
    let signed = || providers::hints(|advice| advice.readable_token);
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    let fix = match text {
        "" | "undefined" | "null" | "[object Promise]" | "[object Object]" => {
            "the app sent the request before it had a token: wait until the user is signed in, and await the \
                token (`await getToken()`)"
        }
        _ if begins(&["Bearer ", "bearer "]) => "leave out the word Bearer here; only the header has it",
        _ if begins(&["\"", "'"]) => "leave the quotes out",
        _ if begins(&["usk_"]) => {
            "this is a service key, which is for GET /v1/users; a route for users requires a user's token"
        }
        _ if begins(&["whsec_"]) => {
            "this is a webhook secret: it belongs in webhook_secrets, and never in a request; rotate it"
        }
        _ if begins(&["sk_", "pk_"]) => {
            "this is an API key of the provider, not a user's token. If it is a secret key, never send it to \
                usersync, and rotate it"
        }
        _ if text.split('.').count() == 5 => {
            return format!(
                "it is encrypted (five parts), so only its issuer can read it: request a signed one ({})",
                signed()
            );
        }
        _ if !text.contains('.') => {
            return format!(
                "it is not a JSON Web Token (perhaps a session id, or an opaque access token for the provider \
                    itself): request a JSON Web Token ({})",
                signed()
            );
        }
        _ => {
            "send the whole token as the provider gave it: it may be truncated, or contain a space or a line \
                break"
        }
    };
    fix.to_owned()
}

fn foreign_issuer<'a>(found: &'a str, rules: &'a [ConfiguredRule<'a>]) -> String {
    if rules.is_empty() {
        return format!(
            "no source has a token rule, so every token is refused: add [[sources.tokens]], or set the \
            variables of {} (docs/configuration.md)",
            providers::vendors_with_variables()
        );
    }
    for rule in rules {
        let (key, issuer) = (rule.key(rule.issuer_key()), rule.issuer());
        // One slash at the end is ignored by the rule itself.
        let bare = |issuer: &'a str| issuer.strip_suffix('/').unwrap_or(issuer);
        if let Some(mistake) = difference(bare(issuer), bare(found)) {
            return format!("the rule has {issuer:?}, which differs in {mistake}: set {key} to {found:?}");
        }
        if found.starts_with(&format!("{}/", issuer.trim_end_matches('/'))) {
            return format!(
                "the rule has {issuer:?}, but the path is part of the issuer: set {key} to {found:?}"
            );
        }
    }
    if let Some(fix) = other_environment(found, rules).or_else(|| other_address(found, rules)) {
        return fix;
    }
    let known: Vec<_> = rules.iter().map(|rule| format!("{:?}", rule.issuer())).collect();
    format!(
        "the rules are for {}: is it a token of another environment or provider? If the issuer is yours, set {} \
            to {found:?}, or add a rule",
        known.join(", "),
        rules.first().map(|rule| rule.key(rule.issuer_key())).unwrap_or_default()
    )
}

/// One of the two, the token and the rules, is of an instance for development, and the other is not.
fn other_environment(found: &str, rules: &[ConfiguredRule<'_>]) -> Option<String> {
    let development =
        rules.iter().find_map(|rule| Some((rule, DevelopmentInstances::of(rule.issuer())?.vendor)));
    match (DevelopmentInstances::of(found), development) {
        (Some(instances), None) => {
            let DevelopmentInstances { vendor, production_keys, .. } = instances;
            Some(format!(
                "the token is from a development instance of {vendor}, but no rule is for one: use the production keys \
                    ({production_keys}) in the app; or, for development, set {} to {found:?}",
                rules.first().map(|rule| rule.key(rule.issuer_key())).unwrap_or_default()
            ))
        }
        (None, Some((rule, vendor))) => {
            let key = rule.key(rule.issuer_key());
            Some(format!(
                "{rule} is for a development instance of {vendor}, but the token is not from one: if it is from your \
                    production instance, set {key} to {found:?}"
            ))
        }
        _ => None,
    }
}

/// The same path on another host, as of a provider that has one address outside and another one inside.
fn other_address(found: &str, rules: &[ConfiguredRule<'_>]) -> Option<String> {
    let path = |issuer: &str| Some(Url::parse(issuer).ok()?.path().trim_end_matches('/').to_owned());
    let found_path = path(found).filter(|path| !path.is_empty())?;
    let rule = rules.iter().find(|rule| path(rule.issuer()).as_ref() == Some(&found_path))?;
    Some(format!(
        "{rule} has {:?}. If that is the same provider at an address that only this machine uses (for example \
            Keycloak in a container network), use a customJwt rule with issuer = {found:?}, and in `jwks` the \
            URL of the keys that this machine can reach; otherwise set {} to {found:?}",
        rule.issuer(),
        rule.key(rule.issuer_key())
    ))
}

fn wrong_audience(found: &[String], case: &RefusedToken<'_>) -> String {
    let issuer = case.claimed.issuer.as_deref().unwrap_or_default();
    let mut of_issuer = case.rules.iter().filter(|rule| same_issuer(rule.issuer(), issuer));
    let Some((rule, wanted)) = of_issuer.find_map(|it| Some((it, it.rule.application_id.as_deref()?))) else {
        return String::new();
    };
    let (key, source) = (rule.key("applicationID"), &rule.source.name);
    let Some(first) = found.first() else { return no_audience(rule, wanted) };
    let near = found.iter().find_map(|one| Some((one, difference(one, wanted)?)));
    if let Some((near, mistake)) = near {
        return format!("it differs from {wanted:?} in {mistake}: set {key} to {near:?}");
    }
    let found: Vec<_> = found.iter().map(|one| format!("{one:?}")).collect();
    format!(
        "`aud` is {}, the rule for source {source} requires {wanted:?}: set {key} to {first:?}, or configure the \
            provider to issue the audience {wanted:?}",
        found.join(", ")
    )
}

fn no_audience(rule: &ConfiguredRule<'_>, wanted: &str) -> String {
    let path = &rule.path;
    match providers::advice(rule.source.provider.name).no_audience {
        Some(advice) => advice(wanted, path),
        None => format!(
            "configure the provider to issue the audience {wanted:?}; or, if this issuer signs for your \
                application alone, leave applicationID out of {path}"
        ),
    }
}

fn wrong_algorithm(found: &str, case: &RefusedToken<'_>) -> String {
    match found {
        "HS256" | "HS384" | "HS512" => format!(
            "{found} signs with a shared secret, so everyone who can check a token can also make one: at the \
                provider, choose RS256 ({})",
            providers::hints(|advice| advice.key_pair)
        ),
        "none" => "it is not signed, and proves nothing: send the token as the provider issued it".to_owned(),
        "RS256" | "ES256" | "EdDSA" | "Ed25519" => {
            let Some(rule) = case.rule else { return String::new() };
            let key = match rule.rule.kind {
                RuleKind::Oidc { .. } => format!("add {found:?} to {}", rule.key("algorithms")),
                RuleKind::CustomJwt { .. } => format!("set {} to {found:?}", rule.key("algorithm")),
            };
            format!("if the issuer signs with {found} now, {key}")
        }
        _ => "at the provider, choose RS256, ES256 or EdDSA: no other is supported".to_owned(),
    }
}

fn unknown_key(case: &RefusedToken<'_>) -> String {
    let from = case.rule.and_then(ConfiguredRule::keys_url);
    match from {
        Some(address) => format!(
            "the token may be older than the last rotation of keys: get a new one. If it is refused too, it is from \
                another environment than {address}: compare the key ids there"
        ),
        None => "the provider has other keys than the configuration: put its current key set in `jwks`, or \
            better its URL"
            .to_owned(),
    }
}

fn wrong_signature(case: &RefusedToken<'_>) -> String {
    let keys = match case.rule.and_then(ConfiguredRule::keys_url) {
        Some(address) => format!("signed in another environment than that of {address}"),
        None => "signed with another key than the one in `jwks`".to_owned(),
    };
    format!(
        "the token was changed or truncated in transit, or {keys}: get a new, complete token from the \
            provider that the rule names"
    )
}

fn not_a_time(claim: &str, claimed: &Claimed) -> String {
    let number = match claim {
        "exp" => claimed.expires_at,
        "nbf" => claimed.not_before,
        _ => claimed.issued_at,
    };
    match number {
        Some(number) if number >= FIRST_MILLISECONDS => {
            format!(
                "`{claim}` is in milliseconds: configure the issuer to write seconds, as in \
                Math.floor(Date.now() / 1000)"
            )
        }
        _ => format!(
            "configure the issuer to write `{claim}` as a number of seconds since 1970, without quotes"
        ),
    }
}

fn wrong_party(expected: &[String], found: Option<&str>, case: &RefusedToken<'_>) -> String {
    let key = case.rule.map(|rule| rule.key("authorizedParties")).unwrap_or_default();
    let Some(found) = found else {
        return format!(
            "a token that was not requested by a front end has no `azp`: request it in the browser; or check \
                applicationID instead, and leave out {key}"
        );
    };
    match expected.iter().find_map(|one| Some((one, difference(one, found)?))) {
        Some((near, mistake)) => format!("it differs from {near:?} in {mistake}: add {found:?} to {key}"),
        None => format!(
            "if {found:?} is one of your front ends, add it to {key}; if not, another application requested \
                this token"
        ),
    }
}
