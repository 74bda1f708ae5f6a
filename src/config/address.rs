//! Addresses of providers: `https`, except for loopback hosts and private networks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use url::{Host, Url};

use super::error::{ValueError, fault};
use super::key::Shape;
use super::provider::ProviderKind;
use super::settings::Kind;
use super::slot::Slot;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// Ends of the paths of key sets, each with the end of the issuer's path.
const JWKS_PATHS: [(&str, &str); 7] = [
    ("/.well-known/jwks.json", ""),
    ("/.well-known/jwks", ""),
    // Keycloak
    ("/protocol/openid-connect/certs", ""),
    // Microsoft Entra
    ("/discovery/v2.0/keys", "/v2.0"),
    ("/oauth2/jwks", ""),
    ("/oauth/jwks", ""),
    // Okta
    ("/v1/keys", ""),
];

/// How paths end that lead to an endpoint of the issuer, or to one of its pages.
const ENDPOINT_PATHS: [&str; 12] = [
    "/oauth/token",
    "/oauth2/token",
    "/v1/token",
    "/protocol/openid-connect/token",
    "/authorize",
    "/v1/authorize",
    "/protocol/openid-connect/auth",
    "/userinfo",
    "/v1/userinfo",
    "/protocol/openid-connect/userinfo",
    "/api/v2",
    "/sign-in",
];

/// How the keys begin that a program must keep secret, at Clerk, WorkOS, Stripe and others.
const SECRET_KEY_PREFIXES: [&str; 3] = ["sk_", "whsec_", "usk_"];

/// What a fault recommends if the right address is not known.
const SUCH_AS: &str = "write the provider's address, such as \"https://tenant.example.com\"";

/// The address under which a provider's discovery document is.
pub(super) struct Domain;

impl Kind for Domain {
    type Value = Url;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Url> {
        slot.parse(|text| {
            check_issuer(text, slot.context.providers)?;
            parse_domain(text, slot.context.allow_http)
        })
    }
}

/// The `iss` of tokens, which is only compared.
pub(super) struct Issuer;

impl Kind for Issuer {
    type Value = String;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<String> {
        slot.parse(|text| check_issuer(text, slot.context.providers).map(|()| text.to_owned()))
    }
}

/// Refuses what is often pasted in place of an issuer: a key, the dashboard, a similar host, or the address of one
/// of the issuer's documents. The remedy is the right value.
fn check_issuer(text: &str, providers: &[ProviderKind]) -> Result<(), ValueError> {
    let bare = text.split_once("://").map_or(text, |(_, bare)| bare).trim_end_matches('/');
    let prefixes = || providers.iter().flat_map(|kind| kind.domain_key_prefixes);
    if let Some(encoded) = prefixes().find_map(|prefix| bare.strip_prefix(prefix)) {
        let remedy =
            domain_in_key(encoded).map_or(SUCH_AS.to_owned(), |domain| write(&format!("https://{domain}")));
        return Err(fault("is a publishable key", remedy));
    }
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    if bare.split('/').any(|part| SECRET_KEY_PREFIXES.iter().any(|prefix| part.starts_with(prefix))) {
        return Err(fault("contains a secret key", SUCH_AS));
    }
    // An issuer may be another string than a web address.
    let Ok(url) = Url::parse(&full) else { return Ok(()) };
    let host = url.host_str().unwrap_or_default();
    for kind in providers {
        if let Some((_, right)) = kind.dashboards.iter().find(|(dashboard, _)| *dashboard == host) {
            return Err(fault("is the dashboard, which issues no tokens", format!("write {right}")));
        }
        for (wrong, right) in kind.similar_hosts {
            let is_right = host.ends_with(right) && !wrong.ends_with(right);
            if let Some(name) = host.strip_suffix(wrong).filter(|_| !is_right) {
                return Err(fault(
                    "is a host that issues no tokens",
                    write(&format!("https://{name}{right}")),
                ));
            }
        }
    }
    let path = url.path().trim_end_matches('/');
    let issuer = |path: &str| write(&format!("{}{path}", url.origin().ascii_serialization()));
    if let Some(base) = path.strip_suffix(DISCOVERY) {
        return Err(fault("is the discovery document", issuer(base)));
    }
    for (wrong, right) in JWKS_PATHS {
        if let Some(base) = path.strip_suffix(wrong) {
            return Err(fault("is the address of the keys", issuer(&format!("{base}{right}"))));
        }
    }
    if let Some(base) = ENDPOINT_PATHS.iter().find_map(|end| path.strip_suffix(end)) {
        return Err(fault("is the address of an endpoint", issuer(base)));
    }
    Ok(())
}

/// The host that a publishable key contains; the key may be truncated.
fn domain_in_key(encoded: &str) -> Option<String> {
    let decoded = String::from_utf8(STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).ok()?).ok()?;
    let domain = decoded.strip_suffix('$')?;
    let url = Url::parse(&format!("https://{domain}")).ok()?;
    (url.host_str() == Some(domain) && domain.contains('.')).then(|| domain.to_owned())
}

fn write(right: &str) -> String {
    format!("write {right:?}")
}

/// Whether keys, discovery documents and lists of users may be fetched from the address: `https`, or `http` to a
/// loopback host or with `[tokens] allow_http`. Applies to discovered addresses and redirects too.
pub fn is_permitted(url: &Url, allow_http: bool) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => allow_http || is_loopback(url),
        _ => false,
    }
}

/// Whether the address is this machine itself, so that neither encryption nor a proxy is needed.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// An address that may be fetched; `https://` is assumed where no scheme is given.
pub(super) fn parse(text: &str, allow_http: bool) -> Result<Url, ValueError> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let url = Url::parse(&full).map_err(|error| {
        fault(format!("is not a web address: {error}"), "write one such as \"https://tenant.example.com\"")
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault("holds a user name or password", "leave out what is before the @"));
    }
    if is_permitted(&url, allow_http) {
        return Ok(url);
    }
    let scheme = url.scheme();
    let remedy = match scheme {
        "http" => {
            "write https://, or set allow_http = true under [tokens] for a provider in a private network"
        }
        _ => "write https://",
    };
    Err(fault(format!("uses {scheme}://, so anyone on the network path could replace the keys"), remedy))
}

/// The address of a key set.
pub(super) fn parse_jwks(text: &str, allow_http: bool) -> Result<Url, ValueError> {
    let url = parse(text, allow_http)?;
    match url.path().trim_end_matches('/').strip_suffix(DISCOVERY) {
        None => Ok(url),
        Some(base) => {
            let domain = format!("{}{base}", url.origin().ascii_serialization());
            let remedy = format!("write its jwks_uri, or use an oidc rule with domain = {domain:?}");
            Err(fault("is the discovery document", remedy))
        }
    }
}

fn parse_domain(text: &str, allow_http: bool) -> Result<Url, ValueError> {
    let url = parse(text, allow_http)?;
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("has a ? or # in it", "leave that part out"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::proptest;

    use super::{check_issuer, domain_in_key, parse, parse_domain, parse_jwks};
    use crate::providers;

    #[test]
    fn https_is_assumed() {
        let url = parse("tenant.us.auth0.com", false).unwrap();
        assert_eq!(url.as_str(), "https://tenant.us.auth0.com/");
        assert_eq!(parse("localhost:8443", false).unwrap().as_str(), "https://localhost:8443/");
    }

    /// The remedy, or nothing for an issuer that is taken.
    fn remedy(issuer: &str) -> Option<String> {
        check_issuer(issuer, &providers::kinds()).err().map(|fault| fault.remedy)
    }

    #[test]
    fn what_is_often_pasted_in_place_of_an_issuer_is_refused_with_the_right_value() {
        for (pasted, expected) in [
            // From Clerk's documentation: with and without the padding.
            (
                "pk_test_Y2xlcmsuaW5jbHVkZWQua2F0eWRpZC05Mi5sY2wuZGV2JA",
                "\"https://clerk.included.katydid-92.lcl.dev\"",
            ),
            ("pk_live_Y2xlcmsuZXhhbXBsZS5jb20k", "\"https://clerk.example.com\""),
            ("https://pk_live_Y2xlcmsuZXhhbXBsZS5jb20k/", "\"https://clerk.example.com\""),
            ("pk_test_Y2xlcms", "such as"),
            ("pk_live_", "such as"),
            ("https://dashboard.clerk.com/apps/app_1/instances/ins_1", "the Frontend API URL"),
            ("Manage.Auth0.com/dashboard/us/tenant", "https://tenant.us.auth0.com"),
            ("https://dashboard.workos.com", "https://api.workos.com/user_management/"),
            ("happy-cat-1.accounts.dev", "\"https://happy-cat-1.clerk.accounts.dev\""),
            ("https://a.clerk.accounts.dev/.well-known/jwks.json", "\"https://a.clerk.accounts.dev\""),
            (
                "https://id.example.com:8443/realms/a/protocol/openid-connect/certs",
                "\"https://id.example.com:8443/realms/a\"",
            ),
            (
                "https://login.microsoftonline.com/t/discovery/v2.0/keys?appid=1",
                "\"https://login.microsoftonline.com/t/v2.0\"",
            ),
            ("http://id.example.com/oauth/jwks/", "\"http://id.example.com\""),
            ("https://tenant.okta.com/oauth2/default/v1/keys", "\"https://tenant.okta.com/oauth2/default\""),
            ("https://tenant-admin.okta.com", "\"https://tenant.okta.com\""),
            ("https://tenant.us.auth0.com/api/v2/", "\"https://tenant.us.auth0.com\""),
            ("https://tenant.us.auth0.com/userinfo", "\"https://tenant.us.auth0.com\""),
            ("https://supabase.com/dashboard/project/abc", "https://PROJECT.supabase.co/auth/v1"),
            ("sk_test_2abc", "such as"),
            ("https://api.workos.com/user_management/sk_test_2abc", "such as"),
            ("https://id.example.com/a/.well-known/openid-configuration", "\"https://id.example.com/a\""),
        ] {
            let remedy = remedy(pasted).unwrap_or_else(|| panic!("{pasted} is taken"));
            assert!(remedy.contains(expected), "{pasted}: {remedy}");
        }
    }

    #[test]
    fn issuers_of_every_form_are_taken() {
        for issuer in [
            "a.clerk.accounts.dev",
            "https://clerk.example.com",
            "https://accounts.dev",
            "https://tenant.us.auth0.com/",
            "https://api.workos.com/user_management/client_1",
            "https://id.example.com/realms/jwks",
            "https://login.microsoftonline.com/t/v2.0",
            "https://dashboard.clerk.com.example.com",
            "my-app",
            "urn:example:issuer",
        ] {
            assert_eq!(remedy(issuer), None, "{issuer}");
        }
    }

    #[test]
    fn a_discovery_document_is_no_key_set() {
        let fault =
            parse_jwks("https://id.example.com/a/.well-known/openid-configuration", false).unwrap_err();
        assert!(fault.remedy.contains("domain = \"https://id.example.com/a\""), "{fault:?}");
        assert!(parse_jwks("https://id.example.com/.well-known/jwks.json", false).is_ok());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (remedy(&text), remedy(&format!("pk_test_{text}")));
        }

        #[test]
        fn a_key_holds_its_domain(domain in "[a-z][a-z0-9]{0,9}(\\.[a-z][a-z0-9]{0,9}){1,3}") {
            proptest::prop_assert_eq!(domain_in_key(&STANDARD.encode(format!("{domain}$"))), Some(domain));
        }
    }

    #[test]
    fn http_is_for_loopback_hosts_unless_it_is_allowed() {
        for loopback in
            ["http://localhost:9000", "http://127.0.0.1", "http://127.8.9.1:1", "http://[::1]:80/x"]
        {
            assert!(parse(loopback, false).is_ok(), "{loopback}");
        }
        for elsewhere in
            ["http://example.com", "http://localhost.example.com", "http://128.0.0.1", "http://[::2]"]
        {
            assert!(parse(elsewhere, false).is_err(), "{elsewhere}");
            assert!(parse(elsewhere, true).is_ok(), "{elsewhere}");
        }
    }

    #[test]
    fn a_string_that_is_not_a_web_address_is_refused() {
        for wrong in
            ["ftp://example.com", "file:///etc/passwd", "https://", "https://a b", "https://me:pw@a.com"]
        {
            assert!(parse(wrong, true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_has_no_query_and_no_fragment() {
        assert!(parse_domain("https://id.example.com/realms/one", false).is_ok());
        for wrong in ["id.example.com?x=1", "id.example.com#x"] {
            assert!(parse_domain(wrong, false).is_err(), "{wrong}");
        }
    }
}
