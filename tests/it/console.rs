//! The console's login, sessions, forms and headers, on a listener of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use reqwest::Method;
use usersync::internals::clock::Clock;
use usersync::internals::config::Config;
use usersync::internals::domain::Scope;

use crate::support::app::TestApp;
use crate::support::binary::ProgramFixture;
use crate::support::client::{Client, answer};
use crate::support::console::{Visitor, token};

pub(crate) fn with_console(config: &mut Config) {
    config.admin.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
}

async fn admin_key(app: &TestApp) -> String {
    app.service_key_with([Scope::Admin].into_iter().collect()).await
}

async fn only_an_active_admin_key_logs_in(app: &TestApp) {
    let visitor = Visitor::new(app.console_url());
    let asked = visitor.get("/deliveries?source=clerk").await;
    assert_eq!((asked.status, asked.header("location")), (303, "/login?next=%2Fdeliveries%3Fsource%3Dclerk"));
    let reading = app.service_key_with([Scope::UsersRead].into_iter().collect()).await;
    for wrong in ["", "usk_0000", reading.as_str()] {
        let refused = visitor.log_in(wrong).await;
        assert_eq!((refused.status, refused.header("set-cookie")), (401, ""));
        assert!(refused.text.contains("not an active service key") && !refused.text.contains("usk_0000"));
    }
    let key = admin_key(app).await;
    let entered = visitor.send("/login", &[("key", &key), ("next", "/users?q=a")]).await;
    assert_eq!((entered.status, entered.header("location")), (303, "/users?q=a"));
    let cookie = entered.header("set-cookie");
    assert!(cookie.contains("; HttpOnly; SameSite=Strict;") && !cookie.contains(&key), "{cookie}");
    assert!(visitor.page("/").await.contains("Overview"));
    assert_eq!(visitor.get("/nowhere").await.status, 404);
}

on_both_databases!(only_an_active_admin_key_logs_in, configured by with_console);

async fn a_login_never_leads_to_another_site(app: &TestApp) {
    let key = admin_key(app).await;
    let others = [
        "//evil.example",
        "https://evil.example/",
        "/\\evil.example",
        "/\t/evil.example",
        "/\u{1}",
        "evil",
        "",
    ];
    for next in others {
        let visitor = Visitor::new(app.console_url());
        let entered = visitor.send("/login", &[("key", &key), ("next", next)]).await;
        assert_eq!((entered.status, entered.header("location")), (303, "/"), "{next}");
        app.clock.advance(Duration::from_mins(1));
    }
}

on_both_databases!(a_login_never_leads_to_another_site, configured by with_console);

async fn five_attempts_a_minute_are_allowed(app: &TestApp) {
    let (visitor, key) = (Visitor::new(app.console_url()), admin_key(app).await);
    for _ in 0..5 {
        assert_eq!(visitor.log_in("usk_wrong").await.status, 401);
    }
    assert_eq!(visitor.log_in(&key).await.status, 429, "even with the right key");
    app.clock.advance(Duration::from_mins(1));
    assert_eq!(visitor.log_in(&key).await.status, 303);
}

on_both_databases!(five_attempts_a_minute_are_allowed, configured by with_console);

async fn a_session_ends_with_its_key_or_its_time_or_by_logging_out(app: &TestApp) {
    let is_in = async |visitor: &Visitor| visitor.get("/").await.status == 200;
    let idle = Visitor::logged_in(app).await;
    app.clock.advance(Duration::from_mins(29));
    assert!(is_in(&idle).await, "used again within half an hour");
    app.clock.advance(Duration::from_mins(29));
    assert!(is_in(&idle).await);
    app.clock.advance(Duration::from_mins(30));
    assert!(!is_in(&idle).await);

    let unattended = Visitor::logged_in(app).await;
    let poll = async || answer(unattended.request(Method::GET, "/").header("hx-request", "true")).await;
    app.clock.advance(Duration::from_mins(29));
    assert_eq!(poll().await.status, 200);
    app.clock.advance(Duration::from_mins(1));
    let ended = poll().await;
    assert_eq!(
        (ended.status, ended.header("hx-refresh")),
        (401, "true"),
        "a page that polls is not somebody"
    );

    let without_script = Visitor::logged_in(app).await;
    let page = without_script.page("/").await;
    assert!(page.contains("<noscript><meta http-equiv=\"refresh\" content=\"10; url=/?poll=1\">"), "{page}");
    app.clock.advance(Duration::from_mins(29));
    assert_eq!(without_script.get("/?poll=1").await.status, 200);
    app.clock.advance(Duration::from_mins(1));
    let ended = without_script.get("/?poll=1").await;
    assert_eq!((ended.status, ended.header("location")), (303, "/login?next=%2F%3Fpoll%3D1"));

    let long = Visitor::logged_in(app).await;
    for _ in 0..35 {
        app.clock.advance(Duration::from_mins(20));
        assert!(is_in(&long).await);
    }
    app.clock.advance(Duration::from_mins(20));
    assert!(!is_in(&long).await, "after twelve hours");

    let key = admin_key(app).await;
    let revoked = Visitor::new(app.console_url());
    revoked.log_in(&key).await;
    assert!(is_in(&revoked).await);
    assert_eq!(app.store.api_keys().revoke(&key[..12], app.clock.now()).await.unwrap(), 1);
    assert!(!is_in(&revoked).await, "at the next request");

    let leaving = Visitor::logged_in(app).await;
    let cookie = leaving.cookie();
    assert_eq!(leaving.post("/logout", &[]).await.status, 303);
    leaving.set_cookie(&cookie);
    assert!(!is_in(&leaving).await, "the cookie is worth nothing any more");
    leaving.set_cookie("usersync_admin=0000");
    assert!(!is_in(&leaving).await);
}

on_both_databases!(a_session_ends_with_its_key_or_its_time_or_by_logging_out, configured by with_console);

async fn a_form_is_accepted_from_the_console_itself_alone(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    let token = token(&visitor.page("/keys").await);
    let fields = [("name", "app"), ("users_read", "1"), ("token", token.as_str())];
    let keys = async || app.store.api_keys().list().await.unwrap().len();
    let before = keys().await;
    for site in ["cross-site", "same-site", "none"] {
        let forged = answer(visitor.form("/keys", &fields).header("sec-fetch-site", site)).await;
        assert_eq!(forged.status, 403, "{site}");
    }
    assert_eq!(answer(visitor.form("/keys", &fields)).await.status, 403, "nothing says where it comes from");
    let foreign = visitor.form("/keys", &fields).header("origin", "https://evil.example");
    assert_eq!(answer(foreign).await.status, 403);
    for wrong in [("token", "0000"), ("name", "app")] {
        let unsigned = visitor.send("/keys", &[("name", "app"), ("users_read", "1"), wrong]).await;
        assert!([400, 403].contains(&unsigned.status), "{unsigned:?}");
    }
    let of_another = Visitor::logged_in(app).await;
    assert_eq!(of_another.send("/keys", &fields).await.status, 403, "a token of another session");
    assert_eq!(keys().await, before + 1, "the key of the other visitor alone");
    assert_eq!(visitor.send("/keys", &fields).await.status, 200);
    assert_eq!(keys().await, before + 2);
    // Chromium sends this for a form of a page with `Referrer-Policy: no-referrer`.
    let own = visitor.form("/keys", &[("name", "app 2"), ("users_read", "1"), ("token", &token)]);
    let own = own.header("origin", "null").header("sec-fetch-site", "same-origin");
    assert_eq!(answer(own).await.status, 200);
}

on_both_databases!(a_form_is_accepted_from_the_console_itself_alone, configured by with_console);

async fn every_answer_has_the_headers_that_protect_it(app: &TestApp) {
    let visitor = Visitor::logged_in(app).await;
    for path in ["/", "/login", "/nowhere", "/assets/console.css", "/user?source=clerk&id=nobody"] {
        let page = visitor.get(path).await;
        let policy = page.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{path}: {policy}");
        assert!(!policy.contains("unsafe") && policy.contains("frame-ancestors 'none'"), "{policy}");
        for (name, value) in [
            ("referrer-policy", "no-referrer"),
            ("x-content-type-options", "nosniff"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path}");
        }
        let is_asset = path.starts_with("/assets/");
        assert_eq!(page.header("cache-control") == "no-store", !is_asset, "{path}");
    }
}

on_both_databases!(every_answer_has_the_headers_that_protect_it, configured by with_console);

async fn a_link_of_another_site_leads_to_the_page_and_not_to_the_login(app: &TestApp) {
    let visitor = Visitor::new(app.console_url());
    let followed = visitor.request(Method::GET, "/users?q=a").header("sec-fetch-site", "cross-site");
    let page = answer(followed).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("content=\"0; url=/users?q=a\""), "{}", page.text);
    // A browser would read such a path as the address of another host.
    let followed = visitor.request(Method::GET, "//evil.example/").header("sec-fetch-site", "cross-site");
    let page = answer(followed).await;
    assert!(!page.text.contains("evil.example"), "{}", page.text);
}

on_both_databases!(a_link_of_another_site_leads_to_the_page_and_not_to_the_login, configured by with_console);

async fn it_is_not_on_the_public_listener(app: &TestApp) {
    for path in ["/console", "/console/", "/login", "/deliveries", "/keys"] {
        assert_eq!(app.client.get(path).await.brief(), "404 not_found", "{path}");
    }
}

on_both_databases!(it_is_not_on_the_public_listener, configured by with_console);

#[tokio::test]
async fn the_program_serves_it_where_the_settings_say() {
    let home = ProgramFixture::on_sqlite().with("USERSYNC_ADMIN__LISTEN", "127.0.0.1:0");
    let mut service = home.start(&["serve"]);
    let line = service.line_with("sources").await;
    let (_, address) = line.split_once("console=").unwrap();
    let address = address.split_whitespace().next().unwrap();
    let login = Visitor::new(format!("http://{address}")).get("/").await;
    assert_eq!((login.status, login.header("location")), (303, "/login?next=%2F"));
    service.stop().await;
}

#[tokio::test]
async fn a_refused_login_is_logged_with_address_and_reason_but_without_the_key() {
    let mut home = ProgramFixture::on_sqlite().with("USERSYNC_ADMIN__LISTEN", "127.0.0.1:0");
    home.set("USERSYNC_SERVER__TRUSTED_PROXIES", "127.0.0.1/32");
    let mut service = home.start(&["serve"]);
    let line = service.line_with("sources").await;
    let (_, address) = line.split_once("console=").unwrap();
    let visitor = Visitor::new(format!("http://{}", address.split_whitespace().next().unwrap()));
    let made = async |name: &str, scope: &str| {
        home.run(&["keys", "create", name, "--scope", scope]).await.stdout.trim_end().to_owned()
    };
    let (reading, revoked) = (made("reading", "users:read").await, made("revoked", "admin").await);
    assert_eq!(home.run(&["keys", "revoke", "revoked"]).await.code, Some(0));
    let keys = [("usk_private", "unknown_key"), (&reading, "no_admin_scope"), (&revoked, "revoked_key")];
    let log_in = async |key: &str| {
        let form = visitor.form("/login", &[("key", key)]).header("sec-fetch-site", "same-origin");
        answer(form.header("x-forwarded-for", "192.0.2.7")).await.status
    };
    for (key, reason) in keys {
        assert_eq!(log_in(key).await, 401);
        let line = service.line_with(reason).await;
        assert!(line.contains("WARN") && line.contains("a login to the console was refused"), "{line}");
        assert!(line.contains("192.0.2.7"), "{line}");
    }
    while log_in("usk_private").await != 429 {}
    let line = service.line_with("too_many_logins").await;
    assert!(line.contains("WARN") && line.contains("192.0.2.7"), "{line}");
    let log = service.stop().await.stderr;
    for (key, _) in keys {
        assert!(!log.contains(key), "{log}");
    }
}

#[tokio::test]
async fn in_dev_it_needs_no_login_and_answers_to_this_machine_alone() {
    let home = ProgramFixture::bare();
    let mut dev = home.start(&["dev", "--listen", "127.0.0.1:0"]);
    dev.line_with("Press Ctrl-C to stop").await;
    let printed = dev.stdout();
    let (_, rest) = printed.split_once("Look at everything in your browser: ").unwrap();
    let url = rest.lines().next().unwrap().to_owned();
    let client = Client::new(url.clone(), String::new(), Clock::system());
    let page = client.get("").await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("Overview") && page.text.contains("/console/deliveries"), "{}", page.text);
    assert!(client.get("/users").await.text.contains("Grace Hopper"));
    for host in ["rebound.example:8787", "localhost.example", "10.0.0.1"] {
        for path in ["", "/users", "/assets/console.css", "/login", "/nowhere"] {
            let foreign = answer(client.request(Method::GET, path).header("host", host)).await;
            assert_eq!(foreign.status, 403, "{host} {path}");
            assert!(!foreign.text.contains("Grace Hopper"));
        }
    }
    let visitor = Visitor::new(url);
    assert_eq!(visitor.send("/keys", &[("name", "app"), ("users_read", "1")]).await.status, 403);
    let made = visitor.post("/keys", &[("name", "app"), ("users_read", "1")]).await;
    assert!(made.text.contains("usk_"), "{}", made.text);
    dev.stop().await;
}
