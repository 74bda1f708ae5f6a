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

/// How a secret looks after a copy, in a shell's file, in a file of Windows.
const AROUND: [(&str, &str); 8] = [
    ("", "\n"),
    (" ", "\t"),
    ("\u{feff}", ""),
    ("\"", "\""),
    ("'", "'"),
    ("“", "”"),
    ("\u{feff}\"", "\"\r\n"),
    ("\u{200b}", "\u{a0}"),
];

#[test]
fn what_is_around_a_secret_is_taken_off_at_every_provider_and_wherever_it_is_kept() {
    for kind in crate::providers::kinds() {
        let map = if kind.is_mapped { MAP } else { "" };
        let keys: &[_] = if kind.takes_bearer_tokens {
            &["webhook_secrets", "bearer_tokens"]
        } else {
            &["webhook_secrets"]
        };
        for (key, (before, after)) in keys.iter().flat_map(|key| AROUND.map(|around| (key, around))) {
            let secret = format!("{before}{SECRET}{after}");
            let on_disk = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(on_disk.path(), &secret).unwrap();
            let reference = format!("file:{}", on_disk.path().display());
            let start = format!("name = 'one'\nprovider = '{}'\n", kind.name);
            for value in [secret.as_str(), "env:PASTED", &reference] {
                let value = toml::Value::String(value.to_owned());
                let config =
                    load(&source(&format!("{start}{key} = [{value}]\n{map}")), &[("PASTED", &secret)])
                        .unwrap();
                let read =
                    [&config.sources[0].webhook_secrets[..], &config.sources[0].bearer_tokens].concat();
                assert_eq!(shown(&read), [SECRET], "{} {key} {value}", kind.name);
            }
            let variable = format!("USERSYNC_SOURCES__0__{}", key.to_uppercase());
            let config = load(&source(&format!("{start}{map}")), &[(&variable, &secret)]).unwrap();
            let read = [&config.sources[0].webhook_secrets[..], &config.sources[0].bearer_tokens].concat();
            assert_eq!(shown(&read), [SECRET], "{} {key} {secret:?}", kind.name);
        }
    }
}

#[test]
fn what_cannot_be_taken_off_a_secret_is_named_and_not_shown() {
    let workos = |secret: &str| {
        let file = source("name = 'one'\nprovider = 'workos'\nwebhook_secrets = ['env:PASTED']");
        super::errors_with(&file, &[("PASTED", secret)])
    };
    for (secret, problem) in [
        ("\"hunter2", "begins or ends with a quotation mark"),
        ("hunter2’", "begins or ends with a quotation mark"),
        ("hunter2\nhunter3", "has a line break or another invisible character inside"),
        ("hun\u{feff}ter2", "has a line break or another invisible character inside"),
        ("h\0u\0n\0t\0e\0r\0", "has a line break or another invisible character inside"),
        ("\u{feff}\"\"\n", "env:PASTED is empty"),
    ] {
        let errors = workos(secret);
        assert_mentions(&errors, &["sources[0].webhook_secrets[0]: ", problem]);
        assert!(!errors.contains("hun") && !errors.contains("ter2"), "{errors}");
    }
    let utf_16 = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(utf_16.path(), b"\xff\xfeh\0u\0n\0t\0e\0r\0").unwrap();
    assert_mentions(&workos_from(utf_16.path()), &["is not text in UTF-8; save it as UTF-8"]);
    let bearer = source("name = 'one'\nprovider = 'auth0'\nbearer_tokens = ['Bearer hunter2']");
    assert_mentions(
        &errors(&bearer),
        &["sources[0].bearer_tokens[0]: has a space in it", "without `Bearer`"],
    );
    assert!(!errors(&bearer).contains("hunter2"));
}

fn workos_from(file: &std::path::Path) -> String {
    let reference = format!("file:{}", file.display());
    errors(&source(&format!("name = 'one'\nprovider = 'workos'\nwebhook_secrets = ['{reference}']")))
}
