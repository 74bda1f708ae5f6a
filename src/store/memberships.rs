//! Who reaches our tables as a member of another role.

use sea_orm::{ConnectionTrait, DbErr, QueryResult};

use super::connection::{Db, quoted};
use super::schema::{Grant, TABLES, statement};
use super::{Store, StoreError};

/// A role that can log in, and is a member of one that reaches our tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Membership {
    /// The member.
    pub role: String,
    /// The role that it is a member of.
    pub member_of: String,
    /// What that allows.
    pub grants: Vec<Grant>,
}

impl Store {
    /// The roles that reach data that only usersync should see or change as members of other roles: of the owner, of one that
    /// was granted access to our tables, or of one that may read or write every table of the server. Superusers, the owner
    /// and this role are not among them, nor what everybody may do.
    pub async fn memberships(&self) -> Result<Vec<Membership>, StoreError> {
        let Db::Postgres { schema, .. } = &self.db else { return Ok(Vec::new()) };
        let rows = self.db.query_all_raw(statement(MEMBERS, [&**schema, &TABLES.join(" ")])).await?;
        let mut memberships: Vec<Membership> = Vec::new();
        for row in &rows {
            let (role, member_of, grant) = read(row, schema)?;
            match memberships.last_mut().filter(|last| last.role == role && last.member_of == member_of) {
                Some(last) => last.grants.push(grant),
                None => memberships.push(Membership { role, member_of, grants: vec![grant] }),
            }
        }
        memberships.retain(|membership| membership.grants.iter().any(Grant::is_too_much));
        Ok(memberships)
    }
}

/// The holders are few, whatever the number of roles: only their privileges are looked up. Before version 16 every member may
/// become the role; since then it may be a member that can do no more than admit others.
const MEMBERS: &str = "
    WITH ours AS (
        SELECT c.oid, c.relname, c.relowner, c.relacl FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND c.relname = ANY(string_to_array($2, ' '))
          AND NOT EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)
    ), holders AS (
        SELECT relowner AS role FROM ours
        UNION SELECT a.grantee FROM ours, aclexplode(ours.relacl) a
        UNION SELECT oid FROM pg_roles WHERE rolsuper OR rolname IN ('pg_read_all_data', 'pg_write_all_data')
    ), held AS (
        SELECT holders.role, ours.oid, ours.relname, ours.relowner, p.name
        FROM holders CROSS JOIN ours
        CROSS JOIN (VALUES ('SELECT'), ('INSERT'), ('UPDATE'), ('DELETE'), ('TRUNCATE')) AS p(name)
        WHERE has_table_privilege(holders.role, ours.oid, p.name)
    ), usable AS (
        SELECT CASE WHEN current_setting('server_version_num')::int < 160000 THEN 'MEMBER' ELSE 'USAGE, SET' END AS how
    )
    SELECT r.rolname::text, g.rolname::text, held.relname::text, string_agg(DISTINCT held.name, ' ')
    FROM pg_auth_members m JOIN pg_roles r ON r.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
    CROSS JOIN usable JOIN held ON pg_has_role(m.roleid, held.role, usable.how)
    WHERE r.rolcanlogin AND NOT r.rolsuper AND r.rolname <> current_user AND r.oid <> held.relowner
      AND pg_has_role(m.member, m.roleid, usable.how)
    GROUP BY 1, 2, 3 ORDER BY 1, 2, 3";

fn read(row: &QueryResult, schema: &str) -> Result<(String, String, Grant), DbErr> {
    let (role, member_of, table): (String, String, String) =
        (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
    let privileges: String = row.try_get_by_index(3)?;
    let privileges = privileges.split(' ').map(str::to_owned).collect();
    let table = format!("{}.{}", quoted(schema), quoted(&table));
    Ok((role.clone(), member_of, Grant { role, table, privileges }))
}
