//! Mutations of real payloads, for property tests of everything that reads what a sender sends.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Value, json};

/// One change of a payload.
#[derive(Clone, Debug)]
enum Mutation {
    /// Another value somewhere in the JSON.
    Replace(Index, Value),
    /// A member or an element less.
    Remove(Index),
    /// Other bytes somewhere in the document.
    Overwrite(Index, Vec<u8>),
    /// More bytes somewhere in the document.
    Insert(Index, Vec<u8>),
    /// The end of the document is missing.
    Truncate(Index),
}

/// Payloads like those of a corpus. About half of them are still JSON.
pub(crate) fn mutated(corpus: Vec<String>) -> impl Strategy<Value = Vec<u8>> {
    let of_json = vec(json_mutation(), 0..4);
    let of_bytes = prop_oneof![2 => Just(Vec::new()), 1 => vec(byte_mutation(), 1..4)];
    (select(corpus), of_json, of_bytes).prop_map(|(payload, of_json, of_bytes)| {
        let mut value: Value = serde_json::from_str(&payload).unwrap_or_default();
        for mutation in &of_json {
            mutate_json(&mut value, mutation);
        }
        let mut bytes =
            if of_json.is_empty() { payload.into_bytes() } else { value.to_string().into_bytes() };
        for mutation in &of_bytes {
            mutate_bytes(&mut bytes, mutation);
        }
        bytes
    })
}

fn json_mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        4 => (any::<Index>(), odd_value()).prop_map(|(at, value)| Mutation::Replace(at, value)),
        1 => any::<Index>().prop_map(Mutation::Remove),
    ]
}

fn byte_mutation() -> impl Strategy<Value = Mutation> {
    prop_oneof![
        (any::<Index>(), odd_bytes()).prop_map(|(at, bytes)| Mutation::Overwrite(at, bytes)),
        (any::<Index>(), odd_bytes()).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        any::<Index>().prop_map(Mutation::Truncate),
    ]
}

/// A value at which a careless reader fails: another type, an extreme number or time, an odd string.
fn odd_value() -> impl Strategy<Value = Value> {
    let numbers = [json!(0), json!(-1), json!(i64::MIN), json!(u64::MAX), json!(1e300), json!(-1e-300)];
    let times = [
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:60Z",
        "+275760-09-13T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "1767268800",
        "2026-01-01",
    ];
    let strings =
        ["", "\0", "a\0b", "\u{feff}", "\u{202e}😀", "null", "user.created", "/", "~0", "' OR 1=1 --"];
    prop_oneof![
        select(vec![Value::Null, json!(true), json!([]), json!({}), json!([[{}]]), json!({"": null})]),
        select(numbers.to_vec()),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(|number| json!(number)),
        select(times.to_vec()).prop_map(Value::from),
        select(strings.to_vec()).prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        (200..3_000_usize).prop_map(|length| Value::from("x".repeat(length))),
    ]
}

/// Bytes that end strings, open brackets, break UTF-8, or write half a surrogate pair.
fn odd_bytes() -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&[u8]> = vec![
        b"\"", b"\\", b"\\ud83d", b"\\udE00", b"\\u0000", b"\\u", b"{", b"[[[[", b"}", b",", b"\xff",
        b"\xc3", b"\0", b"1e999", b"\n",
    ];
    prop_oneof![select(pieces).prop_map(<[u8]>::to_vec), vec(any::<u8>(), 1..4)]
}

fn mutate_json(value: &mut Value, mutation: &Mutation) {
    let mut pointers = Vec::new();
    collect_pointers(value, String::new(), &mut pointers);
    let chosen = |at: &Index| pointers[at.index(pointers.len())].clone();
    match mutation {
        Mutation::Replace(at, other) => {
            if let Some(place) = value.pointer_mut(&chosen(at)) {
                place.clone_from(other);
            }
        }
        Mutation::Remove(at) => {
            let pointer = chosen(at);
            let Some((parent, key)) = pointer.rsplit_once('/') else { return };
            match value.pointer_mut(parent) {
                Some(Value::Object(members)) => {
                    members.remove(&key.replace("~1", "/").replace("~0", "~"));
                }
                Some(Value::Array(elements)) => {
                    key.parse::<usize>().ok().map(|index| elements.remove(index));
                }
                _ => {}
            }
        }
        Mutation::Overwrite(..) | Mutation::Insert(..) | Mutation::Truncate(_) => {}
    }
}

/// The JSON pointers of a value and of everything in it.
fn collect_pointers(value: &Value, pointer: String, pointers: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let key = key.replace('~', "~0").replace('/', "~1");
                collect_pointers(member, format!("{pointer}/{key}"), pointers);
            }
        }
        Value::Array(elements) => {
            for (index, element) in elements.iter().enumerate() {
                collect_pointers(element, format!("{pointer}/{index}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(pointer);
}

fn mutate_bytes(bytes: &mut Vec<u8>, mutation: &Mutation) {
    match mutation {
        Mutation::Overwrite(at, other) => {
            let start = at.index(bytes.len() + 1);
            let end = bytes.len().min(start + other.len());
            bytes.splice(start..end, other.iter().copied());
        }
        Mutation::Insert(at, other) => {
            let start = at.index(bytes.len() + 1);
            bytes.splice(start..start, other.iter().copied());
        }
        Mutation::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Mutation::Replace(..) | Mutation::Remove(_) => {}
    }
}
