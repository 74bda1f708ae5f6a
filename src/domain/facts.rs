//! What a change says about a user, field by field.

use std::collections::BTreeMap;
use std::collections::btree_map;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Field;

/// A value of a type that its field cannot have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{}` cannot be {found}", field.name())]
pub struct ImpossibleType {
    field: Field,
    found: &'static str,
}

/// The fields that one change carries. A field that is absent is not spoken of; an explicit null is a fact.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts(BTreeMap<Field, Value>);

impl Facts {
    /// Adds a fact. An explicit null is one, too.
    ///
    /// U+0000 is taken out: it means nothing in a profile, and PostgreSQL cannot store it.
    pub fn set(&mut self, field: Field, value: Value) -> Result<(), ImpossibleType> {
        if !field.takes(&value) {
            return Err(ImpossibleType { field, found: type_name(&value) });
        }
        self.0.insert(field, without_nul(value));
        Ok(())
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Tells two changes of the same stamp apart by what they say, never by when they arrived.
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

fn without_nul(value: Value) -> Value {
    let clean = |text: String| if text.contains('\0') { text.replace('\0', "") } else { text };
    match value {
        Value::String(text) => Value::String(clean(text)),
        Value::Array(items) => items.into_iter().map(without_nul).collect(),
        Value::Object(entries) => {
            entries.into_iter().map(|(key, value)| (clean(key), without_nul(value))).collect()
        }
        other => other,
    }
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
    fn nul_is_taken_out_of_text_however_deep() {
        let mut facts = Facts::default();
        facts.set(Field::Metadata, json!({"a\0": ["x\0y"]})).unwrap();
        assert_eq!(facts.into_iter().next().unwrap().1, json!({"a": ["xy"]}));
    }
}
