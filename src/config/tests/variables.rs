use super::super::Config;
use super::{SECRET, assert_mentions, errors_with, load, shown};

fn loaded(variables: &[(&str, &str)]) -> Config {
    load("", variables).unwrap()
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
