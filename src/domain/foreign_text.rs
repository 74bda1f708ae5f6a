//! Texts that somebody else has written, such as a provider's error message, in the form in which they may be logged,
//! printed or sent on.
//!
//! Such a text may quote what it complains about: a key, a token or an e-mail address. It may also be very long, or have
//! control characters that change what a terminal shows.

/// The most characters that are shown.
const MAX_CHARS: usize = 300;
/// The most characters that are read.
const MAX_CHARS_READ: usize = 4096;
/// A shorter secret is not looked for: it would be found in ordinary words.
const SHORTEST_SECRET: usize = 6;
/// A word of so many characters of an encoding is a key or a token. Ids of users and requests are shorter.
const OPAQUE_LENGTH: usize = 40;
/// After `Bearer` and `Basic`, a word of so many characters is a secret even if it has no digit.
const CREDENTIAL_LENGTH: usize = 16;
/// How keys, secrets and signed tokens begin.
const SECRET_PREFIXES: [&str; 8] = ["sk_", "rk_", "pk_", "ak_", "whsec_", "eyj", "ghp_", "usk_"];

const SECRET: &str = "[secret]";
const EMAIL: &str = "[e-mail]";

/// A foreign text on one line: bounded, without invisible characters, without e-mail addresses, without what looks like
/// a key or a token, and without these `secrets`.
pub fn foreign_text(text: &str, secrets: &[&str]) -> String {
    let mut text: String = text.chars().filter_map(visible).take(MAX_CHARS_READ).collect();
    for secret in secrets.iter().filter(|secret| secret.len() >= SHORTEST_SECRET) {
        text = text.replace(secret, SECRET);
    }
    let mut shown = String::new();
    let mut last_word = String::new();
    for piece in text.split_inclusive(ends_word) {
        let word = piece.trim_end_matches(ends_word);
        shown.push_str(replacement(word, &last_word).unwrap_or(word));
        shown.push_str(&piece[word.len()..]);
        if !word.is_empty() {
            last_word = word.to_ascii_lowercase();
        }
    }
    let mut bounded: String = shown.chars().take(MAX_CHARS).collect();
    if bounded.len() < shown.len() {
        bounded.push('…');
    }
    bounded
}

/// A character as it is shown; `None` if it is left out.
fn visible(letter: char) -> Option<char> {
    match letter {
        '\n' | '\r' | '\t' => Some(' '),
        letter if letter.is_control() || is_invisible(letter) => None,
        letter => Some(letter),
    }
}

/// Characters without width, and those that change the direction of the text around them.
pub fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}')
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || "\"'`<>()[]{},;:=&?|".contains(letter)
}

/// What is shown instead of a word.
fn replacement(word: &str, last_word: &str) -> Option<&'static str> {
    let lower = word.to_ascii_lowercase();
    let has_digit = word.contains(|letter: char| letter.is_ascii_digit());
    let begins_as_secret =
        SECRET_PREFIXES.iter().any(|prefix| lower.starts_with(prefix) && lower.len() > prefix.len());
    // `key_id` and `key_not_found` are words.
    if begins_as_secret || (lower.starts_with("key_") && has_digit) {
        return Some(SECRET);
    }
    let follows_scheme = matches!(last_word, "bearer" | "basic");
    if follows_scheme && is_encoded(word) && (has_digit || word.len() >= CREDENTIAL_LENGTH) {
        return Some(SECRET);
    }
    for at in ["@", "%40"] {
        if lower.split_once(at).is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()) {
            return Some(EMAIL);
        }
    }
    // A slash is a character of base64, which has capital letters too, and what separates the parts of an address.
    let is_address = word.starts_with('/') || !word.contains(|letter: char| letter.is_ascii_uppercase());
    let mut parts = word.split(|letter| letter == '/' && is_address);
    parts.any(is_opaque).then_some(SECRET)
}

fn is_opaque(word: &str) -> bool {
    word.len() >= OPAQUE_LENGTH
        && is_encoded(word)
        && word.contains(|letter: char| letter.is_ascii_digit())
        && word.contains(|letter: char| letter.is_ascii_alphabetic())
}

/// Whether a word has only characters of base64, hexadecimal numbers and signed tokens.
fn is_encoded(word: &str) -> bool {
    word.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.+/~".contains(letter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{MAX_CHARS, foreign_text, is_invisible};

    fn shown(text: &str) -> String {
        foreign_text(text, &["hunter2!", "abc"])
    }

    #[test]
    fn keys_tokens_and_addresses_are_replaced() {
        for (text, expected) in [
            ("The key sk_live_abc123 is revoked", "The key [secret] is revoked"),
            ("Authorization: Bearer abc123def", "Authorization: Bearer [secret]"),
            ("bearer 'opaqueopaqueopaque'", "bearer '[secret]'"),
            ("Bearer token is invalid", "Bearer token is invalid"),
            ("secret=whsec_MfKQ9r8G&x=1", "secret=[secret]&x=1"),
            ("got eyJhbGciOiJIUzI1NiJ9.e30.abc", "got [secret]"),
            ("key_01HXYZ is revoked", "[secret] is revoked"),
            ("ab/cdefghijklmnopqrstuvwxyz0123456789/+ABCDEF", "[secret]"),
            (
                "https://a.test/9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
                "https:[secret]",
            ),
            ("ada@example.com exists", "[e-mail] exists"),
            ("<ada+x@example.com>, /users?email=ada%40example.com", "<[e-mail]>, /users?email=[e-mail]"),
            ("password hunter2! is wrong, abc", "password [secret] is wrong, abc"),
            ("digest 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "digest [secret]"),
        ] {
            assert_eq!(shown(text), expected);
        }
    }

    #[test]
    fn ordinary_words_and_ids_stay() {
        for text in [
            "No user was found with id user_2abcdefghijklmnopqrstuvwxyz1",
            "The user does not exist. See https://auth0.com/docs/users",
            "invalid_client, trace 0af7651916cd43dd8448eb211c80319c",
            "Größe überschritten (429)",
            "key_not_found, see key_id",
            "https://my-tenant-name.eu.auth0.com/.well-known/jwks.json",
            "http://keycloak:8080/realms/acme/protocol/openid-connect/certs",
            "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/discovery/v2.0/keys",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn control_characters_are_removed_and_the_length_has_a_limit() {
        assert_eq!(shown("a\u{1b}[31mb\r\nc\u{202e}d\u{7f}"), "a[31mb  cd");
        let long = shown(&"é ".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_CHARS + 1);
    }

    proptest! {
        #[test]
        fn a_secret_is_never_shown(before in ".{0,20}", after in ".{0,20}") {
            let text = foreign_text(&format!("{before}S3cret,:value{after}"), &["S3cret,:value"]);
            prop_assert!(!text.contains("S3cret,:value"), "{}", text);
            prop_assert!(!text.contains(|letter: char| letter.is_control() || is_invisible(letter)));
        }
    }
}
