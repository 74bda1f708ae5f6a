//! Database errors, by what the caller can do about them.

use sea_orm::sqlx::error::{DatabaseError, ErrorKind};
use sea_orm::sqlx::postgres::PgDatabaseError;
use sea_orm::{ConnAcquireErr, DbErr, RuntimeErr, sqlx};

/// Data exception, integrity constraint, check option of a view, program limit exceeded, raised by a trigger.
const ABOUT_VALUES: [&str; 5] = ["22", "23", "44", "54", "P0"];

const INVALID_STATEMENT_NAME: &str = "26000";
const DUPLICATE_PREPARED_STATEMENT: &str = "42P05";

/// A statement failed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// It rejected a value, and will do so each time: another value may be accepted.
    #[error("the database rejected a value: {}", without_values(.0))]
    Rejected(DbErr),
    /// It does not allow the write now: another program has locked a row, or a rule of the database forbids it. The same
    /// write may be accepted later, and another one now.
    #[error("the database does not allow this write now: {}", without_values(.0))]
    Blocked(DbErr),
    /// Two transactions were in conflict; the same transaction may succeed if it is tried again.
    #[error("two transactions were in conflict: {}", without_values(.0))]
    Conflict(DbErr),
    /// It cannot work as it was configured or prepared: what is wrong, and below it what to do.
    #[error("{0}")]
    Setup(String),
    /// It cannot be reached, is full or read-only, or is not as the migrations left it.
    #[error("the database is unavailable: {}", without_values(.0))]
    Unavailable(DbErr),
}

impl StoreError {
    /// The database is unavailable, as the caller found out.
    pub fn unavailable(why: &str) -> Self {
        Self::Unavailable(DbErr::Custom(why.to_owned()))
    }
}

impl StoreError {
    /// Whether another application's table has the name of one of ours.
    pub fn is_table_name_taken(&self) -> bool {
        let Self::Unavailable(error) = self else { return false };
        let database = of_a_statement(error).and_then(sqlx::Error::as_database_error);
        database.is_some_and(|refusal| match refusal.code().as_deref() {
            // duplicate_table, duplicate_object (a type or an index of that name)
            Some("42P07" | "42710") => true,
            // SQLITE_ERROR has no code of its own for this, only a message.
            Some("1") => refusal.message().ends_with("already exists"),
            _ => false,
        })
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match kind_of(&error) {
            Kind::Rejected => Self::Rejected(error),
            Kind::Blocked => Self::Blocked(error),
            Kind::Conflict => Self::Conflict(error),
            Kind::Unavailable => Self::Unavailable(error),
        }
    }
}

/// PostgreSQL's message, unless it may quote a value that was written: then its code and the names of table, column and
/// constraint instead. Errors about values may quote them, and so may errors raised inside a function, such as a trigger:
/// those have a `where`.
fn without_values(error: &DbErr) -> String {
    let refusal = of_a_statement(error).and_then(sqlx::Error::as_database_error);
    let refusal = refusal.and_then(|refusal| refusal.try_downcast_ref::<PgDatabaseError>());
    let may_quote = |refusal: &&PgDatabaseError| {
        refusal.r#where().is_some() || is_of_class(refusal.code(), &ABOUT_VALUES)
    };
    let Some(refusal) = refusal.filter(may_quote) else { return with_code(error) };
    let names =
        [("table", refusal.table()), ("column", refusal.column()), ("constraint", refusal.constraint())];
    let listed = names.into_iter().filter_map(|(what, name)| Some(format!(", {what} {}", name?)));
    format!(
        "SQLSTATE {}{}; the database's own log has its message",
        refusal.code(),
        listed.collect::<String>()
    )
}

/// A server's message with its code, and what too few connections mean.
fn with_code(error: &DbErr) -> String {
    if matches!(error, DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)) {
        return "no connection was free in time: those of this replica, of the pooler or of the server are all in use \
                (see `max_connections` under [database])"
            .to_owned();
    }
    let database =
        of_a_statement(error).or_else(|| of_a_connection(error)).and_then(sqlx::Error::as_database_error);
    let code = database.and_then(DatabaseError::code).filter(|code| code.len() == 5).unwrap_or_default();
    match &*code {
        "" => error.to_string(),
        "53300" => format!(
            "{error} (SQLSTATE 53300): the server, the database or the role accepts no more connections; set \
             `max_connections` under [database] lower on each replica, or raise the limit"
        ),
        code => format!("{error} (SQLSTATE {code})"),
    }
}

/// Whether SQLite could not be opened because another process holds the database.
pub(super) fn is_locked(error: &DbErr) -> bool {
    let database = of_a_connection(error).and_then(sqlx::Error::as_database_error);
    database.is_some_and(|refusal| matches!(kind_of_code(refusal), Kind::Conflict))
}

/// A search for a value that the database cannot store finds nothing: no row has it.
pub(super) fn nothing_if_rejected<T: Default>(found: Result<T, StoreError>) -> Result<T, StoreError> {
    match found {
        Err(StoreError::Rejected(_)) => Ok(T::default()),
        found => found,
    }
}

/// Whether the statement may succeed if it is tried again: another transaction was in the way.
pub(super) fn is_conflict(error: &DbErr) -> bool {
    matches!(kind_of(error), Kind::Conflict)
}

/// The driver's error if no connection could be made.
fn of_a_connection(error: &DbErr) -> Option<&sqlx::Error> {
    let DbErr::Conn(RuntimeErr::SqlxError(inner)) = error else { return None };
    Some(inner)
}

/// Whether the same try may succeed in a moment: the server is starting, or has as many connections as it takes.
pub(super) fn is_transient(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        error => matches!(postgres_code(error), Some("53300" | "57P03")),
    }
}

/// Read-only, or shutting down: the address may lead to another server by now.
pub(super) fn means_another_server(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        error => matches!(postgres_code(error), Some("25006" | "57P01" | "57P02" | "57P03")),
    }
}

/// A prepared statement of this connection is unknown, or one that it prepares is there already: another session
/// answers. usersync names no statement itself.
pub(super) fn is_about_prepared_statements(error: &sqlx::Error) -> bool {
    matches!(postgres_code(error), Some(INVALID_STATEMENT_NAME | DUPLICATE_PREPARED_STATEMENT))
}

/// Raised before anything was sent, or after everything was received.
pub(super) fn is_about_a_value(error: &sqlx::Error) -> bool {
    use sqlx::Error::{ColumnDecode, ColumnIndexOutOfBounds, ColumnNotFound, Decode, Encode, RowNotFound};
    matches!(
        error,
        Encode(_)
            | Decode(_)
            | ColumnDecode { .. }
            | ColumnNotFound(_)
            | ColumnIndexOutOfBounds { .. }
            | RowNotFound
    )
}

fn postgres_code(error: &sqlx::Error) -> Option<&str> {
    let refusal = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    Some(refusal.code())
}

enum Kind {
    Rejected,
    Blocked,
    Conflict,
    Unavailable,
}

fn kind_of(error: &DbErr) -> Kind {
    match of_a_statement(error) {
        Some(sqlx::Error::Database(database)) => kind_of_code(&**database),
        Some(sqlx::Error::Encode(_)) => Kind::Rejected,
        _ => Kind::Unavailable,
    }
}

/// The driver's error if a statement failed.
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
        return Kind::Rejected;
    }
    let code = error.code().unwrap_or_default();
    if let Ok(number) = code.parse::<i64>().map(|number| number & 0xff)
        && code.len() != 5
    {
        return match number {
            5 | 6 => Kind::Conflict,   // SQLITE_BUSY, SQLITE_LOCKED
            18..=20 => Kind::Rejected, // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH
            _ => Kind::Unavailable,
        };
    }
    match &*code {
        // After the last two, the next attempt does without prepared statements.
        "40001" | "40P01" | INVALID_STATEMENT_NAME | DUPLICATE_PREPARED_STATEMENT => Kind::Conflict,
        // The statement took longer than we let it.
        "57014" => Kind::Unavailable,
        code if is_of_class(code, &ABOUT_VALUES) => Kind::Rejected,
        // Row security reports insufficient privilege too.
        "42501" => Kind::Blocked,
        // Connection, transaction state, authorisation, no such database or schema, syntax or no such table, resources,
        // shut down, system, internal.
        code if is_of_class(code, &["08", "25", "28", "3D", "3F", "42", "53", "57P", "58", "XX"]) => {
            Kind::Unavailable
        }
        _ => Kind::Blocked,
    }
}

fn is_of_class(code: &str, classes: &[&str]) -> bool {
    classes.iter().any(|class| code.starts_with(class))
}
