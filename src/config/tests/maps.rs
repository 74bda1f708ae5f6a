use super::super::ChangeTime;
use super::{SECRET, assert_mentions, errors, load};
use crate::domain::{Field, IdPolicy};

fn standard(map: &str) -> String {
    format!("[[sources]]\nname = 'one'\nprovider = 'standard'\nwebhook_secrets = ['{SECRET}']\n{map}")
}

const LEAST: &str =
    "[sources.map]\ntype = '/type'\nupsert = ['user.created']\nid = '/data/id'\nupdated_at = '/data/at'\n";

#[test]
fn a_map_is_read_as_it_stands() {
    let rest = "delete = ['user.deleted']\ncreated_at = '/data/born'\ndeleted_at = '/data/gone'\nids = 'reusable'\n\
                [sources.map.profile]\nemail = '/data/email'\ngivenName = '/data/first'";
    let config = load(&standard(&format!("{LEAST}{rest}")), &[]).unwrap();
    let map = config.sources[0].map.as_ref().unwrap();
    assert_eq!((map.event_type.as_str(), map.id.as_str()), ("/type", "/data/id"));
    assert_eq!(
        (map.upsert.as_slice(), map.delete.as_slice()),
        (&["user.created".into()][..], &["user.deleted".into()][..])
    );
    assert_eq!(map.created_at.as_deref(), Some("/data/born"));
    assert_eq!(map.updated_at, ChangeTime::At("/data/at".to_owned()));
    assert!(map.only.is_empty());
    assert_eq!(map.deleted_at.as_deref(), Some("/data/gone"));
    assert_eq!(map.ids, IdPolicy::Reusable);
    assert_eq!(map.profile.len(), 2);
    assert_eq!(map.profile[&Field::GivenName], "/data/first");
}

#[test]
fn ids_are_final_unless_it_is_said() {
    let config = load(&standard(LEAST), &[]).unwrap();
    assert_eq!(config.sources[0].map.as_ref().unwrap().ids, IdPolicy::Final);
    assert_mentions(&errors(&standard(&format!("{LEAST}ids = 'maybe'"))), &["sources[0].map.ids: `maybe`"]);
}

#[test]
fn reusable_ids_need_the_pointer_to_the_creation() {
    let errors = errors(&standard(&format!("{LEAST}ids = 'reusable'")));
    assert_mentions(&errors, &["sources[0].map.created_at: is missing"]);
}

#[test]
fn a_standard_source_that_receives_needs_a_map_and_others_refuse_it() {
    assert_mentions(&errors(&standard("")), &["sources[0].map: is missing"]);
    let clerk = standard(LEAST).replace("'standard'", "'clerk'");
    assert_mentions(&errors(&clerk), &["sources[0].map: is for provider = \"standard\""]);
}

#[test]
fn a_standard_source_that_only_answers_for_tokens_needs_no_map() {
    let file = "[[sources]]\nname = 'one'\nprovider = 'standard'\n[[sources.tokens]]\ntype = 'oidc'\ndomain = 'a.example.com'";
    assert!(load(file, &[]).unwrap().sources[0].map.is_none());
}

#[test]
fn missing_keys_of_a_map_are_reported() {
    let errors = errors(&standard("[sources.map]"));
    for key in ["type", "id", "updated_at", "upsert"] {
        assert_mentions(&errors, &[&format!("sources[0].map.{key}: is missing")]);
    }
}

#[test]
fn pointers_start_with_a_slash() {
    let errors = errors(&standard(&format!("{LEAST}[sources.map.profile]\nemail = '$.data.email'")));
    assert_mentions(
        &errors,
        &["sources[0].map.profile.email: `$.data.email` is not a JSON pointer", "\"/data/email\""],
    );
}

#[test]
fn a_profile_has_the_users_own_names_only() {
    let errors =
        errors(&standard(&format!("{LEAST}[sources.map.profile]\ngiven_name = '/x'\nshoeSize = '/y'")));
    assert_mentions(&errors, &["profile.given_name: is not a known key; did you mean `givenName`?"]);
    assert_mentions(&errors, &["profile.shoeSize: is not a known key; the keys here are name, givenName"]);
}

#[test]
fn an_event_is_an_upsert_or_a_delete() {
    let errors = errors(&standard(&format!("{LEAST}delete = ['user.created']")));
    assert_mentions(&errors, &["sources[0].map.delete: `user.created` is in `upsert` too"]);
}

#[test]
fn a_map_can_ask_for_other_members_in_the_file_and_in_a_variable() {
    let only = |file: &str, variables: &[(&str, &str)]| {
        let config = load(&standard(file), variables).unwrap();
        config.sources[0].map.clone().unwrap().only.into_iter().collect::<Vec<_>>()
    };
    let expected =
        [("/kind".to_owned(), "person".to_owned()), ("/object_type".to_owned(), "user".to_owned())];
    let section = format!("{LEAST}[sources.map.only]\n'/object_type' = 'user'\n'/kind' = 'person'");
    assert_eq!(only(&section, &[]), expected);
    let inline = format!("{LEAST}only = {{ '/object_type' = 'user', '/kind' = 'person' }}");
    assert_eq!(only(&inline, &[]), expected);
    let variable = ("USERSYNC_SOURCES__0__MAP__ONLY", "/object_type=user, /kind = person");
    assert_eq!(only(LEAST, &[variable]), expected);
}

#[test]
fn a_member_is_asked_for_by_a_pointer_and_a_string() {
    for (only, problem) in [
        ("{ object_type = 'user' }", "map.only: `object_type` is not a JSON pointer"),
        ("{ '/object_type' = true }", "map.only./object_type: is true or false; write a string in quotes"),
        ("{ '/object_type' = '' }", "map.only./object_type: is empty"),
        ("'/object_type'", "map.only: is a string; write a table of strings"),
    ] {
        assert_mentions(&errors(&standard(&format!("{LEAST}only = {only}"))), &[problem]);
    }
    let variable = ("USERSYNC_SOURCES__0__MAP__ONLY", "/object_type");
    let errors = super::errors_with(&standard(LEAST), &[variable]);
    assert_mentions(&errors, &["USERSYNC_SOURCES__0__MAP__ONLY: has an entry without ="]);
}

#[test]
fn the_time_of_a_change_can_be_that_of_its_delivery_only_if_it_is_said() {
    let file = standard(&LEAST.replace("'/data/at'", "'delivery'"));
    let config = load(&file, &[]).unwrap();
    assert_eq!(config.sources[0].map.as_ref().unwrap().updated_at, ChangeTime::Delivery);
    for wrong in ["Delivery", "received", "now"] {
        let file = standard(&LEAST.replace("'/data/at'", &format!("'{wrong}'")));
        assert_mentions(&errors(&file), &["map.updated_at: ", "is not a JSON pointer"]);
    }
}
