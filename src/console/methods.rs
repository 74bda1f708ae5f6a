//! The methods of each address. Any other is refused, with an `Allow` header.

use actix_web::{FromRequest, Handler, HttpResponse, Resource, Responder, Route, guard, web};

use super::failure::Failure;

/// A page.
pub(super) fn page<F, Args>(path: &str, show: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    refusing_others(web::resource(path).route(read().to(show)), "GET, HEAD")
}

/// A page with a form that is sent to its own address.
pub(super) fn page_with_form<F, Args, G, FormArgs>(path: &str, show: F, act: G) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
    G: Handler<FormArgs>,
    FormArgs: FromRequest + 'static,
    G::Output: Responder + 'static,
{
    let resource = web::resource(path).route(read().to(show)).route(web::post().to(act));
    refusing_others(resource, "GET, HEAD, POST")
}

/// The address of a form.
pub(super) fn form<F, Args>(path: &str, act: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    refusing_others(web::resource(path).route(web::post().to(act)), "POST")
}

/// HEAD has the same answers as GET.
fn read() -> Route {
    web::route().guard(guard::Any(guard::Get()).or(guard::Head()))
}

fn refusing_others(resource: Resource, allowed: &'static str) -> Resource {
    resource.default_service(web::to(move || async move {
        Err::<HttpResponse, Failure>(Failure::WrongMethod { allowed })
    }))
}
