//! Who asks: the origins of web pages, and the networks of proxies.

use std::net::IpAddr;

use ipnet::IpNet;
use url::Url;

use super::error::{Fault, fault};
use super::key::Shape;
use super::settings::{Kind, parsed};
use super::slot::Slot;

/// Stands for every origin.
const ANY_ORIGIN: &str = "*";

/// A list of origins, in which the one that stands for all must be alone.
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

/// `https://app.example.com`, exactly as a browser sends it: it is compared letter by letter.
fn origin(text: &str) -> Result<String, Fault> {
    if text == ANY_ORIGIN {
        return Ok(text.to_owned());
    }
    let origin = Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
    match origin.map(|origin| origin.ascii_serialization()) {
        Some(right) if right == text => Ok(right),
        Some(right) => Err(fault("is not written as a browser sends it", format!("write \"{right}\""))),
        None => Err(fault("is not an origin", "write one such as \"https://app.example.com\"")),
    }
}

/// `10.0.0.0/8`, `fd00::/8`, or one address.
fn network(text: &str) -> Result<IpNet, Fault> {
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
    use super::{network, origin};

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
    fn a_network_may_be_one_address() {
        assert!(network("127.0.0.1").unwrap().contains(&network("127.0.0.1/32").unwrap()));
        assert!(network("fd00::/8").is_ok());
        for wrong in ["10.0.0.0/33", "proxy.example.com", "10.0", "10.0.0.1:80"] {
            assert!(network(wrong).is_err(), "{wrong}");
        }
    }
}
