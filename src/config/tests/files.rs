use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use super::super::{Config, Limits, LogFormat};
use super::{SECRET, assert_mentions, environment, errors, errors_with, load, shown};

#[test]
fn nothing_set_gives_the_defaults() {
    let config = load("", &[]).unwrap();
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8787");
    assert_eq!(config.server.metrics_listen, None);
    assert_eq!(config.server.body_limit, 1_048_576);
    assert_eq!(config.tokens.jwks_ttl, Duration::from_mins(10));
    assert_eq!(config.journal.retention.as_secs(), 90 * 86_400);
    assert_eq!(config.log.format, LogFormat::Text);
    assert!(config.sources.is_empty());
}

#[test]
fn every_section_is_read() {
    let file = "[server]\nlisten = '0.0.0.0:80'\nmetrics_listen = '[::1]:81'\nbody_limit = 4096\n\
                cors_origins = ['https://app.example.com']\ntrusted_proxies = ['10.0.0.0/8', '::1']\n\
                [limits]\nrequests_per_second = 1\nburst = 2\nstreams_per_client = 3\nstreams_per_user = 4\nstreams = 5\n\
                connections = 6\nsend_timeout = '6s'\n\
                [database]\nurl = 'postgres://u:p@h/d'\n[tokens]\njwks_ttl = '1m'\njwks_cooldown = '0s'\n\
                fetch_timeout = '1s'\nleeway = '0s'\nallow_http = true\n[journal]\nretention = '1d'\n\
                [log]\nformat = 'json'\nlevel = 'usersync=debug'";
    let config = load(file, &[]).unwrap();
    assert_eq!(config.server.listen.port(), 80);
    assert_eq!(config.server.metrics_listen.unwrap().port(), 81);
    assert_eq!(config.server.body_limit, 4096);
    assert_eq!(config.server.cors_origins, ["https://app.example.com"]);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    let Limits {
        requests_per_second,
        burst,
        streams_per_client,
        streams_per_user,
        streams,
        connections,
        send_timeout,
    } = config.limits;
    let counts = [requests_per_second, burst, streams_per_client, streams_per_user, streams, connections];
    assert_eq!(counts.map(NonZeroU32::get), [1, 2, 3, 4, 5, 6]);
    assert_eq!(send_timeout, Duration::from_secs(6));
    assert_eq!(shown(&[config.database.url]), ["postgres://u:p@h/d"]);
    assert_eq!(config.tokens.jwks_cooldown, Duration::ZERO);
    assert_eq!(config.tokens.fetch_timeout, Duration::from_secs(1));
    assert!(config.tokens.allow_http);
    assert_eq!(config.log.level, "usersync=debug");
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_file_is_named_by_the_variable_and_the_argument_wins() {
    let folder = tempfile::tempdir().unwrap();
    let [first, second] = [1, 2].map(|port| {
        let path = folder.path().join(format!("{port}.toml"));
        std::fs::write(&path, format!("[server]\nlisten = '127.0.0.1:{port}'")).unwrap();
        path
    });
    let environment = environment(&[("USERSYNC_CONFIG", first.to_str().unwrap())]);
    assert_eq!(Config::load(None, &environment, &[]).unwrap().server.listen.port(), 1);
    assert_eq!(Config::load(Some(&second), &environment, &[]).unwrap().server.listen.port(), 2);
}

#[test]
fn a_named_file_that_is_not_there_is_an_error() {
    let missing =
        Config::load(Some(Path::new("/nowhere/usersync.toml")), &environment(&[]), &[]).unwrap_err();
    assert_mentions(&missing.to_string(), &["/nowhere/usersync.toml: cannot be read"]);
}

#[test]
fn a_syntax_error_tells_its_line_and_quotes_nothing() {
    let errors = errors("[database]\nurl = 'postgres://u:hunter2@h\n");
    assert_mentions(&errors, &[":2: is not TOML"]);
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn all_errors_are_reported_at_once_one_a_line() {
    let errors = errors(
        "colour = 1\n[server]\nlisten = 'here'\nbody_limit = '1XB'\n[tokens]\njwks_ttl = 600\nleeway = 'x'",
    );
    assert_mentions(
        &errors,
        &["colour: ", "server.listen: ", "server.body_limit: ", "tokens.jwks_ttl: ", "tokens.leeway: "],
    );
    assert_eq!(errors.lines().count(), 5, "{errors}");
}

#[test]
fn an_unknown_key_is_refused_with_the_nearest() {
    let errors = errors("[servr]\n[server]\nlissten = ''\nhost = ''\ncolour = ''");
    assert_mentions(
        &errors,
        &[
            "servr: is not a known key; did you mean `server`?",
            "server.lissten: is not a known key; did you mean `listen`?",
            "server.host: is not a known key; write `listen`",
            "server.colour: is not a known key; the keys here are listen, metrics_listen, body_limit, cors_origins",
        ],
    );
}

#[test]
fn a_value_of_another_shape_is_refused_once() {
    let errors = errors("server = 1\nsources = {}\n[tokens]\nallow_http = 'yes'\n[log]\nlevel = ['info']");
    assert_mentions(
        &errors,
        &["server: is a number", "sources: is a table; write each one under [[sources]]"],
    );
    assert_mentions(
        &errors,
        &["tokens.allow_http: is a string; write true or false", "log.level: is a list"],
    );
    assert_eq!(errors.lines().count(), 4, "{errors}");
}

#[test]
fn origins_proxies_and_limits_are_validated() {
    let errors = errors(
        "[server]\ncors_origins = ['*', 'https://app.example.com', 'app.example.com']\n\
         trusted_proxies = ['proxy']\n[limits]\nburst = 0\nstreams = true",
    );
    assert_mentions(
        &errors,
        &[
            "server.cors_origins: names origins beside \"*\"",
            "server.cors_origins[2]: is not an origin; write one such as",
            "server.trusted_proxies[0]: `proxy` is not a network",
            "limits.burst: `0` is not a number in the allowed range; write one from 1 to 1000000",
            "limits.streams: is true or false; write a whole number, without quotes",
        ],
    );
}

#[test]
fn an_empty_text_is_refused() {
    assert_mentions(&errors("[log]\nlevel = ' '"), &["log.level: is empty"]);
}

#[test]
fn a_log_format_is_text_or_json() {
    assert_mentions(&errors("[log]\nformat = 'xml'"), &["log.format: `xml` is not a log format"]);
}

#[test]
fn a_database_of_another_kind_is_refused_without_showing_it() {
    let errors = errors("[database]\nurl = 'mysql://u:hunter2@h/d'");
    assert_mentions(&errors, &["database.url: is not the URL of a SQLite or PostgreSQL database"]);
    assert!(!errors.contains("hunter2"), "{errors}");
}

#[test]
fn a_schema_has_a_name_that_needs_no_quotes() {
    assert_eq!(load("", &[]).unwrap().database.schema, "usersync");
    assert_eq!(load("[database]\nschema = 'public'", &[]).unwrap().database.schema, "public");
    let too_long = "a".repeat(64);
    for wrong in ["Usersync", "user-sync", "1a", "a b", "a\"b", "pg_users", "information_schema", &too_long] {
        let errors = errors(&format!("[database]\nschema = '{wrong}'"));
        assert_mentions(&errors, &["database.schema: `", "; "]);
    }
}

#[test]
fn three_connections_are_the_least() {
    assert_eq!(load("", &[]).unwrap().database.max_connections, 20);
    assert_eq!(load("[database]\nmax_connections = 3", &[]).unwrap().database.max_connections, 3);
    for wrong in ["0", "1", "2", "-1", "1000001"] {
        let errors = errors(&format!("[database]\nmax_connections = {wrong}"));
        assert_mentions(&errors, &[&format!("database.max_connections: `{wrong}` is "), "; write "]);
    }
}

#[test]
fn a_direct_url_is_for_postgresql_and_is_never_shown() {
    let postgres = "[database]\nurl = 'postgres://u:p@pooler/d'\n";
    let config = load(&format!("{postgres}direct_url = 'postgres://u:p@server/d'"), &[]).unwrap();
    assert_eq!(shown(config.database.direct_url.as_slice()), ["postgres://u:p@server/d"]);
    for (file, problem) in [
        (format!("{postgres}direct_url = 'sqlite://x.db'"), "is for PostgreSQL only"),
        (format!("{postgres}direct_url = 'mysql://u:hunter2@server/d'"), "is not the URL of"),
        (format!("{postgres}direct_url = 'postgres://u:1#hunter2@server/d'"), "cannot be read as a URL"),
    ] {
        let errors = errors(&file);
        assert_mentions(&errors, &["database.direct_url: ", problem]);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_database_behind_a_socket_is_accepted_and_several_hosts_are_named() {
    let socket = "postgresql://u:p@/db?host=/cloudsql/project:region:instance";
    assert!(load(&format!("[database]\nurl = '{socket}'"), &[]).is_ok());
    for several in ["postgres://u:hunter2@a,b/db", "postgres://u:hunter2@a:1,b:2/db?target_session_attrs=rw"]
    {
        let errors = errors(&format!("[database]\nurl = '{several}'"));
        assert_mentions(&errors, &["database.url: names several hosts"]);
        assert!(!errors.contains("hunter2"), "{errors}");
    }
}

#[test]
fn a_secret_can_stand_in_a_variable_or_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, b"  sqlite::memory:\n").unwrap();
    let from_file = format!("[database]\nurl = 'file:{}'", file.path().display());
    assert_eq!(shown(&[load(&from_file, &[]).unwrap().database.url]), ["sqlite::memory:"]);
    let config = load("[database]\nurl = 'env:ELSEWHERE'", &[("ELSEWHERE", "sqlite://x.db")]).unwrap();
    assert_eq!(shown(&[config.database.url]), ["sqlite://x.db"]);
}

#[test]
fn a_missing_secret_variable_or_file_is_named() {
    assert_mentions(
        &errors("[database]\nurl = 'env:NOWHERE'"),
        &["database.url: the variable NOWHERE is not set"],
    );
    assert_mentions(&errors("[database]\nurl = 'file:/nowhere'"), &["the file /nowhere cannot be read"]);
    assert_mentions(
        &errors_with("[database]\nurl = 'env:BLANK'", &[("BLANK", " ")]),
        &["env:BLANK is empty"],
    );
}

#[test]
fn debug_shows_no_secret() {
    let file = format!(
        "[database]\nurl = 'postgres://u:hunter2@h/d'\n[[sources]]\nname = 'a'\nprovider = 'auth0'\n\
         webhook_secrets = ['{SECRET}']\nbearer_tokens = ['hunter3']"
    );
    let shown = format!("{:?}", load(&file, &[]).unwrap());
    for secret in ["hunter", "MfKQ"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}
