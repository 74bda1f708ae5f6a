//! What to do when an issuer's keys cannot be had.

use super::rules::Placed;
use crate::auth::FetchError;

/// The remedy for a rule whose keys could not be fetched.
pub(super) fn fix(error: &FetchError, rule: &Placed<'_>) -> String {
    let key = rule.key(rule.issuer_key());
    let asks = rule.asks().unwrap_or_default();
    match error {
        FetchError::Transport(_) | FetchError::TooSlow(_) => format!(
            "this machine must reach {asks}: try it with curl from here; look at DNS, the firewall, \
                proxy variables and certificates; is {key} right?"
        ),
        FetchError::Status(status) if status.is_client_error() => {
            format!("nothing is at {asks}: correct {key}, path included (a realm or a tenant is part of it)")
        }
        FetchError::Status(_) => {
            format!(
                "{asks} is in trouble or not the right address: try it with curl; see the \
                provider's status page"
            )
        }
        FetchError::NotJson | FetchError::NoKeySet | FetchError::TooLarge => {
            format!(
                "{asks} answers with something else (a sign-in page, a captive portal?): open it, \
                and correct {key}"
            )
        }
        FetchError::NotSecure(_) => {
            "the provider leads to an address without https: correct it there, or set allow_http = true \
                under [tokens] for a provider inside a private network"
                .to_owned()
        }
        FetchError::NoJwksUri => {
            format!(
                "the document at {asks} is incomplete: write a customJwt rule with the address of \
                the keys in `jwks`"
            )
        }
        FetchError::ForeignIssuer { found, .. } if found.is_empty() => {
            format!("{asks} is no discovery document of an issuer: correct {key}")
        }
        FetchError::ForeignIssuer { found, .. } => {
            format!("tokens will carry the issuer {found:?}: set {key} to that, if it is your provider")
        }
        FetchError::Interrupted => "try it again".to_owned(),
    }
}
