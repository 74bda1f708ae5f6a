use super::{SECRET, assert_mentions, errors, load, shown};

fn source(rest: &str) -> String {
    format!("[[sources]]\n{rest}\n")
}

const MAP: &str = "[sources.map]\ntype = '/type'\nupsert = ['user.created']\nid = '/id'\nupdated_at = '/at'";

#[test]
fn each_provider_is_read_by_its_name() {
    for name in ["clerk", "auth0", "workos", "standard"] {
        let map = if name == "standard" { MAP } else { "" };
        let file =
            source(&format!("name = 'one'\nprovider = '{name}'\nwebhook_secrets = ['{SECRET}']\n{map}"));
        let config = load(&file, &[]).unwrap();
        assert_eq!(config.sources[0].provider.name, name);
    }
}

#[test]
fn an_unknown_provider_is_refused_with_the_list() {
    let errors = errors(&source("name = 'one'\nprovider = 'okta'"));
    assert_mentions(&errors, &["sources[0].provider: `okta` is not a known provider; write clerk, auth0, "]);
}

#[test]
fn name_and_provider_are_required_and_their_slips_are_known() {
    let errors = errors(&source("type = 'clerk'\nsecret = 'x'\nwebhook_secret = 'x'"));
    assert_mentions(&errors, &["sources[0].name: is missing", "sources[0].provider: is missing"]);
    assert_mentions(&errors, &["sources[0].type: is not a known key; write `provider`"]);
    assert_mentions(&errors, &["sources[0].secret: is not a known key; write `webhook_secrets`"]);
    assert_mentions(
        &errors,
        &["sources[0].webhook_secret: is not a known key; did you mean `webhook_secrets`?"],
    );
}

#[test]
fn a_name_fits_into_an_address() {
    let longest = "a".repeat(63);
    for name in ["a", "0", "clerk-eu_2", longest.as_str()] {
        assert!(
            load(&source(&format!("name = '{name}'\nprovider = 'clerk'\nwebhook_secrets = ['AAAA']")), &[])
                .is_ok()
        );
    }
    let too_long = "a".repeat(64);
    for name in ["-a", "_a", "Clerk", "a b", "a/b", "ä", too_long.as_str()] {
        let errors =
            errors(&source(&format!("name = '{name}'\nprovider = 'clerk'\nwebhook_secrets = ['AAAA']")));
        assert_mentions(&errors, &["sources[0].name: ", "is not a name for a source"]);
    }
}

#[test]
fn a_name_used_twice_is_refused() {
    let one = source("name = 'one'\nprovider = 'clerk'\nwebhook_secrets = ['AAAA']");
    let errors = errors(&format!("{one}{one}"));
    assert_mentions(&errors, &["sources[1].name: `one` is already sources[0].name"]);
}

#[test]
fn a_webhook_secret_is_base64_and_is_never_shown() {
    for provider in ["clerk", "auth0", "standard"] {
        let map = if provider == "standard" { MAP } else { "" };
        for wrong in ["whsec_hunter!", "hunter 2", "whsec_", "env:HUNTER", "pk_test_hunter"] {
            let file = format!(
                "name = 'one'\nprovider = '{provider}'\nwebhook_secrets = ['{SECRET}', '{wrong}']\n{map}"
            );
            let errors = super::errors_with(&source(&file), &[("HUNTER", "whsec_hunter!")]);
            assert_mentions(&errors, &["sources[0].webhook_secrets[1]: ", "source `one`", "not base64"]);
            assert!(!errors.contains("hunter"), "{errors}");
        }
    }
}

#[test]
fn a_secret_of_workos_is_any_text() {
    let config =
        load(&source("name = 'one'\nprovider = 'workos'\nwebhook_secrets = ['not base64!']"), &[]).unwrap();
    assert_eq!(shown(&config.sources[0].webhook_secrets), ["not base64!"]);
}

#[test]
fn supabases_joined_secrets_are_several() {
    let file = format!(
        "name = 'one'\nprovider = 'standard'\nwebhook_secrets = ['v1,whsec_AAAA|v1,whsec_BBBB', 'CCCC']\n{MAP}"
    );
    let config = load(&source(&file), &[]).unwrap();
    assert_eq!(shown(&config.sources[0].webhook_secrets), ["whsec_AAAA", "whsec_BBBB", "CCCC"]);
}

#[test]
fn bearer_tokens_are_for_auth0_and_standard() {
    let bearer = |provider: &str, rest: &str| {
        source(&format!("name = 'one'\nprovider = '{provider}'\nbearer_tokens = ['env:TOKEN']\n{rest}"))
    };
    for file in [bearer("auth0", ""), bearer("standard", MAP)] {
        let config = load(&file, &[("TOKEN", "t")]).unwrap();
        assert_eq!(shown(&config.sources[0].bearer_tokens), ["t"]);
    }
    for provider in ["clerk", "workos"] {
        let errors = super::errors_with(&bearer(provider, ""), &[("TOKEN", "t")]);
        assert_mentions(&errors, &["sources[0].bearer_tokens: is for auth0 and standard"]);
    }
}

#[test]
fn a_source_without_secrets_and_rules_is_refused() {
    for file in
        ["name = 'one'\nprovider = 'clerk'", "name = 'one'\nprovider = 'standard'\nwebhook_secrets = []"]
    {
        assert_mentions(&errors(&source(file)), &["sources[0].webhook_secrets: source `one` has neither"]);
    }
}

#[test]
fn a_wrong_name_does_not_hide_what_else_is_wrong() {
    let errors = errors(&source(
        "name = 'One'\nprovider = 'clerk'\nwebhook_secrets = ['?']\n[[sources.tokens]]\ntype = 'x'",
    ));
    assert_mentions(
        &errors,
        &["sources[0].name", "sources[0].webhook_secrets[0]", "sources[0].tokens[0].type"],
    );
}
