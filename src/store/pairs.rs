//! Statements about any number of users whose text is always the same, so that they stay prepared; and conditions that
//! leave PostgreSQL one way to find the rows, whatever its statistics are.

use sea_orm::sea_query::extension::postgres::PgFunc;
use sea_orm::sea_query::{ArrayType, Expr, ExprTrait, IntoColumnRef, ValueType};
use sea_orm::{ConnectionTrait, DbBackend, Value};

use crate::domain::UserKey;

/// A table that has rows about users.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableOfUsers {
    Users,
    Journal,
    EndpointEvents,
}

impl TableOfUsers {
    /// The rows of the users `keys`, as the table's own index finds them.
    fn rows_of_keys(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Users => ("users", "id", "source = keys.source AND external_id = keys.external_id"),
            // By the external id alone: the primary key begins with the source.
            Self::Journal => {
                ("journal", "ctid", "external_id = keys.external_id AND NULLIF(source, '') = keys.source")
            }
            Self::EndpointEvents => {
                ("endpoint_events", "ctid", "external_id = keys.external_id AND source = keys.source")
            }
        }
    }
}

/// Whether a row's `source` and `external_id` are those of one of these users.
///
/// On PostgreSQL the rows are found first, user by user. A join would be planned for the tables as they were when the
/// statement was prepared, and would read all of a table that was still small then.
pub(super) fn is_one_of<'a>(
    db: &impl ConnectionTrait,
    table: TableOfUsers,
    users: impl Iterator<Item = &'a UserKey>,
) -> Expr {
    let (keys, parameters) = key_table(db, users);
    let (name, row, is_its) = table.rows_of_keys();
    let sql = match db.get_database_backend() {
        DbBackend::Postgres => format!(
            "{row} = ANY(ARRAY(SELECT found.{row} FROM {keys}, \
             LATERAL (SELECT {row} FROM \"usersync\".{name} WHERE {is_its} OFFSET 0) AS found))"
        ),
        _ => format!("(source, external_id) IN (SELECT source, external_id FROM {keys})"),
    };
    Expr::cust_with_values(sql, parameters)
}

/// The same for a table in which another condition already finds a few rows.
pub(super) fn is_among<'a>(db: &impl ConnectionTrait, users: impl Iterator<Item = &'a UserKey>) -> Expr {
    let (keys, parameters) = key_table(db, users);
    let sql = format!("(source, external_id) IN (SELECT keys.source, keys.external_id FROM {keys})");
    Expr::cust_with_values(sql, parameters)
}

/// Whether a row is of an endpoint, written so that no index which begins with the endpoint is used for it.
pub(super) fn is_of_endpoint(endpoint: &str) -> Expr {
    Expr::cust("NULLIF(endpoint, '')").eq(endpoint)
}

/// Whether a row is of a source, written so that no index which begins with the source is used for it.
pub(super) fn is_of_source(source: &str) -> Expr {
    Expr::cust("NULLIF(source, '')").eq(source)
}

/// Whether a column has one of these values. On PostgreSQL all of them are one parameter, so that the statement has the
/// same text for any number of them, and stays prepared.
pub(super) fn is_any_of<V: Into<Value> + ValueType>(
    db: &impl ConnectionTrait,
    column: impl IntoColumnRef,
    values: impl IntoIterator<Item = V>,
) -> Expr {
    let column = Expr::col(column);
    let values: Vec<Value> = values.into_iter().map(Into::into).collect();
    match db.get_database_backend() {
        DbBackend::Postgres => {
            let array = Value::Array(V::array_type(), Some(Box::new(values)));
            column.eq(PgFunc::any(Expr::value(array)))
        }
        _ => column.is_in(values),
    }
}

/// Whether columns are after values in the order of all of them. A row comparison begins in the index; the same written
/// with OR filters all rows before.
pub(super) fn past<Column: IntoColumnRef, const N: usize>(after: [(Column, Value); N]) -> Expr {
    let (columns, values) = tuples(after);
    columns.gt(values)
}

/// Whether columns are before values in the order of all of them.
pub(super) fn before<Column: IntoColumnRef, const N: usize>(before: [(Column, Value); N]) -> Expr {
    let (columns, values) = tuples(before);
    columns.lt(values)
}

fn tuples<Column: IntoColumnRef, const N: usize>(pairs: [(Column, Value); N]) -> (Expr, Expr) {
    let (columns, values): (Vec<Expr>, Vec<Expr>) =
        pairs.into_iter().map(|(column, value)| (Expr::col(column), Expr::value(value))).unzip();
    (Expr::tuple(columns), Expr::tuple(values))
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
    // SQLite ends a text of JSON at U+0000, and would find another user.
    let users = users.filter(|user| !user.source.contains('\0') && !user.external_id.contains('\0'));
    let users: serde_json::Value =
        users.map(|user| serde_json::json!([user.source, user.external_id])).collect();
    let table = "(SELECT value ->> 0 AS source, value ->> 1 AS external_id FROM json_each(?)) AS keys";
    (table, vec![users.to_string().into()])
}

/// Strings as one parameter of PostgreSQL.
pub(super) fn text_array(strings: Vec<Value>) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(strings)))
}
