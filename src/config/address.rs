//! Addresses of providers: `https`, except for loopback hosts and private networks.

use url::{Host, Url};

use super::error::{Fault, fault};
use super::key::Shape;
use super::settings::Kind;
use super::slot::Slot;

const DISCOVERY: &str = "/.well-known/openid-configuration";

/// The address under which a provider's discovery document is.
pub(super) struct Domain;

impl Kind for Domain {
    type Value = Url;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Url> {
        slot.parse(|text| parse_domain(text, slot.context.allow_http))
    }
}

/// Whether keys and discovery documents may be fetched from the address: `https`, or `http` to a loopback host
/// or where `[tokens] allow_http` says so. Holds for discovered addresses and redirects too.
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
pub(super) fn parse(text: &str, allow_http: bool) -> Result<Url, Fault> {
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

fn parse_domain(text: &str, allow_http: bool) -> Result<Url, Fault> {
    let url = parse(text, allow_http)?;
    if url.path().contains(DISCOVERY) {
        return Err(fault("is the discovery document", format!("leave out {DISCOVERY}, which is added")));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(fault("has a ? or # in it", "leave that part out"));
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{parse, parse_domain};

    #[test]
    fn https_is_assumed() {
        let url = parse("tenant.us.auth0.com", false).unwrap();
        assert_eq!(url.as_str(), "https://tenant.us.auth0.com/");
        assert_eq!(parse("localhost:8443", false).unwrap().as_str(), "https://localhost:8443/");
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
    fn what_is_no_web_address_is_refused() {
        for wrong in
            ["ftp://example.com", "file:///etc/passwd", "https://", "https://a b", "https://me:pw@a.com"]
        {
            assert!(parse(wrong, true).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_domain_is_what_stands_before_the_discovery_path() {
        assert!(parse_domain("https://id.example.com/realms/one", false).is_ok());
        for wrong in
            ["id.example.com/.well-known/openid-configuration", "id.example.com?x=1", "id.example.com#x"]
        {
            assert!(parse_domain(wrong, false).is_err(), "{wrong}");
        }
    }
}
