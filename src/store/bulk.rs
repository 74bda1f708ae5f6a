//! Inserts of many rows whose text is always the same, so that they stay prepared.
//!
//! PostgreSQL is given one array for each column, so the text is the same for any number of rows. SQLite has no arrays;
//! it is given the rows one after the other, and prepares one text for each number of rows.
//!
//! Over TLS a few rows are sent in chunks that fit one TLS record each. sqlx 0.9.0 leaves Nagle's algorithm on, so a
//! statement of several records waits 40 ms for the server to acknowledge the first (sqlx #4335; fixed by #4336, which
//! is not released yet). With many chunks, or with a row larger than a record, one statement waits less.

use sea_orm::sea_query::{Expr, InsertStatement, OnConflict, PostgresQueryBuilder, Query, ReturningClause};
use sea_orm::{
    ActiveModelTrait, ColumnDef, ColumnTrait, ColumnType, ConnectionTrait, DbBackend, DbErr, EntityName,
    EntityTrait, IdenStatic, Iterable, QueryTrait, Statement, Value,
};

use super::Tx;
use super::pairs::text_array;

/// The most bytes of rows in one TLS record of 16 KiB, which holds the rest of the message too.
const CHUNK_SIZE: usize = 14 << 10;
/// As many round trips to a server 5 ms away take as long as the wait that they avoid.
const MOST_CHUNKS: usize = 8;

/// A row's values as strings, in the order of the entity's columns.
type RowValues = Vec<String>;

/// The statements that insert these rows; their order does not matter.
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
    let rows = rows.into_iter().map(values_of).collect::<Result<Vec<RowValues>, DbErr>>()?;
    let chunks = if *is_encrypted { in_records(rows) } else { vec![rows] };
    let statement = |rows| Statement::from_sql_and_values(backend, &sql, arrays(rows));
    Ok(chunks.into_iter().map(statement).collect())
}

/// An insert of the rows in its parameters: an array for each column, in the entity's order.
fn from_arrays<A: ActiveModelTrait>() -> Result<InsertStatement, DbErr> {
    let mut select = Query::select();
    for (column, number) in <A::Entity as EntityTrait>::Column::iter().zip(1..) {
        select.expr(Expr::cust(unnested(&column.def(), number)?));
    }
    let mut insert = Query::insert();
    insert.into_table(A::Entity::default().table_ref()).columns(<A::Entity as EntityTrait>::Column::iter());
    insert.select_from(select).map_err(|error| DbErr::Type(error.to_string()))?;
    Ok(insert)
}

/// The values of a column. All are sent as strings. SeaORM cannot bind an array that holds NULL, so an empty string
/// means NULL: our nullable columns never contain an empty string.
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
        other => {
            return Err(DbErr::Type(format!("a column of type {other:?} cannot be inserted from an array")));
        }
    })
}

fn values_of<A: ActiveModelTrait>(mut row: A) -> Result<RowValues, DbErr> {
    let columns = <A::Entity as EntityTrait>::Column::iter();
    columns
        .map(|column| match row.take(column).into_value() {
            // It would be stored as NULL.
            Some(Value::String(Some(string))) if string.is_empty() && column.def().is_null() => {
                Err(DbErr::Type(format!("{} must not be an empty string", column.as_str())))
            }
            value => value.map_or_else(|| Ok(String::new()), string_of),
        })
        .collect()
}

fn string_of(value: Value) -> Result<String, DbErr> {
    let text = match value {
        Value::String(text) => text,
        Value::Bool(flag) => flag.map(|flag| flag.to_string()),
        Value::ChronoDateTimeUtc(moment) => moment.map(|moment| moment.to_rfc3339()),
        Value::Json(json) => json.map(|json| json.to_string()),
        other => {
            return Err(DbErr::Type(format!(
                "a value of type {:?} cannot be inserted from an array",
                other.array_type()
            )));
        }
    };
    Ok(text.unwrap_or_default())
}

/// The rows in chunks of a TLS record, or all together.
fn in_records(rows: Vec<RowValues>) -> Vec<Vec<RowValues>> {
    // The length of each value is sent before it.
    let size_of_row = |row: &RowValues| row.iter().map(|text| text.len() + size_of::<u32>()).sum::<usize>();
    let sizes: Vec<usize> = rows.iter().map(size_of_row).collect();
    if sizes.iter().any(|size| *size > CHUNK_SIZE) || sizes.iter().sum::<usize>() > MOST_CHUNKS * CHUNK_SIZE {
        return vec![rows];
    }
    let mut chunks: Vec<Vec<RowValues>> = Vec::new();
    let mut filled = CHUNK_SIZE;
    for (row, size) in rows.into_iter().zip(sizes) {
        filled += size;
        match chunks.last_mut() {
            Some(chunk) if filled <= CHUNK_SIZE => chunk.push(row),
            _ => {
                chunks.push(vec![row]);
                filled = size;
            }
        }
    }
    chunks
}

/// One array for each column.
fn arrays(rows: Vec<RowValues>) -> Vec<Value> {
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
    use super::{CHUNK_SIZE, MOST_CHUNKS, in_records};

    /// How many rows each chunk has, of rows of these lengths.
    fn chunks(lengths: &[usize]) -> Vec<usize> {
        let rows: Vec<_> = lengths.iter().map(|length| vec!["x".repeat(*length), String::new()]).collect();
        let chunks = in_records(rows.clone());
        assert_eq!(chunks.concat(), rows, "the rows or their order changed");
        chunks.iter().map(Vec::len).collect()
    }

    #[test]
    fn a_chunk_fits_a_record() {
        let half = CHUNK_SIZE / 2 - 8;
        assert_eq!(chunks(&[half, half, 1, half, half]), [2, 2, 1]);
        assert_eq!(chunks(&[CHUNK_SIZE - 8, 1]), [1, 1]);
    }

    #[test]
    fn rows_larger_than_a_record_and_rows_for_many_records_are_sent_together() {
        assert_eq!(chunks(&[10, CHUNK_SIZE, 10]), [3]);
        assert_eq!(chunks(&[2_000; 256]), [256]);
        assert_eq!(chunks(&[2_300; 32]).len(), 6);
        assert!(chunks(&[2_000; 57]).len() <= MOST_CHUNKS + 1);
    }
}
