//! "Is one of these pairs", as one statement whose text is the same for any number of pairs, so that it stays
//! prepared.

use sea_orm::sea_query::Expr;
use sea_orm::{ConnectionTrait, DbBackend};

/// Whether the two columns are one of the pairs, which go over as one JSON text.
pub(super) fn is_one_of<'a>(
    db: &impl ConnectionTrait,
    [first, second]: [&str; 2],
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Expr {
    let listed = listed(db);
    let sql = format!("({first}, {second}) IN (SELECT value ->> 0, value ->> 1 FROM {listed})");
    Expr::cust_with_values(sql, [json_of(pairs)])
}

/// The one parameter of the statement as a table, of which `value` is a pair.
pub(super) fn listed(db: &impl ConnectionTrait) -> &'static str {
    match db.get_database_backend() {
        DbBackend::Postgres => "json_array_elements(CAST($1 AS json))",
        _ => "json_each(?)",
    }
}

/// The pairs as that parameter.
pub(super) fn json_of<'a>(pairs: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    pairs.map(|(first, second)| serde_json::json!([first, second])).collect::<serde_json::Value>().to_string()
}
