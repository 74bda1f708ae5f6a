//! The console: pages for who runs the service, rendered on the server. They work without a script.
//!
//! A page is a file in `pages` and a template of the same name. Everything on it is asked of the same functions that the
//! commands and the API use. Who may see it is the type that its handler takes: [`access::Admin`] to look,
//! [`access::Post`] to act.

mod access;
mod assets;
mod chart;
mod failure;
mod frame;
mod layout;
mod logins;
mod mask;
mod methods;
mod pages;
mod provenance;
mod runs;
mod send;
mod state;
mod tasks;

pub(crate) use state::{Access, Console, Parts};

use std::sync::Arc;

use actix_web::middleware::from_fn;
use actix_web::web::{self, FormConfig, QueryConfig, ServiceConfig};

use self::failure::Failure;
use self::methods::{form, page, page_with_form};
use crate::http::Mount;

/// The largest form: a delivery of the largest usual size, with every character escaped.
const LARGEST_FORM: usize = 4 << 20;

impl Console {
    /// The routes, to be served by a listener.
    pub(crate) fn mount(self) -> Mount {
        Mount(Arc::new(move |app| routes(app, &self)))
    }
}

fn routes(app: &mut ServiceConfig, console: &Console) {
    let framed = console.clone();
    app.app_data(web::Data::new(console.clone()))
        .app_data(
            FormConfig::default().limit(LARGEST_FORM).error_handler(|error, _| Failure::from(error).into()),
        )
        .app_data(QueryConfig::default().error_handler(|error, _| Failure::from(error).into()));
    let scope = web::scope(console.base())
        .wrap(from_fn(move |request, next| frame::frame(framed.clone(), request, next)))
        .service(page("/assets/{name}", assets::show))
        .service(page_with_form("/login", pages::login::show, pages::login::log_in))
        .service(form("/logout", pages::login::log_out));
    app.service(pages::mount(scope).default_service(web::to(pages::not_found)));
}
