//! What a service key may do.

use std::collections::BTreeSet;
use std::fmt;

use strum::VariantNames;

/// One permission.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[strum(parse_err_ty = UnknownScope, parse_err_fn = unknown_scope)]
pub enum Scope {
    /// Look users up and list them, with everything about them.
    #[strum(serialize = "users:read")]
    UsersRead,
    /// Read the events about changed users.
    #[strum(serialize = "events:read")]
    EventsRead,
    /// Everything.
    #[strum(serialize = "admin")]
    Admin,
}

/// A string that names no scope.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope; the scopes are {}", Scope::VARIANTS.join(", "))]
pub struct UnknownScope;

fn unknown_scope(_: &str) -> UnknownScope {
    UnknownScope
}

impl Scope {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A scope as a type, for whatever requires it.
pub trait RequiredScope {
    /// The scope that is required.
    const SCOPE: Scope;
}

/// The type for [`Scope::UsersRead`].
#[derive(Clone, Copy, Debug)]
pub enum UsersRead {}

impl RequiredScope for UsersRead {
    const SCOPE: Scope = Scope::UsersRead;
}

/// The type for [`Scope::Admin`].
#[derive(Clone, Copy, Debug)]
pub enum Admin {}

impl RequiredScope for Admin {
    const SCOPE: Scope = Scope::Admin;
}

/// The type for [`Scope::EventsRead`].
#[derive(Clone, Copy, Debug)]
pub enum EventsRead {}

impl RequiredScope for EventsRead {
    const SCOPE: Scope = Scope::EventsRead;
}

/// The permissions of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scopes {
    /// Reads names with spaces between them. An unknown name permits nothing: a later version may have
    /// written it.
    pub fn parse(names: &str) -> Self {
        names.split_whitespace().filter_map(|name| name.parse().ok()).collect()
    }

    /// Whether they permit what requires this scope.
    pub fn include(&self, scope: Scope) -> bool {
        self.0.contains(&scope) || self.0.contains(&Scope::Admin)
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<T: IntoIterator<Item = Scope>>(scopes: T) -> Self {
        Self(scopes.into_iter().collect())
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Scope, Scopes, UnknownScope};

    #[test]
    fn scopes_are_read_as_they_are_written_and_unknown_ones_permit_nothing() {
        let all: Scopes = [Scope::Admin, Scope::EventsRead, Scope::UsersRead].into_iter().collect();
        assert_eq!(all.to_string(), "users:read events:read admin");
        assert_eq!(Scopes::parse("users:read events:read admin"), all);
        assert_eq!(Scopes::parse("users:write"), Scopes::default());
        assert_eq!("users".parse::<Scope>(), Err(UnknownScope));
        assert_eq!(UnknownScope.to_string(), "unknown scope; the scopes are users:read, events:read, admin");
    }

    #[test]
    fn admin_includes_the_others_and_no_other_scope_includes_one() {
        for scope in [Scope::UsersRead, Scope::EventsRead, Scope::Admin] {
            assert!(Scopes::parse("admin").include(scope), "{scope}");
            assert!(!Scopes::default().include(scope), "{scope}");
        }
        assert!(!Scopes::parse("users:read").include(Scope::Admin));
        assert!(!Scopes::parse("users:read").include(Scope::EventsRead));
        assert!(!Scopes::parse("events:read").include(Scope::UsersRead));
    }
}
