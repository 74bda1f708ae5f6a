//! Making service keys, for the command line and for the console.

use crate::auth::service_key::ServiceKey;
use crate::clock::{Clock, NoRandomness};
use crate::domain::Scopes;
use crate::store::{ApiKey, Store, StoreError};

/// The longest name of a key, in characters.
const LONGEST_NAME: usize = 200;

/// Why a key was not made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The name is empty or too long, or has invisible characters.
    #[error("a key needs a name of at most {LONGEST_NAME} characters, none of them a control character")]
    Name,
    /// An active key has this name.
    #[error("an active key named {0:?} already exists; revoke it first, or choose another name")]
    Taken(String),
    /// There is no key without randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The name as it is stored.
pub(crate) fn check_name(name: &str) -> Result<&str, CreateError> {
    let name = name.trim();
    let is_good = (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.chars().any(char::is_control);
    if is_good { Ok(name) } else { Err(CreateError::Name) }
}

/// The name as it is stored, if no active key has it.
pub(crate) async fn check_new_name<'a>(store: &Store, name: &'a str) -> Result<&'a str, CreateError> {
    let name = check_name(name)?;
    let is_taken = |key: &ApiKey| key.revoked_at.is_none() && key.name == name;
    let keys = store.api_keys().list().await?;
    if keys.iter().any(is_taken) { Err(CreateError::Taken(name.to_owned())) } else { Ok(name) }
}

/// Makes a key and stores its hash. The key itself is known to the caller alone.
pub(crate) async fn create(
    store: &Store,
    name: &str,
    scopes: Scopes,
    clock: &Clock,
) -> Result<ServiceKey, CreateError> {
    let name = check_new_name(store, name).await?;
    let key = ServiceKey::generate()?;
    store.api_keys().insert(ApiKey::new(name, key.prefix(), scopes, clock), key.hash()).await?;
    Ok(key)
}
