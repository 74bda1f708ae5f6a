//! Query parameters. A parameter that an endpoint does not have is refused, so that a misspelt one is noticed.

use actix_web::{HttpRequest, web};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::{Code, Problem};

/// The parameters of an endpoint that has none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NoParameters {}

/// Reads the parameters of a request.
pub(super) fn read<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, Problem> {
    let query = web::Query::<T>::from_query(request.query_string());
    // The error of serde repeats the unknown name, which may be anything.
    let cause = "a parameter is unknown, appears twice, or is not a number";
    query.map(web::Query::into_inner).map_err(|_| Problem::because(Code::InvalidQuery, cause))
}

/// Refuses a request that has any parameter.
pub(super) fn refuse_parameters(request: &HttpRequest) -> Result<(), Problem> {
    read::<NoParameters>(request).map(|_| ())
}
