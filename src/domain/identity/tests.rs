use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Identity, TokenKind};
use crate::domain::Field;

fn identity(kind: TokenKind, claims: &Value) -> Identity {
    Identity::from_claims(claims.as_object().unwrap(), kind).unwrap()
}

fn shown(kind: TokenKind, claims: &Value) -> Value {
    serde_json::to_value(identity(kind, claims)).unwrap()
}

#[test]
fn an_oidc_token_has_openid_claims_renamed_and_others_kept() {
    let claims = json!({
        "iss": "https://tenant.us.auth0.com/", "sub": "auth0|1", "aud": "a", "exp": 1, "nbf": 1, "iat": 1, "jti": "j",
        "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "nickname": "ada",
        "preferred_username": "ada1", "profile": "p", "picture": "i", "website": "w", "email": "ada@example.com",
        "email_verified": "true", "gender": "f", "birthdate": "1815-12-10", "zoneinfo": "Europe/London",
        "locale": "en", "phone_number": "+44", "phone_number_verified": false,
        "address": {"formatted": "London", "country": "GB"}, "updated_at": 1_767_268_800,
        "o": {"id": "org_1"}, "roles": ["admin"], "flag": "true", "nothing": null,
    });
    let expected = json!({
        "tokenIdentifier": "https://tenant.us.auth0.com/|auth0|1", "subject": "auth0|1",
        "issuer": "https://tenant.us.auth0.com/",
        "name": "Ada Lovelace", "givenName": "Ada", "familyName": "Lovelace", "nickname": "ada",
        "preferredUsername": "ada1", "profileUrl": "p", "pictureUrl": "i", "websiteUrl": "w",
        "email": "ada@example.com", "emailVerified": true, "gender": "f", "birthday": "1815-12-10",
        "timezone": "Europe/London", "language": "en", "phoneNumber": "+44", "phoneNumberVerified": false,
        "address": "London", "updatedAt": "2026-01-01T12:00:00Z",
        "o": {"id": "org_1"}, "roles": ["admin"], "flag": "true", "nothing": null,
    });
    assert_eq!(shown(TokenKind::Oidc, &claims), expected);
}

#[test]
fn a_custom_jwt_has_nested_objects_flattened_and_nothing_renamed() {
    let claims = json!({
        "iss": "i", "sub": "s", "aud": ["a"], "exp": 1, "given_name": "Ada", "email_verified": "true",
        "updated_at": 5, "list": [{"a": 1}], "properties": {"id": 7, "deep": {"er": null}, "empty": {}},
        "properties.id": "written with a dot",
    });
    let expected = json!({
        "tokenIdentifier": "i|s", "subject": "s", "issuer": "i", "given_name": "Ada", "email_verified": "true",
        "updated_at": 5, "list": [{"a": 1}], "properties.id": "written with a dot", "properties.deep.er": null,
    });
    assert_eq!(shown(TokenKind::CustomJwt, &claims), expected);
}

#[test]
fn typed_names_cannot_be_overwritten_and_wrong_types_are_left_out() {
    let claims = json!({
        "iss": "i", "sub": "s", "subject": "x", "issuer": "x", "tokenIdentifier": "x", "givenName": "x",
        "emailVerified": true, "email": 5, "name": null, "updated_at": "soon", "address": "London",
    });
    let expected = json!({"tokenIdentifier": "i|s", "subject": "s", "issuer": "i"});
    assert_eq!(shown(TokenKind::Oidc, &claims), expected);

    let claims = json!({"iss": "i", "sub": "s", "subject": "x", "issuer": {"a": 1}, "tokenIdentifier": "x"});
    let expected = json!({"tokenIdentifier": "i|s", "subject": "s", "issuer": "i", "issuer.a": 1});
    assert_eq!(shown(TokenKind::CustomJwt, &claims), expected);
}

#[test]
fn both_kinds_of_token_give_the_same_facts() {
    let claims =
        json!({"iss": "i", "sub": "s", "given_name": "Ada", "email_verified": "true", "picture": "p"});
    for kind in [TokenKind::Oidc, TokenKind::CustomJwt] {
        let identity = identity(kind, &claims);
        assert_eq!((identity.issuer(), identity.subject()), ("i", "s"));
        let facts: BTreeMap<Field, Value> = identity.facts().into_iter().collect();
        let expected = [
            (Field::GivenName, json!("Ada")),
            (Field::EmailVerified, json!(true)),
            (Field::PictureUrl, json!("p")),
        ];
        assert_eq!(facts, BTreeMap::from(expected));
        assert_eq!(format!("{identity:?}"), r#"Identity("i|s")"#);
    }
}

#[test]
fn flattening_is_limited_in_depth_and_key_length() {
    let mut deep = json!("leaf");
    for _ in 0..1_000 {
        deep = json!({ "": deep });
    }
    let claims = json!({"iss": "i", "sub": "s", "deep": deep, "k".repeat(300): {"a": 1, "b": 2}});
    let identity = identity(TokenKind::CustomJwt, &claims);
    assert_eq!(identity.fields.len(), 5);
    assert!(identity.fields.keys().all(|key| key.len() <= 300));
}

#[test]
fn without_issuer_or_subject_there_is_no_identity() {
    for claims in [
        json!({"iss": "i"}),
        json!({"sub": "s"}),
        json!({"iss": "i", "sub": ""}),
        json!({"iss": 1, "sub": "s"}),
    ] {
        assert_eq!(Identity::from_claims(claims.as_object().unwrap(), TokenKind::Oidc), None, "{claims}");
    }
}
