//! Where a customJwt rule's keys are: an address, or a `data:` URI that holds them.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use percent_encoding::percent_decode_str;
use serde_json::Value;
use url::Url;

use super::address;
use super::error::{ValueError, fault};
use super::key::Shape;
use super::settings::Kind;
use super::slot::Slot;

/// Where keys are.
#[derive(Clone, Debug)]
pub enum JwksLocation {
    /// To be fetched.
    Url(Url),
    /// Here: JSON with a list of `keys`, decoded from a `data:` URI.
    Inline(String),
}

impl Kind for JwksLocation {
    type Value = Self;
    const SHAPE: Shape = Shape::Text;

    fn read(slot: &Slot<'_>) -> Option<Self> {
        slot.parse(|text| location(text, slot.context.allow_http))
    }
}

/// Base64 with or without its padding: both are in use in `data:` URIs.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An address that may be fetched, or the key set in a `data:` URI (base64 or percent-encoded).
fn location(text: &str, allow_http: bool) -> Result<JwksLocation, ValueError> {
    match text.strip_prefix("data:") {
        Some(data) => inline(data).map(JwksLocation::Inline),
        None => address::parse_jwks(text, allow_http).map(JwksLocation::Url),
    }
}

fn inline(data: &str) -> Result<String, ValueError> {
    let wrong = |problem: &str| {
        fault(
            format!("is a data: URI that {problem}"),
            "write \"data:application/json;base64,\" and the base64 of {\"keys\":[…]}",
        )
    };
    let (media_type, content) = data.split_once(',').ok_or_else(|| wrong("has no comma"))?;
    let mut bytes: Vec<u8> = percent_decode_str(content).collect();
    if media_type.to_ascii_lowercase().ends_with(";base64") {
        bytes = BASE64.decode(bytes).map_err(|_| wrong("is not base64"))?;
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8"))?;
    let json: Value = serde_json::from_str(&text).map_err(|_| wrong("is not JSON"))?;
    if json.get("keys").is_some_and(Value::is_array) { Ok(text) } else { Err(wrong("has no list of `keys`")) }
}

#[cfg(test)]
mod tests {
    use super::{JwksLocation, location};

    #[test]
    fn a_data_uri_holds_the_keys_in_base64_or_percent_encoded() {
        for uri in [
            "data:application/json;base64,eyJrZXlzIjpbXX0=",
            "data:application/json;charset=utf-8;base64,eyJrZXlzIjpbXX0",
            "data:text/plain;base64,eyJrZXlzIjpbXX0%3D",
            "data:application/json,%7B%22keys%22%3A%5B%5D%7D",
            "data:,{\"keys\":[]}",
        ] {
            let location = location(uri, false).unwrap();
            assert!(matches!(&location, JwksLocation::Inline(json) if json == "{\"keys\":[]}"), "{uri}");
        }
    }

    #[test]
    fn a_data_uri_without_keys_is_refused() {
        for uri in [
            "data:application/json;base64",
            "data:application/json;base64,%%%",
            "data:application/json;base64,!!!!",
            "data:application/json;base64,/////w==",
            "data:,%7",
            "data:,%+1",
            "data:,nonsense",
            "data:,[]",
            "data:,{\"keys\":{}}",
        ] {
            assert!(location(uri, true).is_err(), "{uri}");
        }
    }

    #[test]
    fn an_address_of_keys_follows_the_rule_for_http() {
        assert!(matches!(location("https://a.example.com/jwks?p=x", false), Ok(JwksLocation::Url(_))));
        assert!(location("http://a.example.com/jwks", false).is_err());
        assert!(location("http://a.example.com/jwks", true).is_ok());
    }
}
