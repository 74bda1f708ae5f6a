//! Authorization by types: a handler that takes one of these is only called for an authorized request.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{self, HeaderMap};
use actix_web::{FromRequest, HttpRequest, web};

use super::problem::{Code, Problem};
use super::state::AuthContext;
use crate::auth::{Authenticated, service_key};
use crate::domain::{RequiredScope, User, UsersRead};
use crate::sync::{CachedLookup, CachedUser};

/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

/// The user of a verified token. The user is not deleted; a row may not exist yet.
#[derive(Debug)]
pub(super) struct Caller {
    pub(super) authenticated: Arc<Authenticated>,
    pub(super) user: Option<Arc<CachedUser>>,
}

/// The row of the user of a verified token: for handlers of any actix-web app that is given
/// [`crate::app::App::data`].
///
/// A handler that takes one is only called for such a user. Every other request gets the answer of
/// `GET /v1/users/current`, as `application/problem+json`: 401 without a good token, 404 `user_not_synced`,
/// 410 `user_deleted`, 503. To answer in another way, take a `Result<CurrentUser, Problem>`; for routes that
/// are open to everyone, an `Option<CurrentUser>`.
#[derive(Clone, Debug)]
pub struct CurrentUser(pub User);

/// A service key that is not revoked and has the required scope, such as `ServiceKey<UsersRead>`.
#[derive(Debug)]
pub(super) struct ServiceKey<S>(PhantomData<S>);

/// Who may look users up: a service, which sees everything, or a user, who sees the public view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Service,
    User,
}

impl FromRequest for Reader {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        // The prefix only decides which check applies.
        if bearer(request.headers()).is_ok_and(service_key::looks_like_service_key) {
            let key = ServiceKey::<UsersRead>::from_request(request, payload);
            return Box::pin(async move { key.await.map(|_| Self::Service) });
        }
        let caller = Caller::from_request(request, payload);
        Box::pin(async move { caller.await.map(|_| Self::User) })
    }
}

impl FromRequest for Caller {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let access = access(&request)?;
            let checked = authenticate(access, request.headers()).await;
            access.metrics.token(checked.as_ref().map_or_else(Problem::code, |_| "ok"));
            let authenticated = checked?;
            let user = user_of(access, &authenticated).await?;
            Ok(Self { authenticated, user })
        })
    }
}

impl FromRequest for CurrentUser {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let caller = Caller::from_request(request, payload);
        Box::pin(async move {
            let user = caller.await?.user.ok_or_else(|| Problem::new(Code::UserNotSynced))?;
            Ok(Self(User::clone(&user)))
        })
    }
}

impl<S: RequiredScope> FromRequest for ServiceKey<S> {
    type Error = Problem;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let access = access(&request)?;
            let hash = service_key::hash(bearer(request.headers())?);
            let known = access.store.api_keys().find(&hash).await?;
            match known {
                None => Err(Problem::because(Code::Unauthenticated, "no such service key")),
                Some(key) if key.revoked_at.is_some() => Err(Problem::because(
                    Code::Unauthenticated,
                    format!("service key {} is revoked", key.prefix),
                )),
                Some(key) if !key.scopes.include(S::SCOPE) => {
                    Err(Problem::insufficient_scope(S::SCOPE, &key.prefix))
                }
                Some(_) => {
                    access.key_use.record(&access.store, hash, access.clock.now());
                    Ok(Self(PhantomData))
                }
            }
        })
    }
}

/// Reads the whole body. Nothing past the limit is kept in memory.
pub(super) async fn body(payload: web::Payload, limit: usize) -> Result<Vec<u8>, Problem> {
    let read = tokio::time::timeout(BODY_TIMEOUT, payload.to_bytes_limited(limit));
    match read.await {
        Err(_) => Err(Problem::new(Code::BodyTimeout)),
        Ok(Err(_)) => Err(Problem::new(Code::BodyTooLarge)),
        Ok(Ok(Err(error))) => Err(Problem::because(Code::BodyBroken, error)),
        Ok(Ok(Ok(body))) => Ok(body.into()),
    }
}

/// What every handler works with.
fn access(request: &HttpRequest) -> Result<&AuthContext, Problem> {
    let access = request.app_data::<web::Data<AuthContext>>();
    let missing = "the app was not given usersync's data: `.app_data(usersync.data())`";
    Ok(access.ok_or_else(|| Problem::because(Code::Internal, missing))?)
}

async fn authenticate(access: &AuthContext, headers: &HeaderMap) -> Result<Arc<Authenticated>, Problem> {
    Ok(access.authenticator.authenticate(bearer(headers)?).await?)
}

/// The row of the token's user. The token of a deleted user is refused, even before it expires.
pub(super) async fn user_of(
    access: &AuthContext,
    token: &Authenticated,
) -> Result<Option<Arc<CachedUser>>, Problem> {
    let ids = access.sources.ids(&token.user.source);
    let (user, deleted_at) = match access.users.get(&token.user).await? {
        CachedLookup::Row(user) => (Some(Arc::clone(&user)), user.deleted_at),
        CachedLookup::NoRow(deleted_at) => (None, deleted_at),
    };
    match deleted_at {
        Some(deleted_at) if ids.ended(deleted_at, token.issued_at) => Err(Problem::new(Code::UserDeleted)),
        _ => Ok(user),
    }
}

/// The one `Authorization: Bearer …`.
fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let invalid = |why| Problem::because(Code::InvalidAuthHeader, why);
    let mut values = headers.get_all(header::AUTHORIZATION);
    let value = values.next().ok_or_else(|| invalid("there is no Authorization header"))?;
    if values.next().is_some() {
        return Err(invalid("there are several Authorization headers"));
    }
    // A header never contains control characters. `to_str` would look for them again, byte by byte.
    let value = str::from_utf8(value.as_bytes()).ok().filter(|value| value.is_ascii());
    let value = value.ok_or_else(|| invalid("the Authorization header is not visible ASCII"))?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty() => {
            Ok(token.trim())
        }
        _ => Err(invalid("the Authorization header is not `Bearer <token>`")),
    }
}
