//! "Is one of these pairs", as one statement whose text is the same for any number of pairs, so that it stays
//! prepared.

use sea_orm::sea_query::{ArrayType, Expr};
use sea_orm::{ConnectionTrait, DbBackend, Value};

/// Whether the two columns are one of the pairs.
pub(super) fn is_one_of<'a>(
    db: &impl ConnectionTrait,
    [first, second]: [&str; 2],
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> Expr {
    let (listed, parameters) = listed(db, pairs);
    Expr::cust_with_values(format!("({first}, {second}) IN (SELECT one, two FROM {listed})"), parameters)
}

/// The pairs as a table `listed` with the columns `one` and `two`, and the statement's parameters that hold them.
pub(super) fn listed<'a>(
    db: &impl ConnectionTrait,
    pairs: impl Iterator<Item = (&'a str, &'a str)>,
) -> (&'static str, Vec<Value>) {
    if db.get_database_backend() == DbBackend::Postgres {
        let (one, two): (Vec<Value>, Vec<Value>) =
            pairs.map(|(first, second)| (first.into(), second.into())).unzip();
        let table = "unnest(CAST($1 AS text[]), CAST($2 AS text[])) AS listed (one, two)";
        return (table, vec![text_array(one), text_array(two)]);
    }
    let pairs: serde_json::Value = pairs.map(|(first, second)| serde_json::json!([first, second])).collect();
    let table = "(SELECT value ->> 0 AS one, value ->> 1 AS two FROM json_each(?)) AS listed";
    (table, vec![pairs.to_string().into()])
}

/// Texts as one parameter of PostgreSQL.
pub(super) fn text_array(texts: Vec<Value>) -> Value {
    Value::Array(ArrayType::String, Some(Box::new(texts)))
}
