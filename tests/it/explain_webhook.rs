//! `usersync explain webhook`: mistake misconfigurations. Each is named correctly, and no secret is shown.

use http::{HeaderMap, HeaderName};
use serde_json::Value;
use usersync::internals::domain::Timestamp;
use usersync::internals::providers::Source;

use crate::support::app::{NOW, OLD_SECRET, SECRET};
use crate::support::client::fixture::{CREATED, DELETED};
use crate::support::client::{SignedRequest, signed_at};
use crate::support::command::{CommandDirectory, ProgramOutput};

/// The secret of an endpoint that is not configured.
const FOREIGN_SECRET: &str = "whsec_plJ3nmyCDGBKInavdOK15jsl";

/// The source `clerk` with these secrets, and a source `other` with the old secret.
fn configuration(secrets: &str) -> String {
    let rule = "[[sources.tokens]]\ntype = 'oidc'\ndomain = 'https://id.example.com'\napplicationID = 'x'";
    format!(
        "[server]\nbody_limit = 100000\n[[sources]]\nname = 'clerk'\nprovider = 'clerk'\nwebhook_secrets = [{secrets}]\n\
         {rule}\n[[sources]]\nname = 'other'\nprovider = 'clerk'\nwebhook_secrets = ['{OLD_SECRET}']\n"
    )
}

/// A saved delivery, and what its report must contain.
struct Mistake {
    secrets: String,
    wire: SignedRequest,
    at: i64,
    /// The checks that fail; none if all pass.
    checks: &'static [&'static str],
    says: &'static str,
}

/// Signed with the source's secret now, then changed.
fn mistake(
    change: impl FnOnce(&mut SignedRequest),
    checks: &'static [&'static str],
    says: &'static str,
) -> Mistake {
    let mut wire = signed_at("msg_1", NOW, SECRET, CREATED);
    change(&mut wire);
    Mistake { secrets: format!("'{SECRET}'"), wire, at: NOW, checks, says }
}

fn good() -> Mistake {
    mistake(|_| (), &[], "")
}

fn compact(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap().to_string()
}

async fn explain(all: impl IntoIterator<Item = Mistake>) {
    for Mistake { secrets, wire, at, checks, says } in all {
        let desk = CommandDirectory::with(&configuration(&secrets));
        let lines = wire.headers.iter().map(|(name, value)| format!("{}: {value}\r\n", name.to_uppercase()));
        desk.put("headers", format!("POST {} HTTP/1.1\r\n{}", wire.path, lines.collect::<String>()));
        desk.put("body", &wire.body);
        let source = wire.path.rsplit('/').next().unwrap();
        let at_text = at.to_string();
        let arguments = [
            "explain",
            "webhook",
            "--headers",
            "headers",
            "--body",
            "body",
            "--source",
            source,
            "--at",
            &at_text,
        ];
        let said = desk.run(&arguments, "").await;
        assert_eq!(said.code, Some(i32::from(!checks.is_empty())), "{said:?}");
        assert_eq!(said.verdicts("FAILED"), checks, "{said:?}");
        assert!(said.stdout.contains(says), "{says:?} is not in {said:?}");
        let decided = decided(&desk, source, &wire, at);
        assert_eq!(
            decided,
            checks.first().copied().unwrap_or_default(),
            "the service decides otherwise: {said:?}"
        );
        assert_no_secrets(&said, &wire);
        assert!(!desk.path("usersync.db").exists(), "something was written");
    }
}

/// The check that the service itself names; empty if it accepts.
fn decided(desk: &CommandDirectory, name: &str, wire: &SignedRequest, at: i64) -> &'static str {
    let config = desk.config();
    let Some(settings) = config.sources.iter().find(|source| source.name == name) else { return "source" };
    if wire.body.len() > config.server.body_limit {
        return "size";
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &wire.headers {
        headers.append(HeaderName::try_from(*name).unwrap(), value.parse().unwrap());
    }
    let (source, at) = (Source::new(settings).unwrap(), Timestamp::from_seconds(at));
    let message = match source.verify(&headers, wire.body.clone(), at) {
        Err(error) => return error.check(),
        Ok(message) => message,
    };
    match source.read(message, at) {
        Err(_) => "json",
        Ok(read) if format!("{read:?}").contains("Unreadable") => "event",
        Ok(_) => "",
    }
}

fn assert_no_secrets(said: &ProgramOutput, wire: &SignedRequest) {
    let everything = said.everything();
    let signatures = wire.headers.iter().filter(|(name, _)| name.ends_with("signature"));
    let secrets = [SECRET, OLD_SECRET, FOREIGN_SECRET].map(|secret| &secret[8..]).into_iter();
    let private = secrets.chain(signatures.filter_map(|(_, value)| value.get(8..)).filter(|it| it.len() > 8));
    for private in private.chain(["@example.com", "Lovelace", "img.clerk.com"]) {
        assert!(!everything.contains(private), "{private:?} is in {everything}");
    }
}

#[tokio::test]
async fn the_wrong_secret() {
    let by = |secret: &str| signed_at("msg_1", NOW, secret, CREATED);
    let literally = {
        // As a sender does that takes the secret's text for the key.
        use base64::Engine;
        let secret = format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(SECRET));
        signed_at("msg_1", NOW, &secret, CREATED)
    };
    explain([
        Mistake {
            wire: by(FOREIGN_SECRET),
            checks: &["signature"],
            says: "put this endpoint's own secret",
            ..good()
        },
        Mistake {
            wire: by(OLD_SECRET),
            checks: &["signature"],
            says: "secret 1 of 1 in webhook_secrets of source `other`",
            ..good()
        },
        Mistake {
            wire: literally,
            checks: &["signature"],
            says: "signs with the characters of the secret",
            ..good()
        },
        Mistake {
            secrets: String::new(),
            checks: &["secret"],
            says: "signing secret in webhook_secrets of sources[0] (`clerk`)",
            ..good()
        },
        Mistake {
            secrets: format!("'{FOREIGN_SECRET}', '{SECRET}'"),
            says: "matches secret 2 of 2 in webhook_secrets",
            ..good()
        },
    ])
    .await;
}

#[tokio::test]
async fn a_rewritten_body() {
    let body = |from: String, to: String| {
        let mut wire = signed_at("msg_1", NOW, SECRET, from);
        wire.body = to.into_bytes();
        wire
    };
    let small = compact(CREATED);
    let spaced = small.replace("\":", "\": ").replace(",\"", ", \"");
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(CREATED).unwrap()).unwrap();
    let says = |wire, says| Mistake { wire, checks: &["signature"], says, ..good() };
    explain([
        says(body(small.clone(), spaced.clone()), "the body written compactly"),
        says(body(spaced, small.clone()), "with a space after each comma and colon"),
        says(body(pretty.clone(), small.clone()), "the body indented by 2"),
        says(body(small.clone(), pretty.clone()), "the body written compactly"),
        says(body(small.clone(), small.replace('/', "\\/")), "without unnecessary escapes"),
        says(body(small.clone(), format!("{small}\n")), "without the line break at its end"),
        says(body(format!("{small}\n"), small.clone()), "with a line break at its end"),
        says(body(pretty.clone(), pretty.replace('\n', "\r\n")), "with LF instead of CRLF"),
        says(
            body(small.clone(), small.replace("Ada", "Eve")),
            "the body, the id or the timestamp was changed",
        ),
        says(body(small.clone(), String::new()), "the body, the id or the timestamp was changed"),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_clock() {
    let tolerance = &["tolerance"];
    let old = "let the provider send it again, or check the file with --at 2026-01-04T12:00:00Z";
    let both = &["tolerance", "signature"];
    let late = || Mistake { at: NOW + 600, checks: tolerance, says: "600 s old", ..good() };
    explain([
        late(),
        Mistake { says: old, ..late() },
        Mistake { says: "matches secret 1 of 1", ..late() },
        Mistake { at: NOW - 600, checks: tolerance, says: "this machine's clock is behind", ..good() },
        Mistake { at: NOW + 600, ..mistake(|wire| wire.body.push(b'\n'), both, "without the line break") },
        mistake(|wire| wire.headers[1].1 = i64::MAX.to_string(), tolerance, "it is not a time in seconds"),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_headers() {
    let headers = &["headers"];
    let wearing = |name: &'static str| {
        move |wire: &mut SignedRequest| {
            wire.headers = vec![(name, "0123456789abcdef0123456789abcdef".to_owned())];
        }
    };
    let mixed = |wire: &mut SignedRequest| wire.headers[0].0 = "webhook-id";
    let twice = |wire: &mut SignedRequest| wire.headers.push(("svix-id", "msg_2".to_owned()));
    let renamed = |wire: &mut SignedRequest| wire.headers[2].1 = wire.headers[2].1.replace("v1,", "sha256=");
    explain([
        mistake(|wire| wire.headers.clear(), headers, "it is not signed"),
        mistake(|wire| wire.headers.truncate(2), headers, "the request has only svix-id, svix-timestamp"),
        mistake(mixed, headers, "`svix-` and `webhook-` headers are mixed"),
        mistake(twice, headers, "must be sent once"),
        mistake(wearing("workos-signature"), headers, "of WorkOS"),
        mistake(wearing("authorization"), headers, "a bearer token, as of Auth0's event streams"),
        mistake(|wire| wire.headers[1].1 = format!("{NOW}000"), &["tolerance"], "perhaps in milliseconds"),
        mistake(
            |wire| wire.headers[1].1 = "2026-01-04".to_owned(),
            &["timestamp"],
            "did something rewrite it",
        ),
        mistake(renamed, &["signature"], "contains no `v1,…`"),
        mistake(
            |wire| wire.headers[0].1 = "msg_2".to_owned(),
            &["signature"],
            "the body, the id or the timestamp",
        ),
    ])
    .await;
}

#[tokio::test]
async fn the_wrong_source_and_the_content_of_a_body() {
    let of = |body: &str| signed_at("msg_1", NOW, SECRET, body);
    let parked = "would be parked";
    explain([
        mistake(|wire| wire.path = "/webhooks/clerkk".to_owned(), &["source"], "one of `clerk`, `other`"),
        mistake(
            |wire| wire.path = "/webhooks/other".to_owned(),
            &["signature"],
            "of source `clerk`: correct the URL",
        ),
        Mistake { wire: of(&"x".repeat(100_001)), checks: &["size"], says: "raise body_limit", ..good() },
        Mistake { wire: of("x"), checks: &["json"], says: "check what the provider", ..good() },
        Mistake {
            wire: of(r#"{"type":"user.created","data":{}}"#),
            checks: &["event"],
            says: parked,
            ..good()
        },
        Mistake { wire: of("[]"), checks: &["event"], says: parked, ..good() },
        Mistake { wire: of(r#"{"type":"session.created"}"#), says: "it would be ignored", ..good() },
        Mistake { wire: of(DELETED), says: "deletes user \"user_2tAda0000000000000000000001\"", ..good() },
        Mistake { says: "\"user.created\" of user \"user_2tAda0000000000000000000001\"", ..good() },
        Mistake { says: "or `duplicate` if it was received before", ..good() },
    ])
    .await;
}

#[tokio::test]
async fn a_wrong_command_line_is_distinguished_from_a_wrong_delivery() {
    let desk = CommandDirectory::with(&configuration(&format!("'{SECRET}'")));
    desk.put("headers", "svix-id: msg_1\nv1,secretsecret\n");
    desk.put("body", "{}");
    for (headers, body) in [("headers", "body"), ("nothing", "body"), ("body", "nothing")] {
        let arguments = ["explain", "webhook", "--headers", headers, "--body", body, "--source", "clerk"];
        let said = desk.run(&arguments, "").await;
        assert_eq!(said.code, Some(2), "{said:?}");
        assert!(!said.everything().contains("secretsecret"), "{said:?}");
    }
}
