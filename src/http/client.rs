//! Which client sent a request, by its address.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::uri::Authority;
use ipnet::IpNet;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A client: an IPv4 address, or the first 64 bits of an IPv6 address, which is what one subscriber has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(IpAddr);

impl Client {
    /// The client that sent the request, directly or through trusted proxies. `None` if every address is trusted.
    pub(super) fn of(request: &HttpRequest, trusted: &[IpNet]) -> Option<Self> {
        let peer = request.peer_addr()?.ip().to_canonical();
        let mut hops = std::iter::once(Some(peer)).chain(hops(request.headers()));
        // Each proxy appends the address of its own client, so an entry is reliable only if everything after it is trusted.
        let is_trusted = |address: &IpAddr| trusted.iter().any(|network| network.contains(address));
        let untrusted = hops.find(|hop| !hop.as_ref().is_some_and(is_trusted))?;
        untrusted.map(Self::at)
    }

    fn at(address: IpAddr) -> Self {
        Self(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(whole) => Ipv6Addr::from_bits(whole.to_bits() >> 64 << 64).into(),
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The address of the client that sent the request; `None` if every address is trusted.
pub fn client_address(request: &HttpRequest, trusted: &[IpNet]) -> Option<IpAddr> {
    Client::of(request, trusted).map(|client| client.0)
}

/// A client, for the log.
pub fn client_name(client: Option<impl fmt::Display>) -> String {
    client.map_or_else(|| "a trusted address".to_owned(), |client| client.to_string())
}

/// Whether headers name this machine as the host, by one of the names that always mean this machine.
///
/// Only `Host` counts: a page can set `X-Forwarded-Host` to any value.
pub fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let Some(authority) = host.and_then(|host| host.parse::<Authority>().ok()) else { return false };
    let name = authority.host().trim_matches(['[', ']']);
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether the request has an `X-Forwarded-For` header, trusted or not.
pub(super) fn is_forwarded(request: &HttpRequest) -> bool {
    request.headers().contains_key(FORWARDED_FOR)
}

/// The addresses that proxies appended, the last one first; `None` for an entry that is not an address.
fn hops(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines: Vec<&str> =
        headers.get_all(FORWARDED_FOR).map(|line| line.to_str().unwrap_or_default()).collect();
    lines.into_iter().rev().flat_map(|line| line.rsplit(',')).map(|hop| address(hop.trim()))
}

/// Some proxies append the port too.
fn address(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse().map(|address: SocketAddr| address.ip()).ok();
    let address = text.trim_matches(['[', ']']).parse().ok().or_else(with_port)?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::Client;

    fn client(peer: &str, forwarded_for: &[&str]) -> String {
        let trusted = ["10.0.0.0/8", "127.0.0.1/32", "fd00::/8"].map(|network| network.parse().unwrap());
        let mut request = TestRequest::default().peer_addr(peer.parse().unwrap());
        for line in forwarded_for {
            request = request.append_header(("x-forwarded-for", *line));
        }
        let client = Client::of(&request.to_http_request(), &trusted);
        client.map_or_else(|| "-".to_owned(), |client| client.to_string())
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_the_header_says() {
        assert_eq!(client("192.0.2.1:5000", &[]), "192.0.2.1");
        assert_eq!(client("192.0.2.1:5000", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("192.0.2.1:5000", &["10.0.0.1"]), "192.0.2.1");
    }

    #[test]
    fn the_client_is_the_last_untrusted_address_before_the_trusted_proxies() {
        assert_eq!(client("10.0.0.1:5000", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1:5000", &["203.0.113.9, 198.51.100.7 ,10.0.0.2"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1:5000", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1:5000", &["10.9.9.9, 198.51.100.7"]), "198.51.100.7");
        assert_eq!(client("10.0.0.1:5000", &["198.51.100.7:4711"]), "198.51.100.7");
        assert_eq!(client("[::ffff:10.0.0.1]:5000", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn a_request_from_trusted_addresses_only_has_no_client() {
        assert_eq!(client("10.0.0.1:5000", &[]), "-");
        assert_eq!(client("10.0.0.1:5000", &["10.0.0.2"]), "-");
        for unreadable in ["", "unknown", "198.51.100.7, unknown", "\u{e4}"] {
            assert_eq!(client("10.0.0.1:5000", &[unreadable]), "-", "{unreadable:?}");
        }
    }

    #[test]
    fn an_ipv6_client_is_the_first_64_bits_of_its_address() {
        assert_eq!(client("[2001:db8:1:2:3:4:5:6]:5000", &[]), "2001:db8:1:2::");
        assert_eq!(client("10.0.0.1:5000", &["[2001:db8:1:2::9]:443"]), "2001:db8:1:2::");
        assert_eq!(client("[fd00::1]:5000", &["2001:db8::1"]), "2001:db8::");
    }
}
