use super::super::{Algorithm, JwksLocation, RuleKind, is_permitted};
use super::{SECRET, assert_mentions, errors, errors_with, load, only_rule, rule};

const CUSTOM: &str = "type = 'customJwt'\nissuer = 'https://id.example.com'\njwks = 'https://id.example.com/jwks'\nalgorithm = 'ES256'\n";
const OIDC: &str = "type = 'oidc'\ndomain = 'id.example.com'\n";

#[test]
fn an_oidc_rule_takes_all_algorithms_unless_it_says() {
    let config = load(&rule(OIDC), &[]).unwrap();
    let RuleKind::Oidc { domain, algorithms } = &only_rule(&config).kind else { panic!("{config:?}") };
    assert_eq!(domain.as_str(), "https://id.example.com/");
    assert_eq!(*algorithms, Algorithm::ALL);
    assert_eq!(only_rule(&config).application_id, None);
    assert!(only_rule(&config).authorized_parties.is_empty());
}

#[test]
fn a_custom_jwt_rule_is_read_as_it_stands() {
    let file = rule(&format!("{CUSTOM}applicationID = 'app'\nauthorizedParties = ['https://a.example.com']"));
    let config = load(&file, &[]).unwrap();
    let rule = only_rule(&config);
    let RuleKind::CustomJwt { issuer, jwks, algorithm } = &rule.kind else { panic!("{config:?}") };
    assert_eq!(issuer, "https://id.example.com");
    assert!(matches!(jwks, JwksLocation::Url(url) if url.path() == "/jwks"));
    assert_eq!(*algorithm, Algorithm::Es256);
    assert_eq!(rule.application_id.as_deref(), Some("app"));
    assert_eq!(rule.authorized_parties, ["https://a.example.com"]);
}

#[test]
fn pending_sessions_are_refused_unless_it_is_said() {
    let allowed = |rest: &str| {
        let config = load(&rule(&format!("{OIDC}{rest}")), &[]).unwrap();
        only_rule(&config).allow_pending_sessions
    };
    assert!(!allowed(""));
    assert!(!allowed("allowPendingSessions = false"));
    assert!(allowed("allowPendingSessions = true"));
}

#[test]
fn what_ends_the_users_id_is_a_text() {
    let read = |rest: &str| load(&rule(&format!("{OIDC}{rest}")), &[]);
    assert_eq!(only_rule(&read("").unwrap()).subject_separator, None);
    let config = read("subjectSeparator = '|'").unwrap();
    assert_eq!(only_rule(&config).subject_separator.as_deref(), Some("|"));
    assert!(read("subjectSeparator = ''").is_err());
}

#[test]
fn keys_can_stand_in_a_data_uri() {
    let file = CUSTOM.replace("https://id.example.com/jwks", "data:application/json;base64,eyJrZXlzIjpbXX0=");
    let config = load(&rule(&file), &[]).unwrap();
    let RuleKind::CustomJwt { jwks: JwksLocation::Inline(keys), .. } = &only_rule(&config).kind else {
        panic!()
    };
    assert_eq!(keys, "{\"keys\":[]}");
}

#[test]
fn the_type_is_oidc_or_custom_jwt() {
    assert_mentions(&errors(&rule("domain = 'x.example.com'")), &["sources[0].tokens[0].type: is missing"]);
    let errors = errors(&rule("type = 'jwt'"));
    assert_mentions(
        &errors,
        &["sources[0].tokens[0].type: `jwt` is not a type of rule; write \"oidc\" or \"customJwt\""],
    );
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn missing_keys_of_a_rule_are_reported() {
    assert_mentions(&errors(&rule("type = 'oidc'")), &["sources[0].tokens[0].domain: is missing"]);
    let errors = errors(&rule("type = 'customJwt'"));
    for key in ["issuer", "jwks", "algorithm"] {
        assert_mentions(&errors, &[&format!("sources[0].tokens[0].{key}: is missing")]);
    }
}

#[test]
fn a_misspelt_application_id_is_refused_with_the_right_one() {
    for slip in ["applicationId", "application_id", "aplicationID", "ApplicationID"] {
        let errors = errors(&rule(&format!("{OIDC}{slip} = 'app'")));
        assert_mentions(&errors, &[&format!("{slip}: is not a known key; did you mean `applicationID`?")]);
    }
    for slip in ["aud", "audience", "clientId"] {
        let errors = errors(&rule(&format!("{OIDC}{slip} = 'app'")));
        assert_mentions(
            &errors,
            &[&format!("{slip}: is not a known key; write `applicationID`: it is what the token's `aud`")],
        );
    }
}

#[test]
fn keys_of_the_other_type_are_refused_with_the_right_ones() {
    let oidc = errors(&rule("type = 'oidc'\nissuer = 'x'\njwks = 'x'\nalgorithm = 'RS256'"));
    assert_mentions(
        &oidc,
        &[
            "tokens[0].issuer: is not a key of an oidc rule; write `domain`",
            "tokens[0].jwks: is not a key of an oidc rule; leave it out",
            "tokens[0].algorithm: is not a key of an oidc rule; write `algorithms`",
        ],
    );
    let custom = errors(&rule("type = 'customJwt'\ndomain = 'x'\nalgorithms = ['RS256']"));
    assert_mentions(
        &custom,
        &[
            "tokens[0].domain: is not a key of a customJwt rule; write `issuer` and `jwks`",
            "tokens[0].algorithms: is not a key of a customJwt rule; write `algorithm`",
        ],
    );
}

#[test]
fn what_is_pasted_in_place_of_an_issuer_is_refused_with_the_right_value() {
    let key = "pk_live_Y2xlcmsuZXhhbXBsZS5jb20k";
    let right = "write \"https://clerk.example.com\"";
    let domain = format!("tokens[0].domain: is a publishable key; {right}");
    assert_mentions(&errors(&rule(&format!("type = 'oidc'\ndomain = '{key}'"))), &[&domain]);
    let custom = CUSTOM.replace("issuer = 'https://id.example.com'", &format!("issuer = '{key}'"));
    let issuer = format!("tokens[0].issuer: is a publishable key; {right}");
    assert_mentions(&errors(&rule(&custom)), &[&issuer]);
    let variables = [("CLERK_JWT_ISSUER_DOMAIN", key), ("CLERK_WEBHOOK_SECRET", SECRET)];
    assert_mentions(
        &errors_with("", &variables),
        &["CLERK_JWT_ISSUER_DOMAIN", "is a publishable key", right],
    );
    let document = "https://id.example.com/.well-known/openid-configuration";
    let custom = CUSTOM.replace("https://id.example.com/jwks", document);
    assert_mentions(
        &errors(&rule(&custom)),
        &["tokens[0].jwks: is the discovery document; write its jwks_uri"],
    );
}

#[test]
fn http_addresses_need_loopback_or_permission() {
    let remote = rule("type = 'oidc'\ndomain = 'http://id.example.com'");
    assert_mentions(&errors(&remote), &["tokens[0].domain: uses http://", "allow_http = true"]);
    assert!(load(&format!("[tokens]\nallow_http = true\n{remote}"), &[]).is_ok());
    assert!(load(&rule("type = 'oidc'\ndomain = 'http://localhost:9000'"), &[]).is_ok());
    let keys = CUSTOM.replace("https://id.example.com/jwks", "http://id.example.com/jwks");
    assert_mentions(&errors(&rule(&keys)), &["tokens[0].jwks: uses http://"]);
    let issuer = CUSTOM.replace("issuer = 'https://", "issuer = 'http://");
    assert!(load(&rule(&issuer), &[]).is_ok(), "nothing is fetched from the issuer of a customJwt rule");
}

#[test]
fn what_is_permitted_for_the_file_is_permitted_for_discovered_addresses() {
    let allow_http = load("", &[]).unwrap().tokens.allow_http;
    assert!(is_permitted(&"https://example.com".parse().unwrap(), allow_http));
    assert!(!is_permitted(&"http://example.com".parse().unwrap(), allow_http));
}

#[test]
fn ed25519_is_another_name_of_eddsa() {
    let config = load(&rule(&CUSTOM.replace("ES256", "Ed25519")), &[]).unwrap();
    let RuleKind::CustomJwt { algorithm, .. } = &only_rule(&config).kind else { panic!("{config:?}") };
    assert_eq!(*algorithm, Algorithm::EdDsa);
    let config = load(&rule(&format!("{OIDC}algorithms = ['Ed25519']")), &[]).unwrap();
    let RuleKind::Oidc { algorithms, .. } = &only_rule(&config).kind else { panic!("{config:?}") };
    assert_eq!(*algorithms, [Algorithm::EdDsa]);
}

#[test]
fn algorithms_without_a_public_key_are_refused_with_the_reason() {
    for (algorithm, reason) in [
        ("HS256", "signs with a shared secret"),
        ("none", "an unsigned token proves nothing"),
        ("PS256", "is not a supported algorithm"),
        ("rs256", "is not a supported algorithm"),
    ] {
        let list = errors(&rule(&format!("{OIDC}algorithms = ['RS256', '{algorithm}']")));
        assert_mentions(&list, &["tokens[0].algorithms[1]: ", reason, "write RS256, ES256 or EdDSA"]);
        let single = errors(&rule(&CUSTOM.replace("ES256", algorithm)));
        assert_mentions(&single, &["tokens[0].algorithm: ", reason]);
    }
}

#[test]
fn a_shared_issuer_needs_an_application_id() {
    for issuer in [
        "https://api.workos.com/",
        "https://accounts.google.com",
        "accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
    ] {
        let file = CUSTOM.replace("'https://id.example.com'", &format!("'{issuer}'"));
        let errors = errors(&rule(&file));
        assert_mentions(&errors, &["tokens[0].applicationID: is missing", "everyone's applications"]);
        assert!(load(&rule(&format!("{file}applicationID = 'app'")), &[]).is_ok());
    }
    let oidc = errors(&rule("type = 'oidc'\ndomain = 'https://accounts.google.com'"));
    assert_mentions(&oidc, &["tokens[0].applicationID: is missing"]);
    assert!(load(&rule(CUSTOM), &[]).is_ok());
}

#[test]
fn an_empty_list_of_parties_or_algorithms_is_refused() {
    assert_mentions(
        &errors(&rule(&format!("{OIDC}authorizedParties = []"))),
        &["authorizedParties: is an empty list"],
    );
    assert_mentions(&errors(&rule(&format!("{OIDC}algorithms = []"))), &["algorithms: is an empty list"]);
}
