//! Reading JSON that is valid by its grammar, but that a strict reader refuses.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The document with U+FFFD in the place of every escape that is half of a surrogate pair; `None` if it has none.
///
/// JSON's grammar allows such an escape (RFC 8259, section 8.2), and senders write one where they cut a string within
/// an emoji. A Unicode string cannot hold it.
pub(super) fn without_half_surrogates(json: &str) -> Option<String> {
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

/// The value at a JSON pointer, found without reading the rest: that may be nested too deep to be read.
pub(super) fn value_at(json: &str, pointer: &str) -> Option<Value> {
    let segments: Vec<String> =
        pointer.split('/').skip(1).map(|segment| segment.replace("~1", "/").replace("~0", "~")).collect();
    At(&segments).deserialize(&mut serde_json::Deserializer::from_str(json)).ok()?
}

/// Where to look: the keys and indexes that are left of the pointer.
struct At<'a>(&'a [String]);

impl<'de> DeserializeSeed<'de> for At<'_> {
    type Value = Option<Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Value>, D::Error> {
        match self.0.split_first() {
            None => Value::deserialize(deserializer).map(Some),
            Some((key, rest)) => deserializer.deserialize_any(Inside { key, rest }),
        }
    }
}

/// An object or a list, in which one member leads further.
struct Inside<'a> {
    key: &'a str,
    rest: &'a [String],
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = Option<Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Option<Value>, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<String>()? {
            // Of a repeated key the last one counts, as everywhere.
            if key == self.key {
                found = members.next_value_seed(At(self.rest))?;
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Option<Value>, A::Error> {
        let wanted: Option<usize> = self.key.parse().ok();
        let mut found = None;
        for index in 0.. {
            let next = if Some(index) == wanted {
                let element = elements.next_element_seed(At(self.rest))?;
                element.map(|element| found = element)
            } else {
                elements.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if next.is_none() {
                break;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{value_at, without_half_surrogates};

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
            value_at(&text, &escape);
        }
    }

    #[test]
    fn a_value_is_found_as_by_a_pointer_also_beside_what_is_nested_too_deep() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let json = format!(r#"{{"deep":{deep},"a/b":[{deep},{{"id":7}}],"id":"first","id":"last"}}"#);
        for (pointer, expected) in [
            ("/id", Some(json!("last"))),
            ("/a~1b/1/id", Some(json!(7))),
            ("/a~1b/2/id", None),
            ("/a~1b/x", None),
            ("/missing", None),
            ("/id/inside", None),
            ("/deep", None),
        ] {
            assert_eq!(value_at(&json, pointer), expected, "{pointer}");
        }
        assert_eq!(value_at("7", ""), Some(Value::from(7)));
        assert_eq!(value_at("not JSON", "/id"), None);
    }
}
