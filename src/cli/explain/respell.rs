//! The same JSON as others would write it: what a body may have been before something on its way wrote it
//! anew.
//!
//! The order of the keys is kept, for it cannot be guessed.

use serde::de::IgnoredAny;

/// A body that means the same, and how it differs.
pub(super) struct Spelling {
    pub(super) how: String,
    pub(super) body: Vec<u8>,
}

/// How the parts of a JSON text are set.
#[derive(Clone, Copy)]
struct Setting {
    how: &'static str,
    after_comma: &'static str,
    after_colon: &'static str,
    /// Blanks a level, each part on a line of its own.
    indent: Option<usize>,
}

const SETTINGS: [Setting; 4] = [
    Setting { how: "written compactly", after_comma: "", after_colon: "", indent: None },
    Setting {
        how: "with a blank after each comma and colon",
        after_comma: " ",
        after_colon: " ",
        indent: None,
    },
    Setting { how: "indented by 2", after_comma: "", after_colon: " ", indent: Some(2) },
    Setting { how: "indented by 4", after_comma: "", after_colon: " ", indent: Some(4) },
];

/// How the characters of a JSON string are written.
type Letters = fn(&str) -> String;
const LETTERS: [(&str, Letters); 3] = [
    ("", str::to_owned),
    (", without needless escapes", plain),
    (", with \\u for other than ASCII", escaped),
];

/// Other spellings of a body, the likeliest first.
pub(super) fn spellings(body: &[u8]) -> Vec<Spelling> {
    let Ok(text) = std::str::from_utf8(body) else { return Vec::new() };
    let spelling = |how: &str, body: String| Spelling { how: how.to_owned(), body: body.into_bytes() };
    let mut spellings = vec![
        spelling("without the line break at its end", text.trim_end().to_owned()),
        spelling("with a line break at its end", format!("{text}\n")),
        spelling("with LF instead of CRLF", text.replace("\r\n", "\n")),
        spelling("with CRLF instead of LF", text.replace('\n', "\r\n")),
        spelling("without the byte order mark", text.trim_start_matches('\u{feff}').to_owned()),
    ];
    if serde_json::from_str::<IgnoredAny>(text).is_ok() {
        let parts = parts(text);
        for setting in SETTINGS {
            for (how, letters) in LETTERS {
                let body = set(&parts, setting, letters);
                let how = format!("{}{how}", setting.how);
                spellings
                    .push(spelling(&format!("{how}, with a line break at its end"), format!("{body}\n")));
                spellings.push(Spelling { how, body: body.into_bytes() });
            }
        }
    }
    spellings
}

/// The strings, the punctuation and the other values of a JSON text, without the blanks between them.
fn parts(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '"' => end_of_string(rest),
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            _ => rest.find(|it: char| it.is_whitespace() || "{}[],:\"".contains(it)).unwrap_or(rest.len()),
        };
        let (part, after) = rest.split_at(end.max(1));
        parts.push(part);
        rest = after.trim_start();
    }
    parts
}

/// Where the string ends with which a text begins.
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

fn set(parts: &[&str], setting: Setting, letters: Letters) -> String {
    let mut text = String::new();
    let mut level = 0;
    for (index, part) in parts.iter().enumerate() {
        let next = parts.get(index + 1).copied().unwrap_or_default();
        let is_last_inside = matches!(next, "}" | "]") && !matches!(*part, "{" | "[");
        match *part {
            "{" | "[" => level += 1,
            "}" | "]" => level -= 1,
            _ => {}
        }
        match *part {
            "," => text.extend([",", setting.after_comma]),
            ":" => text.extend([":", setting.after_colon]),
            string if string.starts_with('"') => text.push_str(&letters(string)),
            other => text.push_str(other),
        }
        let begins_lines = matches!(*part, "{" | "[") && !matches!(next, "}" | "]");
        if let Some(indent) = setting.indent {
            if begins_lines || *part == "," {
                line(&mut text, level * indent);
            } else if is_last_inside {
                line(&mut text, (level - 1) * indent);
            }
        }
    }
    text
}

fn line(text: &mut String, blanks: usize) {
    text.push('\n');
    text.extend(std::iter::repeat_n(' ', blanks));
}

/// The string with only the escapes that JSON demands.
fn plain(string: &str) -> String {
    let meant: Option<String> = serde_json::from_str(string).ok();
    meant.and_then(|meant| serde_json::to_string(&meant).ok()).unwrap_or_else(|| string.to_owned())
}

/// The string with every character beyond ASCII escaped.
fn escaped(string: &str) -> String {
    let mut units = [0; 2];
    plain(string).chars().fold(String::new(), |mut text, letter| {
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
    use serde_json::Value;

    use super::spellings;

    const COMPACT: &str = r#"{"a":[1,-2.50,{"b":"x, \"y\": {z}\\"}],"c":{},"d":[],"é":"ü/😀","e":null}"#;

    fn finds(from: &str, original: &str) -> bool {
        spellings(from.as_bytes()).iter().any(|spelling| spelling.body == original.as_bytes())
    }

    #[test]
    fn what_others_make_of_a_body_is_undone() {
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
    fn a_spelling_means_what_the_body_means() {
        let meant: Value = serde_json::from_str(COMPACT).unwrap();
        for spelling in spellings(COMPACT.as_bytes()) {
            assert_eq!(serde_json::from_slice::<Value>(&spelling.body).unwrap(), meant, "{}", spelling.how);
        }
        for wrong in ["", "{", "{\"a\"", "]}", "\"\\"] {
            assert_eq!(spellings(wrong.as_bytes()).len(), 5, "{wrong}");
        }
    }
}
