//! A browser without a script, as far as the console needs one: it keeps the cookie and sends forms.

use std::sync::Mutex;

use reqwest::Method;
use reqwest::redirect::Policy;
use url::form_urlencoded::Serializer;
use usersync::internals::domain::Scope;

use super::app::TestApp;
use super::client::{Answer, answer};

/// Somebody at the console.
pub(crate) struct Visitor {
    http: reqwest::Client,
    base: String,
    cookie: Mutex<String>,
}

impl Visitor {
    /// Nobody is logged in.
    pub(crate) fn new(base: String) -> Self {
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, base, cookie: Mutex::default() }
    }

    /// Logged in with a new key.
    pub(crate) async fn logged_in(app: &TestApp) -> Self {
        let visitor = Self::new(app.console_url());
        let key = app.service_key_with([Scope::Admin].into_iter().collect()).await;
        assert_eq!(visitor.log_in(&key).await.status, 303);
        visitor
    }

    pub(crate) async fn log_in(&self, key: &str) -> Answer {
        self.send("/login", &[("key", key)]).await
    }

    pub(crate) fn cookie(&self) -> String {
        self.cookie.lock().unwrap().clone()
    }

    pub(crate) fn set_cookie(&self, cookie: &str) {
        *self.cookie.lock().unwrap() = cookie.to_owned();
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.base)).header("cookie", self.cookie())
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        readable(answer(self.request(Method::GET, path)).await)
    }

    /// A page, which must be there.
    pub(crate) async fn page(&self, path: &str) -> String {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {page:?}");
        page.text
    }

    /// Sends a form of the console, as a browser does.
    pub(crate) async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let token = token(&self.page("/keys").await);
        self.send(path, &[fields, &[("token", &token)]].concat()).await
    }

    /// Sends a form without the token of the session.
    pub(crate) async fn send(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let request = self.form(path, fields).header("sec-fetch-site", "same-origin");
        let answered = readable(answer(request).await);
        if let Some(set) = answered.headers.get("set-cookie") {
            let set = set.to_str().unwrap();
            self.set_cookie(set.split(';').next().unwrap());
        }
        answered
    }

    /// A form as any page may send it.
    pub(crate) fn form(&self, path: &str, fields: &[(&str, &str)]) -> reqwest::RequestBuilder {
        self.request(Method::POST, path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Serializer::new(String::new()).extend_pairs(fields).finish())
    }
}

/// With plain ampersands, so that links can be followed and compared. Other escaped letters stay as they are.
fn readable(page: Answer) -> Answer {
    Answer { text: page.text.replace("&#38;", "&"), ..page }
}

/// The token in the forms of a page.
pub(crate) fn token(page: &str) -> String {
    let (_, rest) = page.split_once("name=\"token\" value=\"").unwrap_or_else(|| panic!("no form in {page}"));
    rest.split_once('"').unwrap().0.to_owned()
}
