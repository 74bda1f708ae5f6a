use super::super::{Algorithm, Config, JwksLocation, RuleKind, TokenRule};
use super::{SECRET, assert_mentions, errors_with, load, shown};

fn loaded(variables: &[(&str, &str)]) -> Config {
    load("", variables).unwrap()
}

fn domain_and_audience(rule: &TokenRule) -> (&str, &str) {
    let RuleKind::Oidc { domain, .. } = &rule.kind else { panic!("{rule:?}") };
    (domain.as_str(), rule.application_id.as_deref().unwrap())
}

#[test]
fn clerks_variables_make_a_source() {
    for name in ["CLERK_WEBHOOK_SECRET", "CLERK_WEBHOOK_SIGNING_SECRET"] {
        let config = loaded(&[(name, SECRET), ("CLERK_JWT_ISSUER_DOMAIN", "https://a.clerk.accounts.dev")]);
        let [source] = config.sources.as_slice() else { panic!("{config:?}") };
        assert_eq!((source.name.as_str(), source.provider.name), ("clerk", "clerk"));
        assert_eq!(shown(&source.webhook_secrets), [SECRET]);
        assert_eq!(domain_and_audience(&source.tokens[0]), ("https://a.clerk.accounts.dev/", "convex"));
    }
}

#[test]
fn clerks_audience_can_be_another() {
    let config =
        loaded(&[("CLERK_JWT_ISSUER_DOMAIN", "a.clerk.accounts.dev"), ("CLERK_JWT_AUDIENCE", "mine")]);
    assert_eq!(domain_and_audience(&config.sources[0].tokens[0]).1, "mine");
}

#[test]
fn clerks_two_secrets_are_two_only_if_they_differ() {
    let both = |first, second| {
        let config = loaded(&[("CLERK_WEBHOOK_SECRET", first), ("CLERK_WEBHOOK_SIGNING_SECRET", second)]);
        config.sources[0].webhook_secrets.len()
    };
    assert_eq!(both("whsec_AAAA", "whsec_BBBB"), 2);
    assert_eq!(both("whsec_AAAA", "whsec_AAAA"), 1);
    assert_eq!(both("whsec_AAAA", ""), 1);
}

#[test]
fn auth0s_variables_make_a_source() {
    let config = loaded(&[
        ("AUTH0_DOMAIN", "tenant.us.auth0.com"),
        ("AUTH0_CLIENT_ID", "client"),
        ("AUTH0_WEBHOOK_SECRET", SECRET),
        ("AUTH0_EVENT_STREAM_TOKEN", "bearer"),
        ("AUTH0_AUDIENCE", "https://api.example.com"),
    ]);
    let [source] = config.sources.as_slice() else { panic!("{config:?}") };
    assert_eq!(source.name, "auth0");
    assert_eq!(shown(&source.webhook_secrets), [SECRET]);
    assert_eq!(shown(&source.bearer_tokens), ["bearer"]);
    let rules: Vec<_> = source.tokens.iter().map(domain_and_audience).collect();
    let tenant = "https://tenant.us.auth0.com/";
    assert_eq!(rules, [(tenant, "client"), (tenant, "https://api.example.com")]);
}

#[test]
fn auth0s_domain_comes_with_or_without_its_scheme() {
    for domain in ["tenant.us.auth0.com", "https://tenant.us.auth0.com", "https://tenant.us.auth0.com/"] {
        let config = loaded(&[("AUTH0_DOMAIN", domain), ("AUTH0_CLIENT_ID", "client")]);
        let rules: Vec<_> = config.sources[0].tokens.iter().map(domain_and_audience).collect();
        assert_eq!(rules, [("https://tenant.us.auth0.com/", "client")]);
    }
}

#[test]
fn workos_variables_make_a_source_with_both_issuers() {
    let config = loaded(&[("WORKOS_CLIENT_ID", "client_1"), ("WORKOS_WEBHOOK_SECRET", "raw secret")]);
    let [source] = config.sources.as_slice() else { panic!("{config:?}") };
    assert_eq!(shown(&source.webhook_secrets), ["raw secret"]);
    let expected = [
        ("https://api.workos.com/user_management/client_1", None),
        ("https://api.workos.com/", Some("client_1")),
    ];
    assert_eq!(source.tokens.len(), expected.len());
    for (rule, (expected_issuer, application_id)) in source.tokens.iter().zip(expected) {
        let RuleKind::CustomJwt { issuer, jwks: JwksLocation::Url(jwks), algorithm } = &rule.kind else {
            panic!()
        };
        assert_eq!((issuer.as_str(), rule.application_id.as_deref()), (expected_issuer, application_id));
        assert_eq!(jwks.as_str(), "https://api.workos.com/sso/jwks/client_1");
        assert_eq!(*algorithm, Algorithm::Rs256);
    }
}

#[test]
fn secrets_alone_make_a_source_that_receives() {
    for name in
        ["CLERK_WEBHOOK_SECRET", "AUTH0_WEBHOOK_SECRET", "AUTH0_EVENT_STREAM_TOKEN", "WORKOS_WEBHOOK_SECRET"]
    {
        let config = loaded(&[(name, SECRET)]);
        assert_eq!(config.sources.len(), 1, "{name}");
        assert!(config.sources[0].tokens.is_empty(), "{name}");
    }
}

#[test]
fn an_issuer_alone_makes_a_source_that_answers() {
    for variables in [
        &[("CLERK_JWT_ISSUER_DOMAIN", "a.clerk.accounts.dev")][..],
        &[("AUTH0_DOMAIN", "tenant.us.auth0.com"), ("AUTH0_CLIENT_ID", "client")],
        &[("WORKOS_CLIENT_ID", "client_1")],
    ] {
        let config = loaded(variables);
        assert!(config.sources[0].webhook_secrets.is_empty());
        assert!(!config.sources[0].tokens.is_empty());
    }
}

#[test]
fn a_variable_that_needs_another_says_so() {
    for (set, missing) in [
        ("CLERK_JWT_AUDIENCE", "CLERK_JWT_ISSUER_DOMAIN"),
        ("AUTH0_DOMAIN", "AUTH0_CLIENT_ID"),
        ("AUTH0_CLIENT_ID", "AUTH0_DOMAIN"),
        ("AUTH0_AUDIENCE", "AUTH0_DOMAIN"),
    ] {
        let errors = errors_with("", &[(set, "x.example.com")]);
        assert_eq!(errors, format!("{set}: is set without {missing}; set {missing} as well, or unset {set}"));
    }
}

#[test]
fn empty_variables_count_as_unset() {
    let config = loaded(&[("CLERK_WEBHOOK_SECRET", ""), ("AUTH0_DOMAIN", " "), ("WORKOS_CLIENT_ID", "")]);
    assert!(config.sources.is_empty());
}

#[test]
fn a_source_of_that_name_in_the_file_wins() {
    let file = "[[sources]]\nname = 'auth0'\nprovider = 'auth0'\nwebhook_secrets = ['AAAA']";
    let config =
        load(file, &[("AUTH0_DOMAIN", "tenant.us.auth0.com"), ("WORKOS_WEBHOOK_SECRET", "x")]).unwrap();
    let names: Vec<_> = config.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["auth0", "workos"]);
    assert_eq!(shown(&config.sources[0].webhook_secrets), ["AAAA"]);
    assert!(config.sources[0].tokens.is_empty());
}

#[test]
fn an_error_names_the_variable() {
    let variables = [("CLERK_WEBHOOK_SECRET", "hunter!"), ("CLERK_JWT_ISSUER_DOMAIN", "http://example.com")];
    let errors = errors_with("", &variables);
    assert_mentions(
        &errors,
        &["sources[0].webhook_secrets[0] (from CLERK_WEBHOOK_SECRET): ", "source `clerk`"],
    );
    assert_mentions(&errors, &["sources[0].tokens[0].domain (from CLERK_JWT_ISSUER_DOMAIN): "]);
    assert!(!errors.contains("hunter"), "{errors}");
}

#[test]
fn a_secret_variable_can_refer_to_a_file() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file, SECRET.as_bytes()).unwrap();
    let reference = format!("file:{}", file.path().display());
    let config = loaded(&[("CLERK_WEBHOOK_SECRET", &reference)]);
    assert_eq!(shown(&config.sources[0].webhook_secrets), [SECRET]);
}
