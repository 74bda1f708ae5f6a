//! What can go wrong in the database, by what the caller can do about it.

use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{DbErr, RuntimeErr, sqlx};

/// The database did not do as it was told.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It refused what was written, and will each time: another value may pass.
    #[error("the database refused a value: {}", without_values(.0))]
    Refused(DbErr),
    /// Two transactions met; the same again may pass.
    #[error("two transactions met in the database: {0}")]
    Conflict(DbErr),
    /// It is away, full, read-only, or not as the migrations left it.
    #[error("the database did not do its work: {0}")]
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
            Kind::Conflict => Self::Conflict(error),
            Kind::Unavailable => Self::Unavailable(error),
        }
    }
}

/// What PostgreSQL says is told by its code and by names: its words, and a trigger's, may quote what was written.
fn without_values(error: &DbErr) -> String {
    let refusal = match error {
        DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner)) => {
            inner.as_database_error().and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
        }
        _ => None,
    };
    let Some(refusal) = refusal else { return error.to_string() };
    let names =
        [("table", refusal.table()), ("column", refusal.column()), ("constraint", refusal.constraint())];
    let named = names.into_iter().filter_map(|(what, name)| Some(format!(", {what} {}", name?)));
    format!("SQLSTATE {}{}; its own log has the words", refusal.code(), named.collect::<String>())
}

/// Whether SQLite could not be opened because another process holds the database.
pub(super) fn is_locked(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(inner)) = error else { return false };
    matches!(&**inner, sqlx::Error::Database(database) if matches!(kind_of_code(&**database), Kind::Conflict))
}

/// Whether no connection was to be had in time.
pub(super) fn is_late(error: &DbErr) -> bool {
    let DbErr::Conn(RuntimeErr::SqlxError(inner)) = error else { return false };
    matches!(**inner, sqlx::Error::PoolTimedOut)
}

enum Kind {
    Refused,
    Conflict,
    Unavailable,
}

fn kind_of(error: &DbErr) -> Kind {
    let (DbErr::Exec(RuntimeErr::SqlxError(inner)) | DbErr::Query(RuntimeErr::SqlxError(inner))) = error
    else {
        return Kind::Unavailable;
    };
    match &**inner {
        sqlx::Error::Database(database) => kind_of_code(&**database),
        sqlx::Error::Encode(_) => Kind::Refused,
        _ => Kind::Unavailable,
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
        // Data exception, integrity constraint, check option of a view, program limit exceeded, raised by a
        // trigger.
        code if ["22", "23", "44", "54", "P0"].iter().any(|class| code.starts_with(class)) => Kind::Refused,
        _ => Kind::Unavailable,
    }
}
