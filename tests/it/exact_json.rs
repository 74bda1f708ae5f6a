//! Values stay exactly as they were sent: numbers to the digit and strings to the character, through every order of
//! events, in both databases, in the API and by a rebuild.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use serde_json::{Number, Value, json};

use crate::support::app::{NOW, TestApp};

/// Clerk's event about a user, with the metadata as it is written.
fn event(user: &str, seconds: i64, fields: &str) -> String {
    let updated_at = (NOW + seconds) * 1000;
    format!(r#"{{"type":"user.updated","data":{{"id":"{user}","updated_at":{updated_at},{fields}}}}}"#)
}

fn metadata(json: &str) -> String {
    format!(r#""public_metadata":{json}"#)
}

/// What the API shows of each user's metadata, to the character.
async fn shown(app: &TestApp) -> BTreeMap<String, String> {
    let rows = app.client.rows().await;
    let row = |row: &Value| (row["externalId"].as_str().unwrap().to_owned(), row["metadata"].to_string());
    rows.iter().map(row).collect()
}

/// A rebuild finds nothing to correct, and the API shows the same after it.
async fn assert_a_rebuild_changes_nothing(app: &TestApp) {
    let before = app.client.rows().await;
    let rebuilt = app.replay().rebuild(|_| ()).await.unwrap();
    assert_eq!((rebuilt.corrected, rebuilt.incomplete), (0, 0));
    assert_eq!(app.client.rows().await, before);
}

const NUMBERS: &str = r#"{"v":[12.917521550408111,8.39110794650462e-14,0.1,1e2,-0.0,9007199254740993,
    123456789012345678901234567890.123456789012345678901234567890,1e400,1.50]}"#;

async fn numbers_in_metadata_keep_their_value_whatever_the_order_of_events(app: &TestApp) {
    let numbers = event("first", 1, &metadata(NUMBERS));
    let names = [2, 3, 4].map(|at| event("first", at, &format!(r#""first_name":"Ada {at}""#)));
    for body in [&numbers, &names[0], &names[1], &names[2]] {
        assert_eq!(app.client.deliver(body.clone()).await, "200 applied");
    }
    for body in [&names[2], &numbers, &names[0], &names[1]] {
        app.client.deliver(body.replace("first\"", "second\"")).await;
    }
    let huge = format!("1{}", "0".repeat(400));
    let expected = format!(
        r#"{{"v":[12.917521550408111,0.0000000000000839110794650462,0.1,100,0.0,9007199254740993,{}]}}"#,
        format_args!("123456789012345678901234567890.123456789012345678901234567890,{huge},1.50")
    );
    let shown = shown(app).await;
    assert_eq!(shown["first"], expected);
    assert_eq!(shown["second"], expected);
    assert_a_rebuild_changes_nothing(app).await;
}

on_both_databases!(numbers_in_metadata_keep_their_value_whatever_the_order_of_events);

/// The largest that PostgreSQL stores is stored, and the next parks in both databases alike.
async fn a_number_that_jsonb_cannot_hold_parks_its_delivery_with_the_reason(app: &TestApp) {
    let delivered = async |user: &str, number: &str| {
        app.client.deliver(event(user, 1, &metadata(&format!("[{number}]")))).await
    };
    assert_eq!(delivered("whole", "1e131071").await, "200 applied");
    assert_eq!(delivered("decimals", "1e-16383").await, "200 applied");
    assert_eq!(delivered("too_large", "1e131072").await, "200 parked");
    assert_eq!(delivered("too_small", "1e-16384").await, "200 parked");
    let which = usersync::internals::store::Which { parked: true, ..Default::default() };
    for entry in app.store.journal().page(&which, None, 10).await.unwrap() {
        let reason = entry.reason.unwrap();
        assert_eq!(reason, "`metadata` contains a number with more digits than PostgreSQL can store");
    }
    assert_eq!(shown(app).await["whole"].len(), "[]".len() + 131_072);
    assert_a_rebuild_changes_nothing(app).await;
    app.expect_parked(2);
}

on_both_databases!(a_number_that_jsonb_cannot_hold_parks_its_delivery_with_the_reason);

/// What can be stored can be read again, and what is nested deeper parks and harms nothing else of its user.
async fn metadata_that_is_nested_too_deep_parks_its_delivery(app: &TestApp) {
    let delivered = async |seconds: i64, levels: usize| {
        let nested = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        app.client.deliver(event("deep", seconds, &metadata(&nested))).await
    };
    assert_eq!(delivered(1, 100).await, "200 applied");
    assert_eq!(delivered(2, 101).await, "200 parked");
    assert_eq!(delivered(3, 124).await, "200 parked");
    assert_eq!(app.client.deliver(event("deep", 4, r#""first_name":"Ada""#)).await, "200 applied");
    assert_eq!(shown(app).await["deep"].len(), 200);
    assert_a_rebuild_changes_nothing(app).await;
    app.expect_parked(2);
}

on_both_databases!(metadata_that_is_nested_too_deep_parks_its_delivery);

/// A JSON number as some sender may write it.
fn some_number() -> impl Strategy<Value = Value> {
    ("-?(0|[1-9][0-9]{0,24})(\\.[0-9]{1,24})?", prop::option::of(-40_i32..40)).prop_map(
        |(digits, exponent)| {
            let exponent = exponent.map(|exponent| format!("e{exponent}")).unwrap_or_default();
            Value::Number(format!("{digits}{exponent}").parse().unwrap())
        },
    )
}

/// Any text but U+0000, which is taken out: also of quotes, backslashes and characters beyond 16 bits.
fn some_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[^\\x00]{0,12}",
        "[\\u{1}-\\u{1f}\"\\\\/\u{7f}\u{e9}\u{2028}\u{fffd}\u{1f600}\u{10ffff}]{0,12}"
    ]
}

fn some_metadata() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        4 => some_number(),
        4 => some_text().prop_map(Value::String),
        1 => Just(json!(null)),
        1 => any::<bool>().prop_map(Value::Bool),
    ];
    let tree = leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            prop::collection::btree_map(some_text(), inner, 0..5)
                .prop_map(|entries| Value::Object(entries.into_iter().collect())),
        ]
    });
    tree.prop_filter("null is no metadata", |value| !value.is_null())
}

/// A number as its sign, its digits and the power of ten of the last one: equal numbers look alike.
fn exactly(number: &Number) -> (bool, String, i32) {
    let text = number.to_string().to_lowercase();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{}{decimals}", whole.trim_start_matches('-'));
    let digits = digits.trim_start_matches('0');
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() {
        return (false, String::new(), 0);
    }
    let dropped = i32::try_from(digits.len() - significant.len()).unwrap();
    let power = exponent.parse::<i32>().unwrap() - i32::try_from(decimals.len()).unwrap() + dropped;
    (whole.starts_with('-'), significant.to_owned(), power)
}

/// The value with each number in a form in which equal numbers are equal.
fn comparable(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let (is_negative, digits, power) = exactly(number);
            json!({"number": format!("{is_negative} {digits} {power}")})
        }
        Value::Array(items) => items.iter().map(comparable).collect(),
        Value::Object(entries) => {
            entries.iter().map(|(key, value)| (key.clone(), comparable(value))).collect()
        }
        other => other.clone(),
    }
}

async fn any_json_comes_back_as_it_was_sent(app: &TestApp) {
    let mut runner = TestRunner::new_with_rng(
        ProptestConfig::default(),
        TestRng::from_seed(RngAlgorithm::ChaCha, &[11; 32]),
    );
    let mut sent = BTreeMap::new();
    for number in 0..150 {
        let value = some_metadata().new_tree(&mut runner).unwrap().current();
        let name = some_text().new_tree(&mut runner).unwrap().current();
        let user = format!("user_{number}");
        let created =
            event(&user, 1, &format!("{},\"username\":{}", metadata(&value.to_string()), json!(name)));
        let update = event(&user, 2, r#""first_name":"Ada""#);
        let bodies = if number % 2 == 0 { [&created, &update] } else { [&update, &created] };
        for body in bodies {
            assert_eq!(app.client.deliver(body.clone()).await, "200 applied", "{body}");
        }
        sent.insert(user, (value, name));
    }
    for row in app.client.rows().await {
        let (value, name) = &sent[row["externalId"].as_str().unwrap()];
        assert_eq!(comparable(&row["metadata"]), comparable(value));
        let name = Some(name.as_str()).filter(|name| !name.trim().is_empty());
        assert_eq!(row["nickname"].as_str(), name);
    }
    assert_a_rebuild_changes_nothing(app).await;
}

on_both_databases!(any_json_comes_back_as_it_was_sent);

/// The API's text is the same whichever database keeps it.
#[tokio::test]
async fn both_databases_show_a_number_in_the_same_digits() {
    let sqlite = TestApp::on_sqlite(|_| ()).await;
    let Some(postgres) = TestApp::on_postgres(|_| ()).await else { return sqlite.finish().await };
    let numbers = "[1E5,1.0e-3,-0,-0.00,5e-1,1.2300e2,100.0,123e-2]";
    for app in [&sqlite, &postgres] {
        app.client.deliver(event("ada", 1, &metadata(numbers))).await;
        assert_eq!(shown(app).await["ada"], "[100000,0.0010,0,0.00,0.5,123.00,100.0,1.23]");
    }
    sqlite.finish().await;
    postgres.finish().await;
}
