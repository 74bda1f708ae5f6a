//! What can go wrong in the database, by what the caller can do about it.

use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// Data exception, integrity constraint, check option of a view, program limit exceeded, raised by a trigger.
const ABOUT_VALUES: [&str; 5] = ["22", "23", "44", "54", "P0"];

/// The database did not do as it was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It refused what was written, and will each time: another value may pass.
    #[error("the database refused a value: {}", without_values(.0))]
    Refused(DbErr),
    /// It does not let what was written pass now: somebody else holds a row, or a rule of its own says no. The same may
    /// pass later, and another value now.
    #[error("the database lets it not pass: {}", without_values(.0))]
    Hindered(DbErr),
    /// Two transactions met; the same again may pass.
    #[error("two transactions met in the database: {}", without_values(.0))]
    Conflict(DbErr),
    /// It is away, full, read-only, or not as the migrations left it.
    #[error("the database did not do its work: {}", without_values(.0))]
    Unavailable(DbErr),
}

impl StoreError {
    /// The database is away, as the caller found out.
    pub fn away(how: &str) -> Self {
        Self::Unavailable(DbErr::Custom(how.to_owned()))
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match kind_of(&error) {
            Kind::Refused => Self::Refused(error),
            Kind::Hindered => Self::Hindered(error),
            Kind::Conflict => Self::Conflict(error),
            Kind::Unavailable => Self::Unavailable(error),
        }
    }
}

/// PostgreSQL's words without what they may quote of what was written. About a value it is told by its code and by
/// names, and so is what comes from within a function, such as a trigger: that has a `where`.
fn without_values(error: &DbErr) -> String {
    let refusal = of_a_statement(error).and_then(sqlx::Error::as_database_error);
    let refusal = refusal.and_then(|refusal| refusal.try_downcast_ref::<PgDatabaseError>());
    let may_quote = |refusal: &&PgDatabaseError| {
        refusal.r#where().is_some() || is_of_class(refusal.code(), &ABOUT_VALUES)
    };
    let Some(refusal) = refusal.filter(may_quote) else { return error.to_string() };
    let names =
        [("table", refusal.table()), ("column", refusal.column()), ("constraint", refusal.constraint())];
    let listed = names.into_iter().filter_map(|(what, name)| Some(format!(", {what} {}", name?)));
    format!("SQLSTATE {}{}; its own log has the words", refusal.code(), listed.collect::<String>())
}

/// Whether SQLite could not be opened because another process holds the database.
pub(super) fn is_locked(error: &DbErr) -> bool {
    let database = of_a_connection(error).and_then(sqlx::Error::as_database_error);
    database.is_some_and(|refusal| matches!(kind_of_code(refusal), Kind::Conflict))
}

/// Whether no connection was to be had in time.
pub(super) fn is_late(error: &DbErr) -> bool {
    matches!(of_a_connection(error), Some(sqlx::Error::PoolTimedOut))
}

/// What the driver says of a connection that it did not make.
fn of_a_connection(error: &DbErr) -> Option<&sqlx::Error> {
    let DbErr::Conn(RuntimeErr::SqlxError(inner)) = error else { return None };
    Some(inner)
}

enum Kind {
    Refused,
    Hindered,
    Conflict,
    Unavailable,
}

fn kind_of(error: &DbErr) -> Kind {
    match of_a_statement(error) {
        Some(sqlx::Error::Database(database)) => kind_of_code(&**database),
        Some(sqlx::Error::Encode(_)) => Kind::Refused,
        _ => Kind::Unavailable,
    }
}

/// What the driver says of a statement that failed.
fn of_a_statement(error: &DbErr) -> Option<&sqlx::Error> {
    match error {
        DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => Some(inner),
        _ => None,
    }
}

/// PostgreSQL gives five characters of which the first two are the class (its documentation, appendix A);
/// SQLite gives a number of which the low byte is the class.
fn kind_of_code(error: &dyn DatabaseError) -> Kind {
    if !matches!(error.kind(), ErrorKind::Other) {
        return Kind::Refused;
    }
    let code = error.code().unwrap_or_default();
    if let Ok(number) = code.parse::<i64>().map(|number| number & 0xff)
        && code.len() != 5
    {
        return match number {
            5 | 6 => Kind::Conflict,  // SQLITE_BUSY, SQLITE_LOCKED
            18..=20 => Kind::Refused, // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
            _ => Kind::Unavailable,
        };
    }
    match &*code {
        "40001" | "40P01" => Kind::Conflict,
        code if is_of_class(code, &ABOUT_VALUES) => Kind::Refused,
        // Insufficient privilege is what row security says of a row, too.
        "42501" => Kind::Hindered,
        // Connection, transaction state, authorisation, no such database or schema, syntax or no such table, resources,
        // shut down, system, internal.
        code if is_of_class(code, &["08", "25", "28", "3D", "3F", "42", "53", "57P", "58", "XX"]) => {
            Kind::Unavailable
        }
        _ => Kind::Hindered,
    }
}

fn is_of_class(code: &str, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.starts_with(class))
}
