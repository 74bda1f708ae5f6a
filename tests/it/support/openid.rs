//! A third-party OpenID Connect provider, and the app's side of it: a user logs in and consents, and the app has an ID
//! token. There is no browser: the code follows redirects, cookies and forms itself.

use std::collections::BTreeMap;

use aws_lc_rs::digest::{SHA256, digest};
use reqwest::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder, Response};
use serde_json::{Value, json};
use url::{Url, form_urlencoded};
use uuid::Uuid;

use super::peers::{OIDC_PROVIDER, RunningScript};
use super::signer::base64url;

/// Redirects and pages of one login; there are some eight.
const MAX_STEPS: usize = 20;

/// The `oidc-provider` package; each of its clients is named after the algorithm that its ID tokens are
/// signed with.
pub(crate) struct OpenIdProvider {
    peer: RunningScript,
    issuer: Url,
    redirect_uri: String,
}

impl OpenIdProvider {
    /// `None`, with a warning, if it is not installed.
    pub(crate) async fn start() -> Option<Self> {
        let mut peer = OIDC_PROVIDER.start()?;
        let ready = peer.read_line().await;
        let text = |name: &str| ready[name].as_str().unwrap();
        let (issuer, redirect_uri) = (text("issuer").parse().unwrap(), text("redirectUri").to_owned());
        Some(Self { peer, issuer, redirect_uri })
    }

    pub(crate) fn issuer(&self) -> &Url {
        &self.issuer
    }

    /// As it is in tokens.
    pub(crate) fn issuer_text(&self) -> &str {
        self.issuer.as_str().trim_end_matches('/')
    }

    /// Gives it new keys: the old ones are no longer used or published.
    pub(crate) async fn rotate_keys(&mut self) {
        self.peer.ask(&json!({})).await;
    }

    /// The ID token of a user who logs in to an app, by the authorisation-code flow with PKCE.
    pub(crate) async fn log_in(&self, user: &str, client_id: &str) -> String {
        let mut browser = Browser::new(user);
        let discovery = self.issuer.join("/.well-known/openid-configuration").unwrap();
        let document = json_of(browser.send(browser.http.get(discovery)).await).await;
        let endpoint = |name: &str| document[name].as_str().unwrap();

        let verifier = format!("{}{}", Uuid::now_v7().simple(), Uuid::now_v7().simple());
        let challenge = base64url(digest(&SHA256, verifier.as_bytes()));
        let asked = [
            ("client_id", client_id),
            ("response_type", "code"),
            ("redirect_uri", &self.redirect_uri),
            ("scope", "openid profile email phone address"),
            ("state", "a-state"),
            ("nonce", "a-nonce"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        let start = Url::parse_with_params(endpoint("authorization_endpoint"), asked).unwrap();
        let returned = browser.follow_redirects(start, &self.redirect_uri).await;
        let answer: BTreeMap<_, _> = returned.query_pairs().collect();
        assert_eq!(answer.get("state").map(AsRef::as_ref), Some("a-state"), "{returned}");

        let exchange = [
            ("grant_type", "authorization_code"),
            ("client_id", client_id),
            ("redirect_uri", &self.redirect_uri),
            ("code", &answer["code"]),
            ("code_verifier", &verifier),
        ];
        let request = form(browser.http.post(endpoint("token_endpoint")), &exchange);
        let tokens = json_of(browser.send(request).await).await;
        tokens["id_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
    }
}

/// The parts of a browser that a login needs, and its user.
struct Browser<'a> {
    http: Client,
    cookies: BTreeMap<String, String>,
    user: &'a str,
}

impl<'a> Browser<'a> {
    fn new(user: &'a str) -> Self {
        let http = Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Self { http, cookies: BTreeMap::new(), user }
    }

    /// Follows the pages until one sends the user back to the app: the address that the app is requested for
    /// then.
    async fn follow_redirects(&mut self, start: Url, back: &str) -> Url {
        let (mut at, mut request) = (start.clone(), self.http.get(start));
        for _ in 0..MAX_STEPS {
            let response = self.send(request).await;
            if let Some(location) = response.headers().get(LOCATION) {
                at = at.join(location.to_str().unwrap()).unwrap();
                if at.as_str().starts_with(back) {
                    return at;
                }
                request = self.http.get(at.clone());
            } else {
                let page = response.text().await.unwrap();
                request = self.fill_in(&at, &page);
            }
        }
        panic!("too many redirects, the last one to {at}");
    }

    /// Submits the page's form: the login, or the consent, which has nothing to fill in.
    fn fill_in(&self, at: &Url, page: &str) -> RequestBuilder {
        let action = between(page, "action=\"", "\"").unwrap_or_else(|| panic!("{at} has no form: {page}"));
        let prompt = between(page, "name=\"prompt\" value=\"", "\"").unwrap();
        let fields = [("prompt", prompt), ("login", self.user), ("password", "any")];
        let fields = if prompt == "login" { &fields[..] } else { &fields[..1] };
        form(self.http.post(at.join(action).unwrap()), fields)
    }

    async fn send(&mut self, request: RequestBuilder) -> Response {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response = request.header(COOKIE, cookies.join("; ")).send().await.unwrap();
        for cookie in response.headers().get_all(SET_COOKIE) {
            let pair = cookie.to_str().unwrap().split(';').next().unwrap();
            let (name, value) = pair.split_once('=').unwrap();
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
        response
    }
}

fn form(request: RequestBuilder, fields: &[(&str, &str)]) -> RequestBuilder {
    let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body)
}

async fn json_of(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

fn between<'t>(text: &'t str, before: &str, after: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(before)?;
    Some(rest.split_once(after)?.0)
}
