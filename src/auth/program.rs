//! Tokens that authorization servers issue to programs, not to people.
//!
//! Such a token has a `sub` too: the id of the program. It must never become a user.

use serde_json::{Map, Value};

/// Claims that describe a person. A token that has one of them is a person's, unless another claim contradicts.
const CLAIMS_OF_A_PERSON: [&str; 10] = [
    "name",
    "given_name",
    "family_name",
    "nickname",
    "preferred_username",
    "upn",
    "unique_name",
    "email",
    "phone_number",
    "picture",
];

/// Claims that hold the id of the application that requested a token: RFC 8693 and RFC 9068, OpenID Connect,
/// Okta, and Microsoft Entra (version 1.0).
const CLIENT_CLAIMS: [&str; 5] = ["client_id", "azp", "cid", "clientId", "appid"];

/// How the ids of programs begin at a vendor whose users' ids begin in another way.
const SUBJECTS_OF_PROGRAMS: [(&str, &str); 4] = [
    ("mch_", "`sub` is the id of a machine at Clerk"),
    ("ak_", "`sub` is the id of an API key at Clerk"),
    ("client_01", "`sub` is the id of an application at WorkOS"),
    ("system:serviceaccount:", "`sub` is a service account of Kubernetes"),
];

/// What in the claims of a verified token shows that it belongs to a program; `None` for a user's token.
pub(super) fn evidence(claims: &Map<String, Value>) -> Option<&'static str> {
    let string = |name| claims.get(name).and_then(Value::as_str);
    let subject = string("sub").unwrap_or_default();
    let clients = || CLIENT_CLAIMS.into_iter().filter_map(string);
    let is_described = CLAIMS_OF_A_PERSON.iter().any(|claim| claims.contains_key(*claim));

    if claims.get("gty").is_some_and(is_client_credentials) {
        return Some("`gty` is client-credentials");
    }
    // Auth0. The id of a user has the name of a connection before a `|`.
    if subject.ends_with("@clients") && !subject.contains('|') {
        return Some("`sub` ends with @clients");
    }
    if let Some((_, what)) = SUBJECTS_OF_PROGRAMS.iter().find(|(prefix, _)| subject.starts_with(prefix)) {
        return Some(what);
    }
    // Microsoft Entra; for a user it is `user`.
    if string("idtyp") == Some("app") {
        return Some("`idtyp` is app");
    }
    // Keycloak. The service account of a client is named after the client.
    let account = string("preferred_username").and_then(|name| name.strip_prefix("service-account-"));
    if account.is_some_and(|client| clients().any(|one| one.eq_ignore_ascii_case(client))) {
        return Some("`preferred_username` is a service account of the client");
    }
    // Google. The service account has an address of its own, and so its tokens have `email`.
    if string("email").is_some_and(|email| email.ends_with(".gserviceaccount.com")) {
        return Some("`email` is that of a service account");
    }
    if is_described {
        return None;
    }
    // RFC 9068, section 2.2: without a resource owner, `sub` is the client's id.
    if clients().any(|client| client == subject) {
        return Some("`sub` is the id of the client");
    }
    // Microsoft Entra without the optional claim `idtyp`: `sub` differs from `oid` for a user, and a user's
    // token has scopes.
    if string("oid") == Some(subject) && !claims.contains_key("scp") && clients().next().is_some() {
        return Some("`sub` is `oid`, and there is no `scp`");
    }
    None
}

/// Auth0 writes the grant type with a hyphen, OAuth with an underscore. Kinde and `FusionAuth` write a list.
fn is_client_credentials(grant: &Value) -> bool {
    match grant {
        Value::String(grant) => matches!(&**grant, "client-credentials" | "client_credentials"),
        Value::Array(grants) => grants.iter().any(is_client_credentials),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::evidence;

    fn is_program(claims: &Value) -> bool {
        evidence(claims.as_object().unwrap()).is_some()
    }

    #[test]
    fn tokens_of_programs_are_recognised() {
        for (whose, claims) in [
            ("Auth0", json!({"sub": "AbC123@clients", "azp": "AbC123", "gty": "client-credentials"})),
            ("Auth0 without gty", json!({"sub": "AbC123@clients"})),
            ("Auth0 with a custom sub", json!({"sub": "x", "gty": "client-credentials", "name": "Reports"})),
            ("Entra 2.0", json!({"sub": "5f1c", "oid": "5f1c", "azp": "9a", "idtyp": "app"})),
            ("Entra without idtyp", json!({"sub": "5f1c", "oid": "5f1c", "azp": "9a", "roles": ["Read"]})),
            ("Entra 1.0", json!({"sub": "5f1c", "oid": "5f1c", "appid": "9a"})),
            (
                "Keycloak",
                json!({"sub": "0b9e", "azp": "reports", "preferred_username": "service-account-reports",
                    "client_id": "reports", "clientHost": "10.0.0.1"}),
            ),
            ("Cognito", json!({"sub": "4gbq", "client_id": "4gbq", "token_use": "access"})),
            ("Okta", json!({"sub": "0oa1", "cid": "0oa1", "scp": ["reports"]})),
            ("Kinde", json!({"sub": "k1", "gty": ["client_credentials"]})),
            ("Clerk, machine", json!({"sub": "mch_2vYVtestTESTtestTESTtestTEST", "scopes": "mch_2xZa"})),
            ("Clerk, API key", json!({"sub": "ak_2vYVtestTESTtestTESTtestTEST"})),
            ("WorkOS", json!({"sub": "client_01J9Q2Z3X4C5V6B7N8M9K0L1P2", "org_id": "org_01"})),
            ("Kubernetes", json!({"sub": "system:serviceaccount:default:app"})),
            ("RFC 9068", json!({"sub": "reports", "client_id": "reports", "scope": "read"})),
            (
                "Google",
                json!({"sub": "1139", "azp": "1139", "email": "a@p.iam.gserviceaccount.com",
                    "email_verified": true}),
            ),
        ] {
            assert!(is_program(&claims), "{whose}: {claims}");
        }
    }

    #[test]
    fn tokens_of_people_are_not_taken_for_tokens_of_programs() {
        for (whose, claims) in [
            ("Clerk", json!({"sub": "user_2tAda", "azp": "https://app.example.com", "sid": "sess_1"})),
            ("Auth0, an ID token", json!({"sub": "auth0|1", "aud": "abc", "name": "Ada"})),
            ("Auth0, an access token", json!({"sub": "auth0|1", "azp": "abc", "scope": "openid"})),
            ("Auth0, by password", json!({"sub": "auth0|1", "azp": "abc", "gty": "password"})),
            ("Auth0, an odd id of a database", json!({"sub": "auth0|ada@clients", "azp": "abc"})),
            ("WorkOS", json!({"sub": "user_01", "sid": "session_01", "client_id": "client_01"})),
            (
                "Entra",
                json!({"sub": "AAAA", "oid": "5f1c", "azp": "9a", "scp": "User.Read", "idtyp": "user"}),
            ),
            (
                "Entra, as a user of itself",
                json!({"sub": "5f1c", "oid": "5f1c", "azp": "9a", "scp": "openid"}),
            ),
            (
                "Entra, with a name",
                json!({"sub": "5f1c", "oid": "5f1c", "azp": "9a", "upn": "ada@example.com"}),
            ),
            ("Keycloak", json!({"sub": "0b9e", "azp": "web", "preferred_username": "ada"})),
            (
                "Keycloak, a person with an unlucky name",
                json!({"sub": "0b9e", "azp": "web", "preferred_username": "service-account-reports"}),
            ),
            (
                "Google",
                json!({"sub": "1139", "azp": "x.apps.googleusercontent.com", "email": "ada@gmail.com"}),
            ),
            ("claims of other types", json!({"sub": "1", "azp": ["1"], "gty": 7, "idtyp": null, "oid": 1})),
            (
                "a person who is her own client",
                json!({"sub": "ada", "client_id": "ada", "email": "a@b.example"}),
            ),
            ("nothing but an id", json!({"sub": "user_1"})),
        ] {
            assert!(!is_program(&claims), "{whose}: {claims}");
        }
    }
}
