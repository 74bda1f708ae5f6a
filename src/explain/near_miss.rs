//! Two strings that should be equal and nearly are.

/// The only difference between two strings, if it is one of the usual mistakes.
pub(super) fn difference(one: &str, other: &str) -> Option<&'static str> {
    MISTAKES
        .iter()
        .find(|(_, normalize)| one != other && normalize(one) == normalize(other))
        .map(|(mistake, _)| *mistake)
}

/// Removes the difference from a string.
type Normalize = fn(&str) -> String;

const MISTAKES: [(&str, Normalize); 6] = [
    ("surrounding spaces", |text| text.trim().to_owned()),
    ("a trailing slash", |text| text.trim_end_matches('/').to_owned()),
    ("the case of letters", str::to_lowercase),
    ("a leading http:// or https://", |text| without_scheme(text).to_owned()),
    ("a leading www.", |text| text.replacen("//www.", "//", 1)),
    ("slashes, scheme and case", |text| without_scheme(text.trim().trim_end_matches('/')).to_lowercase()),
];

fn without_scheme(text: &str) -> &str {
    text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn a_usual_mistake_is_named_and_nothing_else_is() {
        for (one, other, expected) in [
            ("https://api", "https://api/", Some("a trailing slash")),
            ("https://Api", "https://api", Some("the case of letters")),
            ("http://api", "https://api", Some("a leading http:// or https://")),
            ("api", "https://api", Some("a leading http:// or https://")),
            ("https://www.api", "https://api", Some("a leading www.")),
            (" api", "api", Some("surrounding spaces")),
            ("API/", "https://api", Some("slashes, scheme and case")),
            ("api", "api", None),
            ("api", "app", None),
        ] {
            assert_eq!(difference(one, other), expected, "{one} {other}");
            assert_eq!(difference(other, one), expected, "{other} {one}");
        }
    }
}
