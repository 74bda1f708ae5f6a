//! Many rows by one insert that stays prepared.
//!
//! PostgreSQL is given one array a column, so that the statement's text is the same for any number of rows.
//! SQLite has no arrays; it is given the rows one after the other, and prepares a text for each number of them.
//!
//! Over TLS the rows go in portions that fit one TLS record each. sqlx 0.9.0 leaves Nagle's algorithm on, so that each
//! further record of a statement waits 40 ms for the server's acknowledgement of the one before (sqlx #4335; mended by
//! #4336, which is in no release yet).

use sea_orm::sea_query::{
    ArrayType, Expr, InsertStatement, OnConflict, PostgresQueryBuilder, Query, ReturningClause,
};
use sea_orm::{
    ActiveModelTrait, ColumnDef, ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    Iterable, QueryTrait, Statement, Value,
};

use super::Tx;

/// What rows may weigh in one TLS record of 16 KiB, with room for what goes along.
const PORTION: usize = 14 << 10;

/// A row's values in the order of the entity's columns.
type Texts = Vec<String>;

/// The statements that insert these rows, for each other in any order.
pub(super) fn inserts<A: ActiveModelTrait>(
    Tx { inner, is_encrypted, .. }: &Tx,
    rows: Vec<A>,
    on_conflict: OnConflict,
    returning: Option<ReturningClause>,
) -> Result<Vec<Statement>, DbErr> {
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    let finish = |mut insert: InsertStatement| {
        insert.on_conflict(on_conflict);
        if let Some(returning) = returning {
            insert.returning(returning);
        }
        insert
    };
    let backend = inner.get_database_backend();
    if backend != DbBackend::Postgres {
        return Ok(vec![backend.build(&finish(A::Entity::insert_many(rows).into_query()))]);
    }
    let sql = finish(from_arrays::<A>()?).to_string(PostgresQueryBuilder);
    let rows = rows.into_iter().map(texts_of).collect::<Result<Vec<Texts>, DbErr>>()?;
    let portions = portions(rows, if *is_encrypted { PORTION } else { usize::MAX });
    let statement = |rows| Statement::from_sql_and_values(backend, &sql, arrays(rows));
    Ok(portions.into_iter().map(statement).collect())
}

/// The insert of the rows that the parameters hold, an array for each column in the entity's order.
fn from_arrays<A: ActiveModelTrait>() -> Result<InsertStatement, DbErr> {
    let mut select = Query::select();
    for (column, number) in <A::Entity as EntityTrait>::Column::iter().zip(1..) {
        select.expr(Expr::cust(unnested(&column.def(), number)?));
    }
    let mut insert = Query::insert();
    insert.into_table(A::Entity::default()).columns(<A::Entity as EntityTrait>::Column::iter());
    insert.select_from(select).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(insert)
}

/// A column's values. All go over as text, and SeaORM binds no array that holds NULL: an empty text stands for it,
/// for no column of ours that may be NULL is ever an empty text.
fn unnested(column: &ColumnDef, number: u32) -> Result<String, DbErr> {
    let mut sql = format!("unnest(CAST(${number} AS text[]))");
    if column.is_null() {
        sql = format!("NULLIF({sql}, '')");
    }
    Ok(match column.get_column_type() {
        ColumnType::Text | ColumnType::String(_) => sql,
        ColumnType::Boolean => format!("CAST({sql} AS boolean)"),
        ColumnType::TimestampWithTimeZone => format!("CAST({sql} AS timestamptz)"),
        ColumnType::Json | ColumnType::JsonBinary => format!("CAST({sql} AS jsonb)"),
        other => return Err(DbErr::Type(format!("no {other:?} is inserted so"))),
    })
}

fn texts_of<A: ActiveModelTrait>(mut row: A) -> Result<Texts, DbErr> {
    let columns = <A::Entity as EntityTrait>::Column::iter();
    columns.map(|column| row.take(column).into_value().map_or_else(|| Ok(String::new()), text_of)).collect()
}

fn text_of(value: Value) -> Result<String, DbErr> {
    let text = match value {
        Value::String(text) => text,
        Value::Bool(flag) => flag.map(|flag| flag.to_string()),
        Value::ChronoDateTimeUtc(moment) => moment.map(|moment| moment.to_rfc3339()),
        Value::Json(json) => json.map(|json| json.to_string()),
        other => return Err(DbErr::Type(format!("no {:?} is inserted so", other.array_type()))),
    };
    Ok(text.unwrap_or_default())
}

/// Rows that weigh no more than that together; one that is heavier goes alone.
fn portions(rows: Vec<Texts>, most: usize) -> Vec<Vec<Texts>> {
    let mut portions: Vec<Vec<Texts>> = Vec::new();
    let mut weight = 0;
    for row in rows {
        // Its length stands before each value.
        let more: usize = row.iter().map(|text| text.len() + size_of::<u32>()).sum();
        if let Some(portion) = portions.last_mut().filter(|_| weight + more <= most) {
            portion.push(row);
            weight += more;
        } else {
            portions.push(vec![row]);
            weight = more;
        }
    }
    portions
}

/// One array for each column.
fn arrays(rows: Vec<Texts>) -> Vec<Value> {
    let mut columns: Vec<Vec<Value>> = Vec::new();
    for row in rows {
        columns.resize_with(row.len(), Vec::new);
        for (column, text) in columns.iter_mut().zip(row) {
            column.push(text.into());
        }
    }
    columns.into_iter().map(|texts| Value::Array(ArrayType::String, Some(Box::new(texts)))).collect()
}

#[cfg(test)]
mod tests {
    use super::portions;

    #[test]
    fn a_portion_weighs_no_more_than_it_may_and_no_row_is_lost() {
        let row = |length: usize| vec!["x".repeat(length), String::new()];
        let rows: Vec<_> = [40, 42, 2, 300, 1, 92, 92].map(row).into();
        let sizes = |most| -> Vec<Vec<usize>> {
            let lengths = |portion: Vec<Vec<String>>| portion.iter().map(|row| row[0].len()).collect();
            portions(rows.clone(), most).into_iter().map(lengths).collect()
        };
        assert_eq!(sizes(100), [vec![40, 42], vec![2], vec![300], vec![1], vec![92], vec![92]]);
        assert_eq!(sizes(usize::MAX), [[40, 42, 2, 300, 1, 92, 92]]);
    }
}
