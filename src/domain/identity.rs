//! The claims of a verified token about its user, under the names that apps know.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use super::{Facts, Field, Kind, Timestamp};

/// The longest dotted key of a flattened claim, in bytes. An object below a longer key stays as it is.
///
/// This bounds the depth too, because every level adds at least a dot. Both together bound the size of the
/// result: otherwise a long key above many values would be repeated for each of them.
const MAX_PATH_BYTES: usize = 256;

/// Claims about the token, not about its user; `iss` and `sub` are shown as `issuer` and `subject`.
const NOT_SHOWN: [&str; 7] = ["aud", "exp", "nbf", "iat", "jti", "iss", "sub"];

/// The names that every identity has, even if a custom claim has the same name.
const ALWAYS: [&str; 3] = ["tokenIdentifier", "subject", "issuer"];

/// The OpenID claims that have a type, beside those that set a [`Field`]: the claim, its name in an identity, and how
/// it is read.
const TYPED: [(&str, &str, ReadClaim); 9] = [
    ("preferred_username", "preferredUsername", string),
    ("profile", "profileUrl", string),
    ("website", "websiteUrl", string),
    ("gender", "gender", string),
    ("birthdate", "birthday", string),
    ("zoneinfo", "timezone", string),
    ("locale", "language", string),
    ("address", "address", formatted),
    ("updated_at", "updatedAt", time),
];

/// Reads a claim of a known type; `None` for a value of another type, which is then left out.
type ReadClaim = fn(&Value) -> Option<Value>;

/// The two types of token rule; they differ in how claims are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenKind {
    /// OpenID claims are renamed and typed, all others keep their name and JSON type.
    Oidc,
    /// Nothing is renamed; nested objects become dotted keys (`properties.id`).
    CustomJwt,
}

/// A verified token's identity. Serialises to one flat JSON object:
/// `{"tokenIdentifier":"iss|sub","subject":…,"issuer":…,…}`.
///
/// Its `Debug` shows the token identifier alone: profiles do not belong in a log.
#[derive(Clone, PartialEq)]
pub struct Identity {
    kind: TokenKind,
    issuer: String,
    subject: String,
    fields: Map<String, Value>,
}

impl Identity {
    /// From the claims of a token that has been verified; `None` unless `iss` and `sub` are strings and not
    /// empty.
    pub fn from_claims(claims: &Map<String, Value>, kind: TokenKind) -> Option<Self> {
        let required = |name| claims.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (issuer, subject) = (required("iss")?.to_owned(), required("sub")?.to_owned());
        let mut fields = match kind {
            TokenKind::Oidc => renamed(claims),
            TokenKind::CustomJwt => flattened(claims),
        };
        let token_identifier = format!("{issuer}|{subject}");
        for (name, value) in ALWAYS.into_iter().zip([&token_identifier, &subject, &issuer]) {
            fields.insert(name.to_owned(), Value::from(value.as_str()));
        }
        Some(Self { kind, issuer, subject, fields })
    }

    /// `iss`, as in the token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// `sub`: the user's id at the provider.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// `iss|sub`, as in the token: unique over all providers.
    pub fn token_identifier(&self) -> String {
        format!("{}|{}", self.issuer, self.subject)
    }

    /// The facts about the user's profile in the claims.
    ///
    /// A token without profile claims still shows that the user exists: then the only fact is a null name.
    pub fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        for field in Field::ALL {
            if let Some(value) = self.fact(*field) {
                // What is read is of the field's type.
                facts.set(*field, value).unwrap_or_default();
            }
        }
        facts.or_null_name()
    }

    /// The value of a field in the claims.
    fn fact(&self, field: Field) -> Option<Value> {
        let shown = match self.kind {
            TokenKind::Oidc => field.name(),
            TokenKind::CustomJwt => field.claim()?,
        };
        reader(field.kind())(self.fields.get(shown)?)
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Identity").field(&self.token_identifier()).finish()
    }
}

impl Serialize for Identity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.fields.serialize(serializer)
    }
}

/// Every OpenID claim that has a type.
fn typed_claims() -> impl Iterator<Item = (&'static str, &'static str, ReadClaim)> {
    let of_field = |field: &Field| Some((field.claim()?, field.name(), reader(field.kind())));
    Field::ALL.iter().filter_map(of_field).chain(TYPED)
}

/// How a claim that sets a field is read.
fn reader(kind: Kind) -> ReadClaim {
    match kind {
        Kind::Text => string,
        Kind::Flag => boolean,
        Kind::Json => |value| Some(value.clone()),
    }
}

/// The fields of an oidc token: every claim that is no typed name as it is, then the typed ones.
fn renamed(claims: &Map<String, Value>) -> Map<String, Value> {
    let is_typed = |name: &str| typed_claims().any(|(claim, shown, _)| name == claim || name == shown);
    let custom = claims.iter().filter(|(name, _)| !NOT_SHOWN.contains(&name.as_str()) && !is_typed(name));
    let typed = typed_claims().filter_map(|(claim, shown, read)| Some((shown, read(claims.get(claim)?)?)));

    let mut fields: Map<_, _> = custom.map(|(name, value)| (name.clone(), value.clone())).collect();
    fields.extend(typed.map(|(shown, value)| (shown.to_owned(), value)));
    fields
}

/// The fields of a customJwt token; a claim written with dots wins over an object that flattens to the same
/// key.
fn flattened(claims: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = Map::new();
    for (name, value) in claims.iter().filter(|(name, _)| !NOT_SHOWN.contains(&name.as_str())) {
        match value {
            Value::Object(object) if name.len() < MAX_PATH_BYTES => flatten(name, object, &mut fields),
            other => _ = fields.insert(name.clone(), other.clone()),
        }
    }
    fields
}

fn flatten(path: &str, object: &Map<String, Value>, fields: &mut Map<String, Value>) {
    for (name, value) in object {
        let path = format!("{path}.{name}");
        match value {
            Value::Object(inner) if path.len() < MAX_PATH_BYTES => flatten(&path, inner, fields),
            other => _ = fields.entry(path).or_insert_with(|| other.clone()),
        }
    }
}

fn string(value: &Value) -> Option<Value> {
    value.is_string().then(|| value.clone())
}

/// Some providers write booleans as strings.
fn boolean(value: &Value) -> Option<Value> {
    match value {
        Value::Bool(truth) => Some(Value::Bool(*truth)),
        Value::String(string) => string.parse().ok().map(Value::Bool),
        _ => None,
    }
}

fn time(value: &Value) -> Option<Value> {
    Timestamp::from_json(value).map(|time| Value::from(time.to_string()))
}

fn formatted(address: &Value) -> Option<Value> {
    string(address.get("formatted")?)
}

#[cfg(test)]
mod tests;
