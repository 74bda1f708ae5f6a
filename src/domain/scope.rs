//! What a service key may do.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

/// One permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `users:read`: look users up and list them, with everything about them.
    UsersRead,
    /// `admin`: everything.
    Admin,
}

/// The permissions of one key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes(BTreeSet<Scope>);

impl Scope {
    const ALL: [Self; 2] = [Self::UsersRead, Self::Admin];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UsersRead => "users:read",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.into_iter().find(|scope| scope.as_str() == name);
        known.ok_or_else(|| format!("the scopes are {}", Self::ALL.map(Self::as_str).join(", ")))
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Scopes {
    /// Names with blanks between them. What is no scope here permits nothing: a later version may have given
    /// it.
    pub fn parse(names: &str) -> Self {
        names.split_whitespace().filter_map(|name| name.parse().ok()).collect()
    }

    /// Whether they permit what needs this one.
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
    use super::{Scope, Scopes};

    #[test]
    fn scopes_are_read_as_they_are_written_and_strangers_permit_nothing() {
        let both: Scopes = [Scope::Admin, Scope::UsersRead].into_iter().collect();
        assert_eq!(both.to_string(), "users:read admin");
        assert_eq!(Scopes::parse("users:read admin"), both);
        assert_eq!(Scopes::parse("users:write"), Scopes::default());
        assert!("users".parse::<Scope>().unwrap_err().contains("users:read, admin"));
    }

    #[test]
    fn admin_includes_the_others_and_not_the_other_way_round() {
        assert!(Scopes::parse("admin").include(Scope::UsersRead));
        assert!(!Scopes::parse("users:read").include(Scope::Admin));
        assert!(!Scopes::default().include(Scope::UsersRead));
    }
}
