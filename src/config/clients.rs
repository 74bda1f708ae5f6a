//! Settings about clients: the allowed origins of web pages, and the networks of trusted proxies.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

use super::error::{ValueError, fault};
use super::key::Shape;
use super::settings::{Kind, parsed};
use super::slot::Slot;

/// Matches every origin.
const ANY_ORIGIN: &str = "*";

/// A list of origins, in which the one that matches all must be alone.
pub(super) struct Origins;

impl Kind for Origins {
    type Value = Vec<String>;
    const SHAPE: Shape = Shape::List(&Shape::Text);

    fn read(slot: &Slot<'_>) -> Option<Vec<String>> {
        let origins: Vec<_> = slot.elements().filter_map(|element| element.parse(origin)).collect();
        if origins.len() > 1 && origins.iter().any(|origin| origin == ANY_ORIGIN) {
            slot.refuse(fault("names origins beside \"*\", which is all of them", "write one or the other"));
        }
        Some(origins)
    }

    #[cfg(test)]
    fn show(value: &Vec<String>) -> Option<String> {
        Vec::<String>::show(value)
    }
}

parsed!(IpNet as IpNet, Text, network, |network| format!("\"{network}\""));

/// Matches one label of a host name, or a part of one.
const ANY_LABEL: char = '*';

/// Whether a value is the configured one. A `*` in an origin's first label matches letters, digits and hyphens, at
/// least one: `https://*.example.com` matches `https://a.example.com`, but not `https://a.b.example.com`.
pub fn matches(configured: &str, value: &str) -> bool {
    let Some((before, after)) = configured.split_once(ANY_LABEL) else { return configured == value };
    let label = value.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let fits = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9' | b'-');
    label.is_some_and(|label| !label.is_empty() && label.bytes().all(fits))
}

/// A value of a token's `azp`, or a pattern of origins.
pub(super) struct Party;

parsed!(Party as String, Text, party, |party: &String| format!("{party:?}"));

fn party(text: &str) -> Result<String, ValueError> {
    if text.contains(ANY_LABEL) { pattern(text) } else { Ok(text.to_owned()) }
}

/// An origin whose first label has a `*`.
fn pattern(text: &str) -> Result<String, ValueError> {
    let host = text.split("://").nth(1).unwrap_or_default();
    let (first, rest) = host.split_once('.').unwrap_or((host, ""));
    // With one label after it, it would match the domains of other owners.
    let is_narrow = rest.contains('.') && !rest.contains(ANY_LABEL) && first.matches(ANY_LABEL).count() == 1;
    let example = text.replacen(ANY_LABEL, "x", 1);
    match origin(&example) {
        Ok(_) if is_narrow => Ok(text.to_owned()),
        _ => Err(fault(
            format!("`{text}` has a * where it matches nothing, or too much"),
            "write the * once, in the first of three or more labels, such as \"https://*.example.com\"",
        )),
    }
}

/// `https://app.example.com`, exactly as a browser sends it: it is compared exactly.
fn origin(text: &str) -> Result<String, ValueError> {
    if text == ANY_ORIGIN {
        return Ok(text.to_owned());
    }
    if text.contains(ANY_LABEL) {
        return pattern(text);
    }
    let origin = Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    match origin.map(|origin| origin.ascii_serialization()) {
        Some(right) if right == text => Ok(right),
        Some(right) => Err(fault("is not written as a browser sends it", format!("write \"{right}\""))),
        None => Err(fault("is not an origin", "write one such as \"https://app.example.com\"")),
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
fn network(text: &str) -> Result<IpNet, ValueError> {
    let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
    network.map_err(|_| {
        fault(
            format!("`{text}` is not a network"),
            "write an IP address, or a network such as \"10.0.0.0/8\" or \"fd00::/8\"",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{matches, network, origin, party};

    #[test]
    fn an_origin_stands_there_as_a_browser_sends_it() {
        for right in ["https://app.example.com", "http://localhost:3000", "https://[::1]:8443", "*"] {
            assert_eq!(origin(right).unwrap(), right);
        }
        for wrong in ["https://app.example.com/", "https://App.example.com", "https://a.example:443"] {
            assert!(format!("{:?}", origin(wrong)).contains("write"), "{wrong}");
            assert!(format!("{:?}", origin(wrong)).contains("as a browser sends it"), "{wrong}");
        }
        for wrong in ["app.example.com", "null", "https://*.example.com/x", "data:text/plain,x", "**"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_pattern_has_one_star_in_the_first_of_three_labels() {
        for right in ["https://*.example.com", "https://app-*-team.vercel.app", "http://*.local.test:3000"] {
            assert_eq!(origin(right).unwrap(), right);
            assert_eq!(party(right).unwrap(), right);
        }
        for wrong in [
            "https://*",
            "https://*.com",
            "https://*:3000",
            "https://*.*.com",
            "https://**.example.com",
            "https://app.*.com",
            "https://a.*.example.com",
            "https://*.example.com/",
            "https://*.Example.com",
            "*.example.com",
            "*://a.example.com",
            "https://*.example.com:*",
            "https://*.0.0.1",
        ] {
            assert!(format!("{:?}", origin(wrong)).contains("write the * once"), "{wrong}");
            assert!(format!("{:?}", party(wrong)).contains("write the * once"), "{wrong}");
        }
        assert_eq!(party("client id").unwrap(), "client id");
        assert!(party("*").is_err());
    }

    #[test]
    fn a_pattern_matches_one_label() {
        for (pattern, right) in [
            ("https://*.vercel.app", "https://a.vercel.app"),
            ("https://*.vercel.app", "https://my-app-git-x1-team.vercel.app"),
            ("https://app-*-team.vercel.app", "https://app-1-team.vercel.app"),
            ("https://app.example.com", "https://app.example.com"),
        ] {
            assert!(matches(pattern, right), "{pattern} {right}");
        }
        for wrong in [
            "https://vercel.app",
            "https://.vercel.app",
            "https://a.b.vercel.app",
            "http://a.vercel.app",
            "https://a.vercel.app.evil.com",
            "https://evil.com/.vercel.app",
            "https://evil.com#.vercel.app",
            "https://a.vercel.app:444",
            "https://a@b.vercel.app",
            "https://A.vercel.app",
            "https://avercel.app",
            "https://*.vercel.app",
            "null",
            "",
        ] {
            assert!(!matches("https://*.vercel.app", wrong), "{wrong}");
        }
        assert!(!matches("https://app-*-team.vercel.app", "https://app--team.vercel.app"));
    }

    #[test]
    fn a_network_may_be_one_address() {
        assert!(network("127.0.0.1").unwrap().contains(&network("127.0.0.1/32").unwrap()));
        assert!(network("fd00::/8").is_ok());
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0", "10.0.0.1:80"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
