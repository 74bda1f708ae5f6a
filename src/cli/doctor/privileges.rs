//! Which other roles may access the tables, and whether this role may create them.

use std::collections::BTreeSet;

use super::Finding;
use crate::store::{Grant, Membership, Store, StoreError};

/// What other roles may do with our tables.
pub(super) async fn check(store: &Store) -> Result<Vec<Finding>, StoreError> {
    let mut findings: Vec<_> = store.grants().await?.iter().map(finding).collect();
    findings.extend(store.memberships().await?.iter().map(of_member));
    Ok(findings)
}

fn of_member(membership: &Membership) -> Finding {
    let Membership { role, member_of, grants } = membership;
    let privileges: BTreeSet<&str> =
        grants.iter().flat_map(|grant| &grant.privileges).map(String::as_str).collect();
    let privileges = privileges.into_iter().collect::<Vec<_>>().join(", ");
    let tables: Vec<&str> = grants.iter().map(|grant| &*grant.table).collect();
    Finding::warning(
        format!("the role {role}, a member of {member_of}, may {privileges} on {}", tables.join(", ")),
        "a user with this role can read or change personal data, deliveries or service keys without usersync",
        format!(
            "unless this is intended, for example for backups: REVOKE {} FROM {};",
            identifier(member_of),
            identifier(role)
        ),
    )
}

fn finding(grant: &Grant) -> Finding {
    let Grant { role, table, privileges } = grant;
    let privileges = privileges.join(", ");
    let what = format!("the role {role} may {privileges} on {table}");
    if !grant.is_too_much() {
        return Finding::ok(what);
    }
    let grantee = if role == "PUBLIC" { role.clone() } else { identifier(role) };
    Finding::error(
        what,
        "a user with this role can read or change personal data, deliveries or service keys without usersync; \
            the default privileges of the database may have granted this",
        format!("REVOKE ALL ON {table} FROM {grantee};"),
    )
}

/// A role's name as SQL has it.
fn identifier(role: &str) -> String {
    format!("\"{}\"", role.replace('"', "\"\""))
}

/// Whether pending migrations can be applied by this role.
pub(super) async fn check_right_to_migrate(store: &Store) -> Result<Option<Finding>, StoreError> {
    match store.may_migrate().await {
        Ok(()) => Ok(None),
        Err(StoreError::Setup(text)) => {
            let (what, fix) = text.split_once('\n').unwrap_or((&text, ""));
            Ok(Some(Finding::error(
                what,
                "the tables cannot be created, and the service does not start",
                fix,
            )))
        }
        Err(error) => Err(error),
    }
}

/// Whether every character can be stored.
pub(super) async fn check_encoding(store: &Store) -> Result<Option<Finding>, StoreError> {
    Ok(store.narrow_encoding().await?.map(|encoding| {
        Finding::warning(
            format!("the database is encoded in {encoding}, not UTF8"),
            "it cannot store many characters in people's names; deliveries with such characters are parked, and \
                token claims are stored without them",
            "use a database that was created with ENCODING 'UTF8' TEMPLATE template0",
        )
    }))
}
