use super::super::{Algorithm, RuleKind};
use super::{SECRET, assert_mentions, errors_with, load, only_rule, rule, shown};

#[test]
fn variables_win_over_the_file() {
    let file = "[server]\nlisten = '127.0.0.1:1'\n[tokens]\njwks_ttl = '1m'";
    let variables = [
        ("USERSYNC_SERVER__LISTEN", "127.0.0.1:2"),
        ("USERSYNC_SERVER__BODY_LIMIT", "2048"),
        ("USERSYNC_SERVER__TRUSTED_PROXIES", "10.0.0.0/8,127.0.0.1"),
        ("USERSYNC_LIMITS__BURST", "7"),
        ("USERSYNC_TOKENS__JWKS_TTL", "2m"),
        ("USERSYNC_TOKENS__ALLOW_HTTP", "true"),
    ];
    let config = load(file, &variables).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.body_limit, 2048);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(config.limits.burst.get(), 7);
    assert_eq!(config.tokens.jwks_ttl.as_secs(), 120);
    assert!(config.tokens.allow_http);
}

#[test]
fn a_whole_source_can_be_set_by_variables() {
    let variables = [
        ("USERSYNC_SOURCES__0__NAME", "one"),
        ("USERSYNC_SOURCES__0__PROVIDER", "clerk"),
        ("USERSYNC_SOURCES__0__WEBHOOK_SECRETS", "whsec_AAAA, whsec_BBBB,"),
        ("USERSYNC_SOURCES__0__TOKENS__0__TYPE", "oidc"),
        ("USERSYNC_SOURCES__0__TOKENS__0__DOMAIN", "id.example.com"),
        ("USERSYNC_SOURCES__0__TOKENS__0__APPLICATION_ID", "app"),
        ("USERSYNC_SOURCES__0__TOKENS__0__AUTHORIZEDPARTIES", "https://a.example.com,https://b.example.com"),
        ("USERSYNC_SOURCES__0__TOKENS__0__ALGORITHMS", "ES256"),
    ];
    let config = load("", &variables).unwrap();
    assert_eq!(shown(&config.sources[0].webhook_secrets), ["whsec_AAAA", "whsec_BBBB"]);
    assert_eq!(only_rule(&config).application_id.as_deref(), Some("app"));
    assert_eq!(only_rule(&config).authorized_parties.len(), 2);
    let RuleKind::Oidc { algorithms, .. } = &only_rule(&config).kind else { panic!("{config:?}") };
    assert_eq!(*algorithms, [Algorithm::Es256]);
}

#[test]
fn variables_change_one_key_of_a_source_in_the_file() {
    let file = rule("type = 'oidc'\ndomain = 'a.example.com'\napplicationID = 'a'");
    let config = load(&file, &[("USERSYNC_SOURCES__0__TOKENS__0__APPLICATIONID", "b")]).unwrap();
    assert_eq!(only_rule(&config).application_id.as_deref(), Some("b"));
}

#[test]
fn a_comma_within_supabases_secrets_does_not_split_them() {
    let variables = [
        ("USERSYNC_SOURCES__0__NAME", "supabase"),
        ("USERSYNC_SOURCES__0__PROVIDER", "standard"),
        ("USERSYNC_SOURCES__0__WEBHOOK_SECRETS", "v1,whsec_AAAA|v1,whsec_BBBB,whsec_CCCC"),
        ("USERSYNC_SOURCES__0__MAP__TYPE", "/type"),
        ("USERSYNC_SOURCES__0__MAP__ID", "/id"),
        ("USERSYNC_SOURCES__0__MAP__UPDATED_AT", "/at"),
        ("USERSYNC_SOURCES__0__MAP__UPSERT", "user.created"),
        ("USERSYNC_SOURCES__0__MAP__PROFILE__GIVEN_NAME", "/given"),
    ];
    let config = load("", &variables).unwrap();
    assert_eq!(shown(&config.sources[0].webhook_secrets), ["whsec_AAAA", "whsec_BBBB", "whsec_CCCC"]);
    assert_eq!(config.sources[0].map.as_ref().unwrap().profile[&crate::domain::Field::GivenName], "/given");
}

#[test]
fn an_unknown_variable_is_refused_with_the_nearest() {
    for (wrong, right) in [
        ("USERSYNC_SERVR__LISTEN", "did you mean USERSYNC_SERVER__LISTEN?"),
        ("USERSYNC_TOKENS__JWKS_TLL", "did you mean USERSYNC_TOKENS__JWKS_TTL?"),
        ("USERSYNC_SOURCES__2__NAMES", "did you mean USERSYNC_SOURCES__2__NAME?"),
        ("USERSYNC_SOURCES__NAME", "did you mean USERSYNC_SOURCES__0__NAME?"),
        (
            "USERSYNC_SOURCES__0__TOKENS__1__AUDIENCE",
            "did you mean USERSYNC_SOURCES__0__TOKENS__1__APPLICATIONID?",
        ),
        ("USERSYNC_LOG__LEVEL__X", "did you mean USERSYNC_LOG__LEVEL?"),
        ("USERSYNC_LOG__COLOUR", "USERSYNC_LOG__ must be followed by one of FORMAT, LEVEL"),
        ("USERSYNC_SOURCES__0", "names a section, not a key; write USERSYNC_SOURCES__0__ and the key"),
    ] {
        assert_mentions(&errors_with("", &[(wrong, "x")]), &[wrong, right]);
    }
}

#[test]
fn a_variable_without_a_section_is_left_alone() {
    assert!(load("", &[("USERSYNC_COLOUR", "red"), ("OTHER__THING", "x")]).is_ok());
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let config = load("[server]\nlisten = '127.0.0.1:1'", &[("USERSYNC_SERVER__LISTEN", "")]).unwrap();
    assert_eq!(config.server.listen.port(), 1);
}

#[test]
fn an_error_names_the_variable_that_it_came_from() {
    let variables = [
        ("USERSYNC_SERVER__LISTEN", "here"),
        ("USERSYNC_TOKENS__ALLOW_HTTP", "perhaps"),
        ("USERSYNC_SOURCES__0__WEBHOOK_SECRETS", "not base64"),
    ];
    let file = "[[sources]]\nname = 'one'\nprovider = 'clerk'";
    let errors = errors_with(file, &variables);
    assert_mentions(
        &errors,
        &["server.listen (from USERSYNC_SERVER__LISTEN): ", "USERSYNC_TOKENS__ALLOW_HTTP: is neither"],
    );
    assert_mentions(
        &errors,
        &["sources[0].webhook_secrets[0] (from USERSYNC_SOURCES__0__WEBHOOK_SECRETS): "],
    );
}

#[test]
fn a_database_url_that_cannot_be_read_is_refused_without_being_shown() {
    for url in
        ["mysql://me:hunter2@host/db", "postgres://me:hunter2#@host/db", "postgres://me:1#hunter2@host/db"]
    {
        let errors = errors_with("", &[("DATABASE_URL", url)]);
        assert!(
            errors.starts_with("database.url (from DATABASE_URL): ") && !errors.contains("hunter2"),
            "{errors}"
        );
    }
}

#[test]
fn database_url_wins_over_the_file_and_loses_to_its_own_variable() {
    let file = "[database]\nurl = 'sqlite://file.db'";
    let usual = ("DATABASE_URL", "postgres://usual/db");
    let own = ("USERSYNC_DATABASE__URL", "postgres://own/db");
    for (variables, expected) in [
        (&[][..], "sqlite://file.db"),
        (&[("DATABASE_URL", "")], "sqlite://file.db"),
        (&[usual], "postgres://usual/db"),
        (&[usual, own], "postgres://own/db"),
    ] {
        assert_eq!(shown(&[load(file, variables).unwrap().database.url]), [expected]);
    }
}

#[test]
fn an_index_above_the_limit_is_refused() {
    let errors = errors_with("", &[("USERSYNC_SOURCES__4000000000__NAME", SECRET)]);
    assert_mentions(&errors, &["sets no known key"]);
}

#[test]
fn a_single_underscore_is_refused_if_two_would_make_a_key() {
    let errors = errors_with(
        "",
        &[("USERSYNC_DATABASE_URL", "sqlite://a.db"), ("USERSYNC_SERVER_BODY_LIMIT", "1MiB")],
    );
    assert_mentions(&errors, &["USERSYNC_DATABASE__URL?", "USERSYNC_SERVER__BODY_LIMIT?"]);
    load("", &[("USERSYNC_URL", "http://127.0.0.1:8787"), ("USERSYNC_SERVER_NAME", "ours")]).unwrap();
}

#[test]
fn direct_url_wins_over_the_file_and_loses_to_its_own_variable() {
    let file = "[database]\ndirect_url = 'postgres://file/db'";
    let usual = ("DIRECT_URL", "postgres://usual/db");
    let own = ("USERSYNC_DATABASE__DIRECT_URL", "postgres://own/db");
    for (variables, expected) in [
        (&[][..], "postgres://file/db"),
        (&[("DIRECT_URL", " ")], "postgres://file/db"),
        (&[usual], "postgres://usual/db"),
        (&[usual, own], "postgres://own/db"),
    ] {
        let direct_url = load(file, variables).unwrap().database.direct_url;
        assert_eq!(shown(direct_url.as_slice()), [expected]);
    }
}

#[test]
fn quotes_that_a_container_tool_left_around_a_value_are_taken_off() {
    let variables = [
        ("DATABASE_URL", "\"postgres://u:p@h/d\""),
        ("DIRECT_URL", "'postgres://u:p@server/d'\n"),
        ("USERSYNC_SERVER__LISTEN", "\"127.0.0.1:2\""),
        ("USERSYNC_TOKENS__ALLOW_HTTP", "\"true\""),
        ("USERSYNC_SERVER__TRUSTED_PROXIES", "\"10.0.0.0/8\", '127.0.0.1'"),
        ("AUTH0_DOMAIN", "\"tenant.us.auth0.com\""),
        ("AUTH0_CLIENT_ID", "\u{feff}'client'"),
    ];
    let config = load("", &variables).unwrap();
    assert_eq!(shown(std::slice::from_ref(&config.database.url)), ["postgres://u:p@h/d"]);
    assert_eq!(shown(config.database.direct_url.as_slice()), ["postgres://u:p@server/d"]);
    assert_eq!(config.server.listen.port(), 2);
    assert!(config.tokens.allow_http);
    assert_eq!(config.server.trusted_proxies.len(), 2);
    assert_eq!(only_rule(&config).application_id.as_deref(), Some("client"));
    assert!(load("", &[("USERSYNC_SERVER__LISTEN", "\"\"")]).is_ok());
}

#[test]
fn a_file_may_begin_with_a_byte_order_mark() {
    assert_eq!(load("\u{feff}[server]\nlisten = '127.0.0.1:1'", &[]).unwrap().server.listen.port(), 1);
}

#[test]
fn port_is_listened_on_at_all_addresses_where_no_address_is_set() {
    let file = "[server]\nlisten = '127.0.0.1:1'";
    let own = ("USERSYNC_SERVER__LISTEN", "127.0.0.1:2");
    for (file, variables, expected) in [
        ("", &[("PORT", "3000")][..], "[::]:3000"),
        ("", &[("PORT", " \"3000\"\n")], "[::]:3000"),
        ("[server]\nbody_limit = '1MiB'", &[("PORT", "3000")], "[::]:3000"),
        ("", &[("PORT", "")], "127.0.0.1:8787"),
        (file, &[("PORT", "3000")], "127.0.0.1:1"),
        (file, &[("PORT", "nonsense")], "127.0.0.1:1"),
        ("", &[("PORT", "3000"), own], "127.0.0.1:2"),
    ] {
        assert_eq!(load(file, variables).unwrap().server.listen.to_string(), expected, "{variables:?}");
    }
    for wrong in ["http", "65536", "-1", "3000/tcp"] {
        let errors = errors_with("", &[("PORT", wrong)]);
        assert_mentions(&errors, &[&format!("PORT: `{wrong}` is not a port; write a number")]);
    }
}
