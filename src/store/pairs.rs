//! "Is one of these pairs", as one statement whose text is the same for any number of pairs, so that it stays prepared.

use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DbBackend};

/// Whether the two columns are one of the pairs, which go over as one JSON text.
pub(super) fn is_one_of<'a>(
    db: &impl ConnectionTrait,
    [first, second]: [&str; 2],
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Expr {
    let listed = match db.get_database_backend() {
        DbBackend::Postgres => "json_array_elements(CAST($1 AS json))",
        _ => "json_each(?)",
    };
    let sql = format!("({first}, {second}) IN (SELECT value ->> 0, value ->> 1 FROM {listed})");
    let pairs: serde_json::Value = pairs.map(|(first, second)| serde_json::json!([first, second])).collect();
    Expr::cust_with_values(sql, [pairs.to_string()])
}
