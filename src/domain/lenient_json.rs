//! JSON with half of a surrogate pair in it, which its grammar allows and a strict reader refuses.

use serde::de::DeserializeOwned;

/// Reads JSON; half of a surrogate pair becomes U+FFFD.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(json).or_else(|error| {
        let repaired = std::str::from_utf8(json).ok().and_then(without_half_surrogates);
        serde_json::from_str(&repaired.ok_or(error)?)
    })
}

/// The document with U+FFFD in the place of every escape that is half of a surrogate pair; `None` if it has none.
///
/// JSON's grammar allows such an escape (RFC 8259, section 8.2), and senders write one where they cut a string within
/// an emoji. A Unicode string cannot hold it.
pub fn without_half_surrogates(json: &str) -> Option<String> {
    let mut repaired = String::new();
    let mut is_changed = false;
    let mut rest = json;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let (length, replacement) = match (utf16_unit(escape), escape.get(6..).and_then(utf16_unit)) {
            (Some(0xD800..=0xDBFF), Some(0xDC00..=0xDFFF)) => (12, None),
            (Some(0xD800..=0xDFFF), _) => (6, Some("\\ufffd")),
            // An escaped backslash begins no other escape.
            _ => (escape.chars().take(2).map(char::len_utf8).sum(), None),
        };
        let (escape, after) = escape.split_at(length);
        repaired.push_str(replacement.unwrap_or(escape));
        is_changed |= replacement.is_some();
        rest = after;
    }
    repaired.push_str(rest);
    is_changed.then_some(repaired)
}

/// The unit of UTF-16 that the text begins with, if it begins with an escape such as `\ud83d`.
fn utf16_unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    let is_hexadecimal = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    u16::from_str_radix(digits, 16).ok().filter(|_| is_hexadecimal)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    use super::{from_slice, without_half_surrogates};

    fn repaired(json: &str) -> String {
        let document = without_half_surrogates(json);
        serde_json::from_str(document.as_deref().unwrap_or(json)).unwrap()
    }

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character_and_a_whole_one_stays() {
        for (json, expected) in [
            (r#""Lovelace \ud83d""#, "Lovelace \u{fffd}"),
            (r#""\uD83D\ude00""#, "😀"),
            (r#""\ude00\ud83d""#, "\u{fffd}\u{fffd}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}😀"),
            (r#""\\ud83d \\\ud83d""#, "\\ud83d \\\u{fffd}"),
            (r#""\ud83d\n""#, "\u{fffd}\n"),
        ] {
            assert_eq!(repaired(json), expected, "{json}");
        }
        for json in [r#""plain""#, r#""\\ud83d""#, r#""\ud83d\ude00""#, "", "\\", "\\é", r"\u+d83", r"\ud8"]
        {
            assert_eq!(without_half_surrogates(json), None, "{json}");
        }
    }

    proptest! {
        #[test]
        fn any_units_of_utf16_are_read_as_the_standard_library_reads_them(
            units in vec(prop_oneof![any::<u16>(), 0xD800..0xE000_u16, 0x20..0x7F_u16], 0..12)
        ) {
            let escapes: Vec<String> = units.iter().map(|unit| format!("\\u{unit:04x}")).collect();
            prop_assert_eq!(repaired(&format!("\"{}\"", escapes.concat())), String::from_utf16_lossy(&units));
        }

        #[test]
        fn no_text_panics(text in ".{0,40}", escape in "(\\\\(u[0-9a-fD]{0,5})?){0,5}") {
            without_half_surrogates(&format!("{text}{escape}{text}"));
        }
    }

    #[test]
    fn what_is_no_json_stays_an_error() {
        assert_eq!(from_slice::<Value>(br#"["\ud83d"]"#).unwrap(), serde_json::json!(["\u{fffd}"]));
        for text in [&b"\xff\\ud83d"[..], b"[\"\\ud83d\"", b"", b"x"] {
            assert!(from_slice::<Value>(text).is_err());
        }
    }
}
