//! Questions for the current user: one for each known user, with a token of its own.

use std::sync::Arc;

use crate::call::Call;
use crate::deliveries::{KNOWN_USERS, user};
use crate::program::Environment;

/// The route without its host.
const PATH: &str = "/v1/users/current";

/// A call for each known user; `answered` tells whom the program answers when a user is asked for.
pub(crate) fn lookups(ground: &Environment, answered: impl Fn(u32) -> u32) -> anyhow::Result<Vec<Call>> {
    let call = |number| {
        let bearer = ground.credentials.bearer(&user(number))?;
        let call = Call::get(&ground.host(), PATH, &[("authorization", &bearer)]);
        let expected = format!(r#""externalId":"{}""#, user(answered(number)));
        Ok(call.expecting(Arc::new([expected])))
    };
    (0..KNOWN_USERS).map(call).collect()
}
