//! Finding a value in JSON that is nested too deep to be read.

use std::fmt;

use serde::Deserialize as _;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

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
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::value_at;

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}", escape in "(\\\\(u[0-9a-fD]{0,5})?){0,5}") {
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
