//! Text as people paste it.

/// Pairs that people put around a value: shells and dotenv files take them off, container tools do not.
const QUOTES: [(char, char); 5] = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’')];

/// The text without what copying, editors and files add around it: whitespace, a byte order mark, a pair of quotes.
pub(super) fn clean(text: &str) -> &str {
    let text = text.trim_matches(is_blank);
    let inside = QUOTES.iter().find_map(|(open, close)| {
        let inside = text.strip_prefix(*open)?.strip_suffix(*close)?;
        (!inside.contains([*open, *close])).then_some(inside)
    });
    inside.map_or(text, clean)
}

/// Whether a quotation mark is at one end only, so that it is not clear what was meant.
pub(super) fn has_loose_quote(text: &str) -> bool {
    let is_quote = |letter: char| QUOTES.iter().any(|(open, close)| letter == *open || letter == *close);
    text.starts_with(is_quote) || text.ends_with(is_quote)
}

/// Whether there is a line break or another invisible character.
pub(super) fn has_invisible(text: &str) -> bool {
    text.contains(|letter: char| letter.is_control() || is_zero_width(letter))
}

fn is_blank(letter: char) -> bool {
    letter.is_whitespace() || is_zero_width(letter)
}

fn is_zero_width(letter: char) -> bool {
    matches!(letter, '\u{feff}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{fffe}')
}

#[cfg(test)]
mod tests {
    use super::{clean, has_invisible, has_loose_quote};

    #[test]
    fn what_is_around_a_text_is_taken_off() {
        for around in [
            "a b",
            " a b\n",
            "\u{feff}a b",
            "\"a b\"",
            "'a b'",
            "`a b`",
            "“a b”",
            "‘a b’",
            "\u{feff}\"a b\"\r\n",
            "\" a b \"",
            "'\"a b\"'",
            "\u{200b}a b\u{200b}",
            "\u{a0}a b",
        ] {
            assert_eq!(clean(around), "a b", "{around:?}");
        }
        for whole in ["\"a\",\"b\"", "it's", "\"", "a\"", "usersync=\"debug\""] {
            assert_eq!(clean(whole), whole);
        }
        assert_eq!(clean("\"\""), "");
    }

    #[test]
    fn what_cannot_be_taken_off_is_found() {
        assert!(has_loose_quote("\"a") && has_loose_quote("a’") && !has_loose_quote("it's"));
        assert!(
            has_invisible("a\nb")
                && has_invisible("a\u{feff}b")
                && has_invisible("a\0")
                && !has_invisible("a b")
        );
    }
}
