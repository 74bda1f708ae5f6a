//! Statements about any number of users whose text is always the same, so that they stay prepared.

use sea_orm::sea_query::{ArrayType, Expr};
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::domain::UserKey;

/// Whether a row's `source` and `external_id` are those of one of these users.
pub(super) fn is_one_of<'a>(db: &impl ConnectionTrait, users: impl Iterator<Item = &'a UserKey>) -> Expr {
    let (keys, parameters) = key_table(db, users);
    let sql = format!("(source, external_id) IN (SELECT source, external_id FROM {keys})");
    Expr::cust_with_values(sql, parameters)
}

/// These users as a table `keys` with the columns `source` and `external_id`, and the parameters that hold them.
pub(super) fn key_table<'a>(
    db: &impl ConnectionTrait,
    users: impl Iterator<Item = &'a UserKey>,
) -> (&'static str, Vec<Value>) {
    if db.get_database_backend() == DbBackend::Postgres {
        let (sources, external_ids): (Vec<Value>, Vec<Value>) =
            users.map(|user| (user.source.clone().into(), user.external_id.clone().into())).unzip();
        let table = "unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS keys (source, external_id)";
        return (table, vec![text_array(sources), text_array(external_ids)]);
    }
    let users: serde_json::Value =
        users.map(|user| serde_json::json!([user.source, user.external_id])).collect();
    let table = "(SELECT value ->> 0 AS source, value ->> 1 AS external_id FROM json_each(?)) AS keys";
    (table, vec![users.to_string().into()])
}

/// Strings as one parameter of PostgreSQL.
pub(super) fn text_array(strings: Vec<Value>) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(strings)))
}
