//! The header `Link` (RFC 8288), as far as the next page of a list is in it.

/// The header is not of the form that the standard gives it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// The target of the first link whose relation is `next`.
pub(super) fn next_of(header: &str) -> Result<Option<String>, Malformed> {
    let mut rest = Rest(header);
    loop {
        rest.skip(|letter| letter == ',' || letter.is_ascii_whitespace());
        if rest.0.is_empty() {
            return Ok(None);
        }
        rest = Rest(rest.0.strip_prefix('<').ok_or(Malformed)?);
        let (target, after) = rest.0.split_once('>').ok_or(Malformed)?;
        rest = Rest(after);
        let mut relations: Option<String> = None;
        while let Some((name, value)) = rest.parameter()? {
            // Of several, the first one counts.
            if name.eq_ignore_ascii_case("rel") {
                relations.get_or_insert(value);
            }
        }
        let is_next = relations.is_some_and(|names| {
            names.split_ascii_whitespace().any(|name| name.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Ok(Some(target.trim().to_owned()));
        }
    }
}

/// What is not read yet.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        self.0 = self.0.trim_start_matches(is_skipped);
    }

    fn skip_blanks(&mut self) {
        self.skip(|letter| letter.is_ascii_whitespace());
    }

    fn until(&mut self, ends: impl Fn(char) -> bool) -> &'a str {
        let (before, after) = self.0.split_at(self.0.find(ends).unwrap_or(self.0.len()));
        self.0 = after;
        before.trim_ascii()
    }

    /// The next parameter of a link; `None` where the link ends.
    fn parameter(&mut self) -> Result<Option<(&'a str, String)>, Malformed> {
        self.skip(|letter| letter == ';' || letter.is_ascii_whitespace());
        if self.0.is_empty() || self.0.starts_with(',') {
            return Ok(None);
        }
        let name = self.until(|letter| matches!(letter, '=' | ';' | ','));
        let Some(value) = self.0.strip_prefix('=') else { return Ok(Some((name, String::new()))) };
        self.0 = value;
        self.skip_blanks();
        let Some(quoted) = self.0.strip_prefix('"') else {
            return Ok(Some((name, self.until(|letter| matches!(letter, ';' | ',')).to_owned())));
        };
        let (value, after) = unquoted(quoted).ok_or(Malformed)?;
        self.0 = after;
        self.skip_blanks();
        if self.0.is_empty() || self.0.starts_with([';', ',']) {
            Ok(Some((name, value)))
        } else {
            Err(Malformed)
        }
    }
}

/// A quoted text behind its first quote, and what is behind its last one.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, &text[at + 1..])),
            '\\' => value.push(letters.next()?.1),
            _ => value.push(letter),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Malformed, next_of};

    #[test]
    fn the_next_page_is_found_however_the_header_is_written() {
        for header in [
            r#"</l?p=2>; rel="next""#,
            "</l?p=2>;rel=next",
            r#"</l?p=2>; rel="NEXT""#,
            "</l?p=2> ; REL = next",
            r#"</l?p=2>; rel = "last next""#,
            r#"</l?p=2>; title="a,b>; rel=prev"; rel="next""#,
            r#"</l?p=2>; title="a \"quoted\" word"; rel=next; rel=prev"#,
            r#"</l?p=1>; rel="first", , </l?p=2>; rel="next", </l?p=9>; rel=last"#,
            r"</a,b>; rel=prev; flag, </l?p=2>; rel=next",
            "\t< /l?p=2 >; rel=next;",
        ] {
            assert_eq!(next_of(header), Ok(Some("/l?p=2".to_owned())), "{header}");
        }
    }

    #[test]
    fn other_links_are_not_the_next_page() {
        for header in [
            "",
            r#"</l?p=1>; rel="prev""#,
            r#"</l?p=1>; rel="nextish""#,
            r#"</l?p=1>; title="rel=next""#,
            "</l?p=1>; rel=prev; rel=next",
            "</l?p=1>",
        ] {
            assert_eq!(next_of(header), Ok(None), "{header}");
        }
    }

    #[test]
    fn a_header_of_another_form_is_not_taken_for_the_end_of_the_list() {
        for header in
            ["garbage", "</l?p=2", r#"</l>; rel="next"#, r#"</l>; rel="next" x, </l>"#, "</l>; rel=a, x"]
        {
            assert_eq!(next_of(header), Err(Malformed), "{header}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(header in "[<>;,= \"\\\\a-fnextrlé]{0,40}") {
            let _ = next_of(&header);
        }
    }
}
