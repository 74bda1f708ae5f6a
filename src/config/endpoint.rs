//! `[[endpoints]]` and `[events]`: the events about changed users, and where they are sent.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use secrecy::SecretString;
use strum::VariantArray as _;
use url::{Host, Url};

use super::address::is_permitted;
use super::error::{ValueError, fault};
use super::key::Shape;
use super::secret;
use super::settings::{Kind, Located, NonEmptyList, choices, parsed, settings};
use super::slot::Slot;
use super::source::Source;
use super::units::Positive;
use crate::domain::EventKind;

settings! {
    /// `[events]`
    #[derive(Clone, Debug)]
    pub struct Events {
        /// How long events are kept, for readers of `GET /v1/events` and for endpoints that do not answer.
        ///
        /// Events have no personal data. A reader that comes later has to list the users instead.
        pub retention: Duration as Positive = Duration::from_hours(30 * 24),
    }
}

settings! {
    /// The keys of an endpoint.
    struct EndpointKeys {
        /// Its name in commands, metrics and logs.
        ///
        /// `a-z`, `0-9`, `_`, `-`; at most 63 characters; unique. Under another name it is a new endpoint.
        #[required = "write one, such as \"app\""]
        name: Option<String> as Option<Name>,
        /// The URL that events are sent to by POST.
        ///
        /// `https://`; `http://` only to this machine, or with `[tokens] allow_http`. Redirects are not followed, and
        /// no proxy is used. Link-local addresses and those of cloud metadata are refused, also after a name is
        /// resolved.
        #[required = "write the address that events are sent to"]
        #[example = "\"https://app.example.com/hooks/users\""]
        url: Option<Url> as Option<EndpointUrl>,
        /// The secrets that events are signed with, `whsec_…`. All of them sign: that is how one is rotated.
        ///
        /// `usersync endpoints list` does not show them. Make one with `echo whsec_$(openssl rand -base64 32)`.
        #[required = "write one, such as \"env:APP_WEBHOOK_SECRET\": events are signed with it"]
        secrets: Vec<Located<SecretString>>,
        /// Which events are sent: `user.created`, `user.updated`, `user.deleted`.
        events: Vec<EventKind> as NonEmptyList<EventKind> = EventKind::VARIANTS.to_vec(),
        /// Only events of users of these sources are sent. By default of all.
        #[example = "[\"clerk\"]"]
        sources: Vec<String> as NonEmptyList<String>,
    }
}

/// A URL of an app that events are sent to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// The name in commands, metrics and logs.
    pub name: String,
    /// Where events are sent.
    pub url: Url,
    /// The secrets that sign each event; at least one, `whsec_…`.
    pub secrets: Vec<SecretString>,
    /// The kinds of events that are sent.
    pub events: Vec<EventKind>,
    /// The sources whose events are sent; all of them if the list is empty.
    pub sources: Vec<String>,
}

impl Endpoint {
    /// Where events are sent, for people: scheme and host, because path and query may contain a secret of the app.
    pub fn origin(&self) -> String {
        self.url.origin().ascii_serialization()
    }
}

choices!(
    EventKind, "an event",
    "user.created" => Self::Created, "user.updated" => Self::Updated, "user.deleted" => Self::Deleted,
);

/// Every endpoint that could be read; the others, and names used twice, are reported.
pub(super) struct Endpoints;

impl Kind for Endpoints {
    type Value = Vec<Endpoint>;
    const SHAPE: Shape = Shape::List(&EndpointKeys::SHAPE);

    fn read(slot: &Slot<'_>) -> Option<Vec<Endpoint>> {
        let mut first_of_name = BTreeMap::new();
        let mut endpoints = Vec::new();
        for slot in slot.elements() {
            let name = slot.key("name");
            if let Some(text) = name.raw_text() {
                if let Some(first) = first_of_name.get(text) {
                    let remedy = "give each endpoint its own name";
                    name.refuse(fault(format!("`{text}` is already {first}"), remedy));
                } else {
                    first_of_name.insert(text, name.path().to_owned());
                }
            }
            endpoints.extend(read(&slot));
        }
        Some(endpoints)
    }
}

fn read(slot: &Slot<'_>) -> Option<Endpoint> {
    let EndpointKeys { name, url, secrets, events, sources } = EndpointKeys::read(slot)?;
    let label = name.clone().unwrap_or_default();
    let key = slot.key("secrets");
    if key.is_empty_list() {
        key.refuse(fault("is an empty list, so nothing could be signed", "write one secret at least"));
    }
    let secrets = secrets.into_iter().filter_map(|Located { path, value }| {
        let secret = secret::of_endpoint(value, &label);
        secret.map_err(|fault| slot.context.problems.add(path, fault)).ok()
    });
    Some(Endpoint { secrets: secrets.collect(), name: name?, url: url?, events, sources })
}

/// Reports sources of endpoints that are not configured.
pub(super) fn check_sources(root: &Slot<'_>, sources: &[Source]) {
    for slot in
        root.key("endpoints").elements().flat_map(|it| it.key("sources").elements().collect::<Vec<_>>())
    {
        let Some(name) = slot.raw_text() else { continue };
        if !sources.iter().any(|source| source.name == name) {
            let known: Vec<&str> = sources.iter().map(|source| source.name.as_str()).collect();
            let remedy = match known.as_slice() {
                [] => "configure it under [[sources]]".to_owned(),
                known => format!("the sources are {}", known.join(", ")),
            };
            slot.refuse(fault(format!("`{name}` is not a configured source"), remedy));
        }
    }
}

/// An endpoint's name.
struct Name;

parsed!(Name as String, Text, endpoint_name, |name: &String| format!("{name:?}"));

fn endpoint_name(text: &str) -> Result<String, ValueError> {
    let fits = |letter: u8| matches!(letter, b'a'..=b'z' | b'0'..=b'9');
    let starts_well = text.bytes().next().is_some_and(fits);
    if starts_well && text.len() <= 63 && text.bytes().all(|letter| fits(letter) || b"_-".contains(&letter)) {
        return Ok(text.to_owned());
    }
    let remedy = "use a-z, 0-9, _ and -, beginning with a letter or digit, 63 at most";
    Err(fault(format!("`{text}` is not a name for an endpoint"), remedy))
}

/// An address that events may be sent to.
struct EndpointUrl;

impl Kind for EndpointUrl {
    type Value = Url;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Url> {
        slot.parse(|text| endpoint_url(text, slot.context.allow_http))
    }
}

fn endpoint_url(text: &str, allow_http: bool) -> Result<Url, ValueError> {
    const SUCH_AS: &str = "write one such as \"https://app.example.com/hooks/users\"";
    let url = Url::parse(text).map_err(|error| fault(format!("is not a URL: {error}"), SUCH_AS))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(fault(
            "holds a user name or password",
            "leave out what is before the @: events are signed",
        ));
    }
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(fault(format!("uses {}:, which events are not sent by", url.scheme()), SUCH_AS));
    }
    if !is_permitted(&url, allow_http) {
        let remedy =
            "write https://, or set allow_http = true under [tokens] for an app in a private network";
        return Err(fault("uses http://, so anyone on the network path could read the users", remedy));
    }
    let literal = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) | None => None,
    };
    if literal.is_some_and(is_refused_address) {
        return Err(fault("is an address that nothing is ever sent to", REFUSED));
    }
    Ok(url)
}

const REFUSED: &str =
    "write the address of your app: link-local, multicast and cloud metadata addresses are refused";

/// Addresses of cloud metadata that are not link-local: Alibaba, Oracle, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];
/// The same of IPv6: AWS, Google.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

/// Whether nothing is ever sent to an address: link-local, cloud metadata, and what is not the address of one machine.
/// Private addresses are fine: the operator wrote the URL.
pub fn is_refused_address(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_refused_v4(address),
        IpAddr::V6(address) => {
            embedded(address).is_some_and(is_refused_v4)
                || address.is_unspecified()
                || address.is_multicast()
                || address.is_unicast_link_local()
                || METADATA_V6.contains(&address)
        }
    }
}

fn is_refused_v4(address: Ipv4Addr) -> bool {
    address.is_link_local()
        || address.octets()[0] == 0
        || address.is_multicast()
        || address.is_broadcast()
        || METADATA_V4.contains(&address)
}

/// The IPv4 address within an IPv6 address: mapped, compatible, NAT64 or 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let [prefix @ .., high, low] = address.segments();
    let of = |high: u16, low: u16| {
        let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
        Ipv4Addr::new(one, two, three, four)
    };
    match prefix {
        // Neither :: nor ::1, which are addresses of their own.
        [0, 0, 0, 0, 0, 0] if high != 0 => Some(of(high, low)),
        [0, 0, 0, 0, 0, 0xffff] | [0, 0, 0, 0, 0xffff, 0] | [0x64, 0xff9b, 0 | 1, ..] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{endpoint_url, is_refused_address};

    #[test]
    fn metadata_and_link_local_addresses_are_refused_in_every_notation() {
        for refused in [
            "169.254.169.254",
            "169.254.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
            "0.0.0.0",
            "0.1.2.3",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "fe80::1",
            "ff02::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "2002:a9fe:a9fe::1",
        ] {
            assert!(is_refused_address(refused.parse().unwrap()), "{refused}");
        }
        for allowed in [
            "10.0.0.1",
            "192.168.1.1",
            "127.0.0.1",
            "::1",
            "203.0.113.7",
            "fd00::1",
            "2001:db8::1",
            "::ffff:10.0.0.1",
        ] {
            assert!(!is_refused_address(allowed.parse().unwrap()), "{allowed}");
        }
    }

    #[test]
    fn an_endpoint_is_an_https_url_or_on_this_machine() {
        for (url, alone, with_http) in [
            ("https://app.example.com/hooks?a=b", true, true),
            ("https://10.0.0.7:8443/", true, true),
            ("http://localhost:3000/hooks", true, true),
            ("http://127.0.0.1:3000", true, true),
            ("http://[::1]:3000", true, true),
            ("http://app.example.com/", false, true),
            ("http://10.0.0.7/", false, true),
            ("https://169.254.169.254/latest", false, false),
            // Other notations of the same address.
            ("https://2852039166/", false, false),
            ("https://0xa9.0xfe.0xa9.0xfe/", false, false),
            ("https://[::ffff:169.254.169.254]/", false, false),
            ("https://user:password@app.example.com/", false, false),
            ("ftp://app.example.com/", false, false),
            ("mailto:app@example.com", false, false),
            ("app.example.com", false, false),
            ("", false, false),
        ] {
            let is_fine = [false, true].map(|allow_http| endpoint_url(url, allow_http).is_ok());
            assert_eq!(is_fine, [alone, with_http], "{url}");
        }
    }
}
