//! Which user a token identifies: `rule` picks the rule, `keys` fetches and caches its keys, `jwt` decides (pure,
//! given keys and time), and `authenticator` joins them.

mod authenticator;
mod error;
mod explain;
mod jwt;
mod keys;
mod program;
mod rule;
pub mod service_key;
#[cfg(test)]
mod testing;
mod token_cache;

pub use self::authenticator::Authenticator;
pub use self::error::{FetchError, SetupError, TokenError};
pub use self::explain::{Claimed, Explained};
pub use self::jwt::{Authenticated, NotAUser};
pub use self::keys::KeyState;
pub use self::rule::same_issuer;

#[cfg(test)]
mod tests;
