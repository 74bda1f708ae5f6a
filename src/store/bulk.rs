//! Many rows by one insert that stays prepared.
//!
//! PostgreSQL is given one array a column, so that the statement's text is the same for any number of rows.
//! SQLite has no arrays; it is given the rows one after the other, and prepares a text for each number of them.
//!
//! Over TLS a few rows go in portions that fit one TLS record each. sqlx 0.9.0 leaves Nagle's algorithm on, so that a
//! statement of several records waits 40 ms for the server's acknowledgement of the first (sqlx #4335; mended by #4336,
//! which is in no release yet). Where there would be many portions, or a row is larger than a record, one statement
//! waits less than they would.

use sea_orm::sea_query::{Expr, InsertStatement, OnConflict, PostgresQueryBuilder, Query, ReturningClause};
use sea_orm::{
    ActiveModelTrait, ColumnDef, ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityTrait,
    IdenStatic, Iterable, QueryTrait, Statement, Value,
};

use super::Tx;
use super::pairs::text_array;

/// What rows may weigh in one TLS record of 16 KiB, with room for what goes along.
const PORTION: usize = 14 << 10;
/// So many ways to a server that is 5 ms away take as long as the wait that they spare.
const MOST_PORTIONS: usize = 8;

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
    let portions = if *is_encrypted { in_records(rows) } else { vec![rows] };
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
    columns
        .map(|column| match row.take(column).into_value() {
            // It would come back as NULL.
            Some(Value::String(Some(text))) if text.is_empty() && column.def().is_null() => {
                Err(DbErr::Type(format!("{} may not be an empty text", column.as_str())))
            }
            value => value.map_or_else(|| Ok(String::new()), text_of),
        })
        .collect()
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

/// The rows in portions of a TLS record, or all together.
fn in_records(rows: Vec<Texts>) -> Vec<Vec<Texts>> {
    // Its length stands before each value.
    let weigh = |row: &Texts| row.iter().map(|text| text.len() + size_of::<u32>()).sum::<usize>();
    let weights: Vec<usize> = rows.iter().map(weigh).collect();
    if weights.iter().any(|weight| *weight > PORTION)
        || weights.iter().sum::<usize>() > MOST_PORTIONS * PORTION
    {
        return vec![rows];
    }
    let mut portions: Vec<Vec<Texts>> = Vec::new();
    let mut filled = PORTION;
    for (row, weight) in rows.into_iter().zip(weights) {
        filled += weight;
        match portions.last_mut() {
            Some(portion) if filled <= PORTION => portion.push(row),
            _ => {
                portions.push(vec![row]);
                filled = weight;
            }
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
    columns.into_iter().map(text_array).collect()
}

#[cfg(test)]
mod tests {
    use super::{MOST_PORTIONS, PORTION, in_records};

    /// How many rows of these lengths each portion has.
    fn portions(lengths: &[usize]) -> Vec<usize> {
        let rows: Vec<_> = lengths.iter().map(|length| vec!["x".repeat(*length), String::new()]).collect();
        let portions = in_records(rows.clone());
        assert_eq!(portions.concat(), rows, "no row is lost, nor their order");
        portions.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_portion_fits_a_record() {
        let half = PORTION / 2 - 8;
        assert_eq!(portions(&[half, half, 1, half, half]), [2, 2, 1]);
        assert_eq!(portions(&[PORTION - 8, 1]), [1, 1]);
    }

    #[test]
    fn rows_that_no_record_holds_and_rows_for_many_records_go_together() {
        assert_eq!(portions(&[10, PORTION, 10]), [3]);
        assert_eq!(portions(&[2_000; 256]), [256]);
        assert_eq!(portions(&[2_300; 32]).len(), 6);
        assert!(portions(&[2_000; 57]).len() <= MOST_PORTIONS + 1);
    }
}
