//! What to do about a token's failed check.

use url::Url;

use super::between;
use super::near_miss::difference;
use crate::auth::{Claimed, TokenError, same_issuer};
use crate::cli::fetching;
use crate::cli::rules::Placed;
use crate::config::RuleKind;
use crate::providers::{self, DevelopmentInstances};

/// A refused token and the rules that it met.
pub(super) struct Case<'a> {
    /// As given: looked at if it is no token at all, never repeated.
    pub(super) token: &'a str,
    pub(super) claimed: &'a Claimed,
    pub(super) rules: &'a [Placed<'a>],
    /// The one that was picked.
    pub(super) rule: Option<&'a Placed<'a>>,
}

/// A milliseconds' number where seconds belong is at least this; as seconds it would be the year 5138.
const FIRST_MILLISECONDS: f64 = 1e11;

pub(super) fn fix(error: &TokenError, case: &Case<'_>) -> String {
    match error {
        TokenError::Malformed(_) => malformed(case.token),
        TokenError::NoIssuer => {
            "send the token that the provider issued, not one that the app made".to_owned()
        }
        TokenError::ForeignIssuer { found } => foreign_issuer(found, case.rules),
        TokenError::WrongAudience { found, .. } => wrong_audience(found, case),
        TokenError::WrongAlgorithm { found, .. } => wrong_algorithm(found, case),
        TokenError::CriticalExtension => "have the issuer leave `crit` out of the header".to_owned(),
        TokenError::NoKeyId => {
            "have the issuer name its key; or write the rule with type = \"oidc\", which can do \
                without"
                .to_owned()
        }
        TokenError::KeysUnavailable { why } => {
            case.rule.map(|rule| fetching::fix(why, rule)).unwrap_or_default()
        }
        TokenError::UnknownKey { known: 0, .. } => {
            "the issuer publishes no usable key (RSA from 2048 bits, P-256, Ed25519)".to_owned()
        }
        TokenError::UnknownKey { .. } => unknown_key(case),
        TokenError::AmbiguousKey { .. } => "have the issuer name its key (`kid`) in the header".to_owned(),
        TokenError::WrongSignature => wrong_signature(case),
        TokenError::NoTime { claim: "iat" } => {
            "have the issuer set `iat`; or write type = \"customJwt\", which asks for none".to_owned()
        }
        TokenError::NoTime { claim } => {
            format!("have the issuer set `{claim}`: a token for ever cannot be called back")
        }
        TokenError::NotATime { claim } => not_a_time(claim, case.claimed),
        TokenError::Expired { at, now } => format!(
            "it ended {} ago: take a new one from the provider for each request instead of keeping it; \
                if it is new, this machine's clock is ahead (`usersync doctor` compares)",
            between(*at, *now)
        ),
        TokenError::NotYetValid { from: at, now } | TokenError::IssuedInTheFuture { at, now } => format!(
            "this machine's clock is {} behind the issuer's, or more: set it by NTP (`usersync doctor` \
                compares); `leeway` under [tokens] is for seconds",
            between(*at, *now)
        ),
        TokenError::WrongParty { expected, found } => wrong_party(expected, found.as_deref(), case),
        TokenError::PendingSession => {
            "the user has signed in but has not done what the application still asks (choose an organization, \
                say): send the token of the completed session; or set allowPendingSessions on the rule"
                .to_owned()
        }
        TokenError::NoSubject => {
            "it speaks for no user: send a user's token, not that of a machine (client credentials)"
                .to_owned()
        }
    }
}

/// What was given instead of a token, by how it begins.
fn malformed(text: &str) -> String {
    let signed = || providers::hints(|advice| advice.readable_token);
    let begins = |beginnings: &[&str]| beginnings.iter().any(|beginning| text.starts_with(beginning));
    let fix = match text {
        "" | "undefined" | "null" | "[object Promise]" | "[object Object]" => {
            "the app had no token when it asked: wait until the user is signed in, and for the token \
                itself (`await getToken()`)"
        }
        _ if begins(&["Bearer ", "bearer "]) => {
            "leave the word Bearer out here; in the header it stands once"
        }
        _ if begins(&["\"", "'"]) => "leave the quotes out",
        _ if begins(&["usk_"]) => {
            "this is a service key, which is for GET /v1/users; a user's route takes a user's token"
        }
        _ if begins(&["whsec_"]) => {
            "this is a webhook secret: it belongs in webhook_secrets, and never in a request; rotate it"
        }
        _ if begins(&["sk_", "pk_"]) => {
            "this is an API key of the provider, no user's token; a secret \
            one belongs in no request here: rotate it"
        }
        _ if text.split('.').count() == 5 => {
            return format!(
                "it is encrypted (five parts), so only its issuer can read it: ask for a signed one ({})",
                signed()
            );
        }
        _ if !text.contains('.') => {
            return format!(
                "it is opaque, a session id or an access token for the provider itself: ask for a JSON Web \
                    Token ({})",
                signed()
            );
        }
        _ => {
            "send the whole token as the provider gave it: it may be cut short, or have a blank or a \
            line break in it"
        }
    };
    fix.to_owned()
}

fn foreign_issuer<'a>(found: &'a str, rules: &'a [Placed<'a>]) -> String {
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
        if let Some(slip) = difference(bare(issuer), bare(found)) {
            return format!("the rule has {issuer:?}, which differs in {slip}: set {key} to {found:?}");
        }
        if found.starts_with(&format!("{}/", issuer.trim_end_matches('/'))) {
            return format!(
                "the rule has {issuer:?}, and a path belongs to the issuer: set {key} to {found:?}"
            );
        }
    }
    if let Some(fix) = other_environment(found, rules).or_else(|| other_address(found, rules)) {
        return fix;
    }
    let known: Vec<_> = rules.iter().map(|rule| format!("{:?}", rule.issuer())).collect();
    format!(
        "the rules are for {}: is it a token of another environment or provider? If it is yours, set {} \
            to {found:?}, or add a rule",
        known.join(", "),
        rules.first().map(|rule| rule.key(rule.issuer_key())).unwrap_or_default()
    )
}

/// One of the two, the token and the rules, is of an instance for development, and the other is not.
fn other_environment(found: &str, rules: &[Placed<'_>]) -> Option<String> {
    let development =
        rules.iter().find_map(|rule| Some((rule, DevelopmentInstances::of(rule.issuer())?.vendor)));
    match (DevelopmentInstances::of(found), development) {
        (Some(instances), None) => {
            let DevelopmentInstances { vendor, production_keys, .. } = instances;
            Some(format!(
                "it is of a development instance of {vendor}, and the rules are not: use the production keys \
                    ({production_keys}) in the app; or, for development, set {} to {found:?}",
                rules.first().map(|rule| rule.key(rule.issuer_key())).unwrap_or_default()
            ))
        }
        (None, Some((rule, vendor))) => {
            let key = rule.key(rule.issuer_key());
            Some(format!(
                "{rule} is for a development instance of {vendor}, and the token is not: if it is of your \
                    production instance, set {key} to {found:?}"
            ))
        }
        _ => None,
    }
}

/// The same path on another host, as of a provider that has one address outside and another one inside.
fn other_address(found: &str, rules: &[Placed<'_>]) -> Option<String> {
    let path = |issuer: &str| Some(Url::parse(issuer).ok()?.path().trim_end_matches('/').to_owned());
    let found_path = path(found).filter(|path| !path.is_empty())?;
    let rule = rules.iter().find(|rule| path(rule.issuer()).as_ref() == Some(&found_path))?;
    Some(format!(
        "{rule} has {:?}. If that is the same provider by an address that only this machine uses (Keycloak \
            in a container network), use a customJwt rule with issuer = {found:?} and the URL of the keys from \
            here in `jwks`; otherwise set {} to {found:?}",
        rule.issuer(),
        rule.key(rule.issuer_key())
    ))
}

fn wrong_audience(found: &[String], case: &Case<'_>) -> String {
    let issuer = case.claimed.issuer.as_deref().unwrap_or_default();
    let mut of_issuer = case.rules.iter().filter(|rule| same_issuer(rule.issuer(), issuer));
    let Some((rule, wanted)) = of_issuer.find_map(|it| Some((it, it.rule.application_id.as_deref()?))) else {
        return String::new();
    };
    let (key, source) = (rule.key("applicationID"), &rule.source.name);
    let Some(first) = found.first() else { return no_audience(rule, wanted) };
    let near = found.iter().find_map(|one| Some((one, difference(one, wanted)?)));
    if let Some((near, slip)) = near {
        return format!("it differs from {wanted:?} in {slip}: set {key} to {near:?}");
    }
    let found: Vec<_> = found.iter().map(|one| format!("{one:?}")).collect();
    format!(
        "`aud` is {}, the rule for source {source} wants {wanted:?}: set {key} to {first:?}, or ask the \
            provider for the audience {wanted:?}",
        found.join(", ")
    )
}

fn no_audience(rule: &Placed<'_>, wanted: &str) -> String {
    let path = &rule.path;
    match providers::advice(rule.source.provider.name).no_audience {
        Some(advice) => advice(wanted, path),
        None => format!(
            "ask the provider for the audience {wanted:?}; or, if this issuer signs for your \
                application alone, leave applicationID out of {path}"
        ),
    }
}

fn wrong_algorithm(found: &str, case: &Case<'_>) -> String {
    match found {
        "HS256" | "HS384" | "HS512" => format!(
            "{found} signs with a shared secret, so whoever can check a token could make one: at the \
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

fn unknown_key(case: &Case<'_>) -> String {
    let from = case.rule.and_then(Placed::asks);
    match from {
        Some(address) => format!(
            "the provider rotated its keys and the token is older: take a new one; or the token is of \
                another environment than {address}: compare the key ids there"
        ),
        None => "the provider has other keys than the configuration: put its present key set in `jwks`, \
            or better its address"
            .to_owned(),
    }
}

fn wrong_signature(case: &Case<'_>) -> String {
    let keys = match case.rule.and_then(Placed::asks) {
        Some(address) => format!("signed in another environment than that of {address}"),
        None => "signed with another key than the one in `jwks`".to_owned(),
    };
    format!(
        "the token was changed or cut on its way, or {keys}: take a new one, whole, from the \
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
                "`{claim}` is in milliseconds: have the issuer write seconds, as in \
                Math.floor(Date.now() / 1000)"
            )
        }
        _ => format!("have the issuer write `{claim}` as a number of seconds since 1970, without quotes"),
    }
}

fn wrong_party(expected: &[String], found: Option<&str>, case: &Case<'_>) -> String {
    let key = case.rule.map(|rule| rule.key("authorizedParties")).unwrap_or_default();
    let Some(found) = found else {
        return format!(
            "a token that no front end asked for has no `azp`: ask for it in the browser; or check applicationID \
                instead, and leave out {key}"
        );
    };
    match expected.iter().find_map(|one| Some((one, difference(one, found)?))) {
        Some((near, slip)) => format!("it differs from {near:?} in {slip}: add {found:?} to {key}"),
        None => format!(
            "if {found:?} is a front end of yours, add it to {key}; if not, somebody else's \
            got this token"
        ),
    }
}
