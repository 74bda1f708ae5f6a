//! What to do when the keys of an issuer cannot be fetched.

use super::rules::ConfiguredRule;
use crate::auth::FetchError;

/// How to fix a rule whose keys could not be fetched.
pub(crate) fn fix(error: &FetchError, rule: &ConfiguredRule<'_>) -> String {
    let url = rule.keys_url().unwrap_or_default();
    match error {
        FetchError::AtJwksUri { url: jwks_uri, why } => at_jwks_uri(why, jwks_uri, &url, rule),
        error => at(error, &url, rule),
    }
}

/// The discovery document is correct, but the address of the keys in it is not.
fn at_jwks_uri(error: &FetchError, jwks_uri: &str, document: &str, rule: &ConfiguredRule<'_>) -> String {
    let another = "use a customJwt rule with the right URL of the keys in `jwks`";
    match error {
        FetchError::Transport(_) | FetchError::TooSlow(_) => format!(
            "this machine must be able to reach {jwks_uri}, which {document} names as `jwks_uri`: try curl from here; \
                check DNS, the firewall, proxy variables and certificates; if this machine reaches the keys at another \
                address, {another}"
        ),
        FetchError::Status(status) if status.is_server_error() => at(error, jwks_uri, rule),
        FetchError::NotSecure(_) | FetchError::Encoded(_) => at(error, jwks_uri, rule),
        _ => format!(
            "{document} names {jwks_uri} as `jwks_uri`: open it, and correct it at the provider, or {another}"
        ),
    }
}

fn at(error: &FetchError, url: &str, rule: &ConfiguredRule<'_>) -> String {
    let key = rule.key(rule.issuer_key());
    match error {
        FetchError::Transport(_) | FetchError::TooSlow(_) => format!(
            "this machine must be able to reach {url}: try curl from here; check DNS, the firewall, \
                proxy variables, certificates and {key}; if this machine reaches the provider at another \
                address than the issuer in its tokens, use a customJwt rule with both: that `issuer`, and in \
                `jwks` the URL of the keys that this machine can reach"
        ),
        FetchError::Status(status) if status.is_client_error() => {
            format!(
                "{url} does not exist: correct {key}, including its path (a realm or a tenant is part of it)"
            )
        }
        FetchError::Status(_) => {
            format!(
                "the server at {url} fails, or the URL is wrong: try it with curl; see the \
                provider's status page"
            )
        }
        FetchError::NotJson | FetchError::NoKeySet | FetchError::TooLarge(_) => {
            format!(
                "{url} answers with something else (maybe a sign-in page or a captive portal): open it, \
                and correct {key}"
            )
        }
        FetchError::Encoded(_) => format!(
            "{url} must answer with gzip, deflate or no content coding: correct that at the provider, or at the \
                proxy in front of it"
        ),
        FetchError::NotSecure(_) => {
            "the provider points to a URL without https: correct it there, or set allow_http = true \
                under [tokens] for a provider inside a private network"
                .to_owned()
        }
        FetchError::NoJwksUri => {
            format!(
                "the document at {url} is incomplete: use a customJwt rule with the URL of \
                the keys in `jwks`"
            )
        }
        FetchError::ForeignIssuer { found, .. } if found.is_empty() => {
            format!("{url} is not a discovery document of an issuer: correct {key}")
        }
        FetchError::ForeignIssuer { found, jwks, .. } => {
            let jwks = jwks.as_ref().map_or("the URL of its keys".to_owned(), |url| format!("{url:?}"));
            format!(
                "tokens will have the issuer {found:?}. If it is your provider and this machine can reach that \
                    address, set {key} to it. If the provider has different addresses inside and outside your \
                    network (for example Keycloak in a container network), use a customJwt rule with issuer = \
                    {found:?} and jwks = {jwks}"
            )
        }
        FetchError::Interrupted | FetchError::AtJwksUri { .. } => "try again".to_owned(),
    }
}
