//! `/v1/users/current`: the user of a token, at once or as soon as its row exists.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::ContentType;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};
use utoipa::IntoParams;

use super::extract::{Caller, user_of};
use super::problem::{Code, Problem};
use super::query;
use super::state::{AuthContext, IntakeContext, WaitContext};
use super::views::shown;
use crate::sync::CachedUser;

/// The longest wait that can be requested, in seconds.
const LONGEST_WAIT: u64 = 30;
/// The row is read again after this time, in case a notification was lost.
const REREAD_INTERVAL: Duration = Duration::from_secs(5);

/// The query parameters of `GET /v1/users/current`.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct CurrentQuery {
    /// How many seconds to wait for the row if it does not exist yet. Values over 30 count as 30.
    #[serde(default)]
    #[param(maximum = 30, default = 0)]
    wait: u64,
}

/// The row of the token's user.
pub(super) async fn show(
    access: web::Data<AuthContext>,
    waiting: web::Data<WaitContext>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let wait = query::read::<CurrentQuery>(&request)?.wait.min(LONGEST_WAIT);
    let user = match &caller.user {
        Some(user) => Arc::clone(user),
        None if wait == 0 => return Err(Problem::new(Code::UserNotSynced)),
        None => {
            let _permit = waiting.limits.permit(&request, Some(&caller.authenticated.user))?;
            wait_for(&access, &waiting, &caller, Duration::from_secs(wait)).await?
        }
    };
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(shown(&user)))
}

/// Stores the user from the claims of the token, as long as no webhook about the user has arrived.
pub(super) async fn store(
    access: web::Data<AuthContext>,
    deliveries: web::Data<IntakeContext>,
    caller: Caller,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    query::refuse_parameters(&request)?;
    let token = &caller.authenticated;
    let is_new = deliveries.intake.store_claims(&token.claims()?).await?;
    let user = user_of(&access, token).await?.ok_or_else(|| Problem::new(Code::UserNotSynced))?;
    let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(HttpResponse::build(status).content_type(ContentType::json()).body(shown(&user)))
}

/// Waits until this replica or another has written the row; `user_not_synced` after the time.
async fn wait_for(
    access: &AuthContext,
    waiting: &WaitContext,
    caller: &Caller,
    wait: Duration,
) -> Result<Arc<CachedUser>, Problem> {
    let token = &caller.authenticated;
    let deadline = Instant::now() + wait.min(token.expires_at.since(access.clock.now()));
    // Subscribe first, then read: so no change is missed between the two.
    let mut changes = waiting.feed.subscribe(&token.user);
    while Instant::now() < deadline {
        if let Some(user) = user_of(access, token).await? {
            return Ok(user);
        }
        tokio::select! {
            () = changes.changed() => {}
            () = sleep_until(deadline.min(Instant::now() + REREAD_INTERVAL)) => {}
            () = waiting.stopping.cancelled() => break,
        }
    }
    Err(Problem::new(Code::UserNotSynced))
}
