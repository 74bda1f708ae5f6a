//! The same JSON value, written in other ways: what a body may have been before a proxy or a body parser
//! rewrote it.
//!
//! The order of the keys is kept, because the original order cannot be guessed.

use serde::de::IgnoredAny;

/// Another body with the same meaning, and how it is written.
pub(super) struct Variant {
    pub(super) how: String,
    pub(super) body: Vec<u8>,
}

/// How the tokens of a JSON document are laid out.
#[derive(Clone, Copy)]
struct Layout {
    how: &'static str,
    after_comma: &'static str,
    after_colon: &'static str,
    /// Spaces for each level, with each element on a line of its own.
    indent: Option<usize>,
}

const LAYOUTS: [Layout; 4] = [
    Layout { how: "written compactly", after_comma: "", after_colon: "", indent: None },
    Layout {
        how: "with a space after each comma and colon",
        after_comma: " ",
        after_colon: " ",
        indent: None,
    },
    Layout { how: "indented by 2", after_comma: "", after_colon: " ", indent: Some(2) },
    Layout { how: "indented by 4", after_comma: "", after_colon: " ", indent: Some(4) },
];

/// Writes a JSON string in another way.
type WriteString = fn(&str) -> String;
const STRINGS: [(&str, WriteString); 3] = [
    ("", str::to_owned),
    (", without unnecessary escapes", minimal),
    (", with \\u for other than ASCII", escaped),
];

/// The variants of a body, the likeliest first.
pub(super) fn variants(body: &[u8]) -> Vec<Variant> {
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    let variant = |how: &str, body: String| Variant { how: how.to_owned(), body: body.into_bytes() };
    let mut variants = vec![
        variant("without the line break at its end", text.trim_end().to_owned()),
        variant("with a line break at its end", format!("{text}\n")),
        variant("with LF instead of CRLF", text.replace("\r\n", "\n")),
        variant("with CRLF instead of LF", text.replace('\n', "\r\n")),
        variant("without the byte order mark", text.trim_start_matches('\u{feff}').to_owned()),
    ];
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        let tokens = tokens(text);
        for layout in LAYOUTS {
            for (how, write_string) in STRINGS {
                let body = write(&tokens, layout, write_string);
                let how = format!("{}{how}", layout.how);
                variants.push(variant(&format!("{how}, with a line break at its end"), format!("{body}\n")));
                variants.push(Variant { how, body: body.into_bytes() });
            }
        }
    }
    variants
}

/// The strings, the punctuation and the other values of a JSON document, without the whitespace between them.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_string(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest.find(|it: char| it.is_whitespace() || "{}[],:\"".contains(it)).unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(end.max(1));
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

/// Where the JSON string at the beginning of the text ends.
fn end_of_string(text: &str) -> usize {
    let mut is_escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !is_escaped => return index + 1,
            '\\' => is_escaped = !is_escaped,
            _ => is_escaped = false,
        }
    }
    text.len()
}

fn write(tokens: &[&str], layout: Layout, write_string: WriteString) -> String {
    let mut text = String::new();
    let mut level = 0;
    for (index, token) in tokens.iter().enumerate() {
        let next = tokens.get(index + 1).copied().unwrap_or_default();
        let is_last_inside = matches!(next, "}" | "]") && !matches!(*token, "{" | "[");
        match *token {
            "{" | "[" => level += 1,
            "}" | "]" => level -= 1,
            _ => {}
        }
        match *token {
            "," => text.extend([",", layout.after_comma]),
            ":" => text.extend([":", layout.after_colon]),
            string if string.starts_with('"') => text.push_str(&write_string(string)),
            other => text.push_str(other),
        }
        let begins_lines = matches!(*token, "{" | "[") && !matches!(next, "}" | "]");
        if let Some(indent) = layout.indent {
            if begins_lines || *token == "," {
                line(&mut text, level * indent);
            } else if is_last_inside {
                line(&mut text, (level - 1) * indent);
            }
        }
    }
    text
}

fn line(text: &mut String, spaces: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', spaces));
}

/// The string with only the escapes that JSON requires.
fn minimal(string: &str) -> String {
    let meant: Option<String> = serde_json::from_str(string).ok();
    meant.and_then(|meant| serde_json::to_string(&meant).ok()).unwrap_or_else(|| string.to_owned())
}

/// The string with every character beyond ASCII escaped.
fn escaped(string: &str) -> String {
    let mut units = [0; 2];
    minimal(string).chars().fold(String::new(), |mut text, letter| {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            text.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::variants;
    use crate::providers::testing::mutated;

    const COMPACT: &str = r#"{"a":[1,-2.50,{"b":"x, \"y\": {z}\\"}],"c":{},"d":[],"é":"ü/😀","e":null}"#;

    fn finds(from: &str, original: &str) -> bool {
        variants(from.as_bytes()).iter().any(|variant| variant.body == original.as_bytes())
    }

    #[test]
    fn a_rewritten_body_has_the_original_among_its_variants() {
        let spaced =
            r#"{"a": [1, -2.50, {"b": "x, \"y\": {z}\\"}], "c": {}, "d": [], "é": "ü/😀", "e": null}"#;
        let escaped = spaced.replace('é', "\\u00e9").replace('ü', "\\u00fc").replace('😀', "\\ud83d\\ude00");
        let pretty = "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": \"c\"\n}";
        let slashed = COMPACT.replace('/', "\\/");
        for (from, original) in [
            (spaced, COMPACT),
            (COMPACT, spaced),
            (&escaped, COMPACT),
            (COMPACT, &escaped),
            (&slashed, COMPACT),
            (r#"{"a":[1,{}],"b":"c"}"#, pretty),
            (pretty, r#"{"a":[1,{}],"b":"c"}"#),
            (&format!("{COMPACT}\r\n"), COMPACT),
            (COMPACT, &format!("{COMPACT}\n")),
            (&pretty.replace('\n', "\r\n"), pretty),
        ] {
            assert!(finds(from, original), "{from} to {original}");
        }
    }

    #[test]
    fn a_variant_has_the_same_meaning_as_the_body() {
        let meant: Value = serde_json::from_str(COMPACT).unwrap();
        for variant in variants(COMPACT.as_bytes()) {
            assert_eq!(serde_json::from_slice::<Value>(&variant.body).unwrap(), meant, "{}", variant.how);
        }
        for wrong in ["", "{", "{\"a\"", "]}", "\"\\"] {
            assert_eq!(variants(wrong.as_bytes()).len(), 5, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics_and_a_variant_of_json_has_the_same_meaning(body in mutated(vec![COMPACT.to_owned()])) {
            let meant: Option<Value> = serde_json::from_slice(&body).ok();
            for variant in variants(&body) {
                if let Some(meant) = &meant {
                    prop_assert_eq!(&serde_json::from_slice::<Value>(&variant.body).unwrap(), meant, "{}", variant.how);
                }
            }
        }
    }
}
