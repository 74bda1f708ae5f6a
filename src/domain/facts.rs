//! The facts of a change about a user, field by field.

use std::collections::BTreeMap;
use std::collections::btree_map;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{Field, number};

/// A value that its field cannot have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImpossibleValue {
    /// It has the wrong type.
    #[error("`{}` cannot be {found}", .field.name())]
    Type {
        /// The field.
        field: Field,
        /// What was found.
        found: &'static str,
    },
    /// It is nested too deep to be read again from where it is stored.
    #[error("`{}` is nested deeper than {} levels", .field.name(), DEEPEST)]
    TooDeep {
        /// The field.
        field: Field,
    },
    /// Some number in it cannot be stored.
    #[error("`{}` contains a number with more digits than PostgreSQL can store", .field.name())]
    TooManyDigits {
        /// The field.
        field: Field,
    },
}

/// How deep a value may be nested: `serde_json` reads no more than 127 levels, and a record, an event or an answer adds
/// some around it.
const DEEPEST: usize = 100;

/// How many zeros the numbers of one value may gain by being written without an exponent. Otherwise a few bytes such as
/// `1e100000`, repeated, would become a value of gigabytes.
const MOST_ADDED_DIGITS: usize = 1 << 20;

/// The fields that one change carries. An absent field leaves the value unchanged; an explicit null is a value.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<Field, Value>);

impl Facts {
    /// Adds a fact. An explicit null is one, too.
    ///
    /// The value is kept as both databases can store it: U+0000, which means nothing in a profile, is taken out, and
    /// numbers are written without an exponent.
    pub fn set(&mut self, field: Field, value: Value) -> Result<(), ImpossibleValue> {
        if !field.takes(&value) {
            return Err(ImpossibleValue::Type { field, found: type_name(&value) });
        }
        if is_deeper_than(&value, DEEPEST) {
            return Err(ImpossibleValue::TooDeep { field });
        }
        let mut remaining_digits = MOST_ADDED_DIGITS;
        let value = storable(value, &mut remaining_digits).ok_or(ImpossibleValue::TooManyDigits { field })?;
        self.0.insert(field, value);
        Ok(())
    }

    /// Only the fields that are pure ASCII, for a database whose encoding lacks some of their characters.
    #[must_use]
    pub fn into_ascii(mut self) -> Self {
        self.0.retain(|_, value| value.to_string().is_ascii());
        self
    }

    /// With a null name if there are no facts: a user without known fields exists, too.
    #[must_use]
    pub fn or_null_name(mut self) -> Self {
        if self.0.is_empty() {
            self.0.insert(Field::Name, Value::Null);
        }
        self
    }

    /// Whether there are no facts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Orders two changes of the same stamp by their content, never by when they arrived.
    pub(super) fn digest(&self) -> u64 {
        // serde_json keeps object keys sorted, so equal facts are equal bytes; a test holds it to that.
        let text = serde_json::to_vec(&self.0).unwrap_or_default();
        let hash = Sha256::digest(text);
        hash.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
    }
}

impl IntoIterator for Facts {
    type Item = (Field, Value);
    type IntoIter = btree_map::IntoIter<Field, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn is_deeper_than(value: &Value, levels: usize) -> bool {
    let is_deeper = |inner: &Value| is_deeper_than(inner, levels - 1);
    match value {
        Value::Array(items) => levels == 0 || items.iter().any(is_deeper),
        Value::Object(entries) => levels == 0 || entries.values().any(is_deeper),
        _ => false,
    }
}

/// The value as both databases can store it; `None` if its numbers have too many digits.
fn storable(value: Value, remaining_digits: &mut usize) -> Option<Value> {
    Some(match value {
        Value::Number(number) => {
            let plain = number::plain(&number)?;
            let added = plain.as_str().len().saturating_sub(number.as_str().len());
            *remaining_digits = remaining_digits.checked_sub(added)?;
            Value::Number(plain)
        }
        Value::String(text) => Value::String(without_nul(text)),
        Value::Array(items) => {
            items.into_iter().map(|item| storable(item, remaining_digits)).collect::<Option<Value>>()?
        }
        Value::Object(entries) => {
            let entry =
                |(key, value): (String, Value)| Some((storable_key(key), storable(value, remaining_digits)?));
            entries.into_iter().map(entry).collect::<Option<Value>>()?
        }
        other => other,
    })
}

/// `serde_json` reads an object with this key as a number.
const NUMBER_TO_SERDE_JSON: &str = "$serde_json::private::Number";

fn storable_key(key: String) -> String {
    let key = without_nul(key);
    if key == NUMBER_TO_SERDE_JSON { key.replace('$', "") } else { key }
}

fn without_nul(text: String) -> String {
    if text.contains('\0') { text.replace('\0', "") } else { text }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Facts;
    use crate::domain::Field;

    #[test]
    fn a_field_takes_its_own_type_and_null_and_nothing_else() {
        let mut facts = Facts::default();
        assert_eq!(facts.set(Field::Email, json!("ada@example.com")), Ok(()));
        assert_eq!(facts.set(Field::Email, json!(null)), Ok(()));
        assert_eq!(facts.set(Field::EmailVerified, json!(true)), Ok(()));
        assert_eq!(facts.set(Field::Metadata, json!([1, {"a": null}])), Ok(()));
        let refused = facts.set(Field::GivenName, json!(7)).unwrap_err();
        assert_eq!(refused.to_string(), "`givenName` cannot be a number");
        let refused = facts.set(Field::Email, json!(7)).unwrap_err();
        assert_eq!(refused.to_string(), "`email` cannot be a number");
        assert!(facts.set(Field::PhoneNumberVerified, json!("yes")).is_err());
    }

    #[test]
    fn the_digest_knows_what_is_said_and_not_the_order_of_keys() {
        let facts = |metadata: &str| {
            let mut facts = Facts::default();
            facts.set(Field::Metadata, serde_json::from_str(metadata).unwrap()).unwrap();
            facts
        };
        assert_eq!(facts(r#"{"a":1,"b":2}"#).digest(), facts(r#"{"b":2,"a":1}"#).digest());
        assert_ne!(facts(r#"{"a":1}"#).digest(), facts(r#"{"a":2}"#).digest());
    }

    #[test]
    fn numbers_keep_every_digit_and_too_long_ones_are_refused() {
        let set = |metadata: &str| {
            let mut facts = Facts::default();
            facts.set(Field::Metadata, serde_json::from_str(metadata).unwrap()).map(|()| facts)
        };
        let kept = set(r#"{"v":[12.917521550408111,8.39110794650462e-14,12345678901234567890123]}"#).unwrap();
        let text = kept.into_iter().next().unwrap().1.to_string();
        let expected = r#"{"v":[12.917521550408111,0.0000000000000839110794650462,12345678901234567890123]}"#;
        assert_eq!(text, expected);
        for refused in [r#"{"v":[1e131072]}"#.to_owned(), format!("[{}1]", "1e131000,".repeat(9))] {
            let error = set(&refused).unwrap_err();
            assert_eq!(
                error.to_string(),
                "`metadata` contains a number with more digits than PostgreSQL can store"
            );
        }
    }

    #[test]
    fn what_is_nested_too_deep_to_be_read_again_is_refused() {
        let nested = |levels: usize| {
            let text = format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
            Facts::default().set(Field::Metadata, serde_json::from_str(&text).unwrap())
        };
        assert_eq!(nested(super::DEEPEST), Ok(()));
        let error = nested(super::DEEPEST + 1).unwrap_err();
        assert_eq!(error.to_string(), "`metadata` is nested deeper than 100 levels");
    }

    #[test]
    fn an_object_that_serde_json_would_take_for_a_number_stays_an_object() {
        let mut facts = Facts::default();
        let key = super::NUMBER_TO_SERDE_JSON.to_owned();
        let object = serde_json::Map::from_iter([(key, json!("1"))]);
        facts.set(Field::Metadata, object.into()).unwrap();
        let value = facts.into_iter().next().unwrap().1;
        let read_again: serde_json::Value = serde_json::from_str(&value.to_string()).unwrap();
        assert_eq!(read_again, json!({"serde_json::private::Number": "1"}));
    }

    #[test]
    fn into_ascii_leaves_out_each_field_with_another_character_however_deep() {
        let mut facts = Facts::default();
        for (field, value) in [
            (Field::Name, json!("Łukasz")),
            (Field::Email, json!("lukasz@example.com")),
            (Field::EmailVerified, json!(true)),
            (Field::Metadata, json!({"a": [{"é": 1}]})),
        ] {
            facts.set(field, value).unwrap();
        }
        let kept = facts.into_ascii();
        let fields: Vec<Field> = kept.into_iter().map(|(field, _)| field).collect();
        assert_eq!(fields, [Field::Email, Field::EmailVerified]);
        let mut facts = Facts::default();
        facts.set(Field::Name, json!("Łukasz")).unwrap();
        let kept: Vec<_> = facts.into_ascii().or_null_name().into_iter().collect();
        assert_eq!(kept, [(Field::Name, json!(null))]);
    }

    #[test]
    fn nul_is_taken_out_of_text_however_deep() {
        let mut facts = Facts::default();
        facts.set(Field::Metadata, json!({"a\0": ["x\0y"]})).unwrap();
        assert_eq!(facts.into_iter().next().unwrap().1, json!({"a": ["xy"]}));
    }
}
