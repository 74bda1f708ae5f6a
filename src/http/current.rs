//! `GET /v1/users/current`: the user whom a token speaks for.

use actix_web::web;

use super::extract::CurrentUser;
use super::problem::Document;
use super::users::UserView;

/// The row of the token's user.
#[utoipa::path(
    get, path = "/v1/users/current", tag = "users", security(("userToken" = [])),
    responses(
        (status = 200, description = "The user", body = UserView),
        (status = 401, description = "`invalid_auth_header`, `no_auth_provider`, `unauthenticated`", body = Document),
        (status = 404, description = "`user_not_synced`: the webhook has not come yet", body = Document),
        (status = 410, description = "`user_deleted`", body = Document),
        (status = 503, description = "`keys_unavailable`, `database_unavailable`", body = Document),
    )
)]
pub(super) async fn show(user: CurrentUser) -> web::Json<UserView> {
    web::Json(UserView::from(user.0))
}
