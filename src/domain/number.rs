//! JSON numbers, to the digit: written without an exponent, as PostgreSQL's `jsonb` writes them.
//!
//! A number has one spelling in both databases, in records and in the API, so that an unchanged value looks the same
//! everywhere.

use serde_json::Number;

/// The most digits before the decimal point that a `numeric` of PostgreSQL has (its documentation, section 8.1).
const MOST_WHOLE_DIGITS: usize = 131_072;
/// The most digits after it.
const MOST_DECIMALS: usize = 16_383;

/// The same number as PostgreSQL writes it; `None` if it has more digits than PostgreSQL can store.
pub(super) fn plain(number: &Number) -> Option<Number> {
    let text = number.to_string();
    let is_plain = !text.contains(['e', 'E']) && text.len() <= MOST_DECIMALS && !text.starts_with("-0");
    if is_plain {
        return Some(number.clone());
    }
    without_exponent(&text)?.parse().ok()
}

fn without_exponent(text: &str) -> Option<String> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, decimals) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = [whole, decimals].concat();
    let is_zero = digits.bytes().all(|digit| digit == b'0');
    // An exponent that no machine number holds is far outside of what PostgreSQL stores.
    let exponent: i64 = exponent.trim_start_matches('+').parse().ok().or(is_zero.then_some(0))?;

    // PostgreSQL keeps as many decimals as the number was written with.
    let decimals = i64::try_from(decimals.len()).ok()?.checked_sub(exponent)?;
    let scale = usize::try_from(decimals.max(0)).ok().filter(|scale| *scale <= MOST_DECIMALS)?;
    let zeros = if is_zero { 0 } else { usize::try_from((-decimals).max(0)).ok()? };
    if zeros > MOST_WHOLE_DIGITS {
        return None;
    }
    let digits = format!("{digits}{}", "0".repeat(zeros));
    let digits = format!("{digits:0>least$}", least = scale + 1);
    let (whole, decimals) = digits.split_at_checked(digits.len() - scale)?;
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty()).unwrap_or("0");
    if whole.len() > MOST_WHOLE_DIGITS {
        return None;
    }
    let sign = if is_zero { "" } else { sign };
    Some(if decimals.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{decimals}") })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Number;

    use super::{MOST_DECIMALS, MOST_WHOLE_DIGITS, plain};

    fn written(number: &str) -> Option<String> {
        plain(&number.parse::<Number>().unwrap()).map(|number| number.to_string())
    }

    #[test]
    fn a_number_is_written_as_postgresql_writes_it() {
        for (number, expected) in [
            ("0", "0"),
            ("-0", "0"),
            ("-0.50", "-0.50"),
            ("-0.0", "0.0"),
            ("1.50", "1.50"),
            ("1e2", "100"),
            ("1.0E+3", "1000"),
            ("1.25e1", "12.5"),
            ("-1e-7", "-0.0000001"),
            ("8.39110794650462e-14", "0.0000000000000839110794650462"),
            ("12.917521550408111", "12.917521550408111"),
            ("0e999999999999999999999", "0"),
            ("123456789012345678901234567890", "123456789012345678901234567890"),
        ] {
            assert_eq!(written(number).as_deref(), Some(expected), "{number}");
        }
    }

    #[test]
    fn a_number_that_postgresql_cannot_store_is_none() {
        let digits = |count: usize| "9".repeat(count);
        assert_eq!(written(&digits(MOST_WHOLE_DIGITS)), Some(digits(MOST_WHOLE_DIGITS)));
        assert_eq!(written(&digits(MOST_WHOLE_DIGITS + 1)), None);
        assert_eq!(written("1e131071").map(|number| number.len()), Some(MOST_WHOLE_DIGITS));
        assert_eq!(written("1e131072"), None);
        assert_eq!(written("1e-16383").map(|number| number.len()), Some("0.".len() + MOST_DECIMALS));
        assert_eq!(written("1e-16384"), None);
        assert_eq!(written("1e99999999999999999999"), None);
        assert_eq!(written("1e-99999999999999999999"), None);
        assert_eq!(written("-1e9223372036854775807"), None);
        assert_eq!(written("1.5e-9223372036854775808"), None);
    }

    proptest! {
        #[test]
        fn writing_a_number_plainly_changes_nothing_and_twice_is_once(
            mantissa in "-?(0|[1-9][0-9]{0,20})(\\.[0-9]{1,20})?", exponent in -300_i32..300,
        ) {
            let number = format!("{mantissa}e{exponent}");
            let plainly = written(&number).unwrap();
            prop_assert!(!plainly.contains('e'));
            prop_assert_eq!(written(&plainly), Some(plainly.clone()));
            let [before, after] = [&number, &plainly].map(|text| text.parse::<f64>().unwrap());
            // Zero has no sign in PostgreSQL.
            prop_assert_eq!((before + 0.0).to_bits(), (after + 0.0).to_bits(), "{} became {}", number, plainly);
        }
    }
}
