//! Durations, sizes, counts and socket addresses as people write them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::error::{ValueError, fault};
use super::settings::parsed;

/// A duration that is not zero.
pub(super) struct Positive;

/// A size in bytes that is not zero.
pub(super) struct Bytes;

/// How many connections to the database there may be.
pub(super) struct Connections;

/// How often something is done; `None` for `off`.
pub(super) struct PeriodOrOff;

parsed!(Duration as Duration, Duration, duration, show_duration);
parsed!(Positive as Duration, Duration, positive_duration, show_duration);
parsed!(PeriodOrOff as Option<Duration>, Duration, period_or_off, |period: &Option<Duration>| {
    period.as_ref().map_or_else(|| "\"off\"".to_owned(), show_duration)
});
parsed!(Bytes as usize, Size, size, |bytes: &usize| show_size(*bytes));
parsed!(NonZeroU32 as NonZeroU32, Count(1), count, NonZeroU32::to_string);
parsed!(Connections as u32, Count(3), connections, u32::to_string);
parsed!(SocketAddr as SocketAddr, Text, socket_address, |address: &SocketAddr| format!("\"{address}\""));

/// `10m`, `1h 30m`, `90d`; a bare number has no unit and is refused.
fn duration(text: &str) -> Result<Duration, ValueError> {
    humantime::parse_duration(text).map_err(|_| {
        fault(
            format!("`{text}` is not a duration"),
            "write a number with its unit, such as \"30s\", \"10m\" or \"90d\"",
        )
    })
}

/// A duration that is not zero.
fn positive_duration(text: &str) -> Result<Duration, ValueError> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err(fault("is zero", "write a longer one, such as \"3s\""));
    }
    Ok(duration)
}

/// `24h`, or `off`.
fn period_or_off(text: &str) -> Result<Option<Duration>, ValueError> {
    if text == "off" {
        return Ok(None);
    }
    match positive_duration(text) {
        Ok(period) => Ok(Some(period)),
        Err(_) => Err(fault(
            format!("`{text}` is neither a duration nor \"off\""),
            "write one such as \"24h\", or \"off\"",
        )),
    }
}

/// `1MiB`, `512KiB`, `1MB` or plain bytes; in bytes, never zero.
fn size(text: &str) -> Result<usize, ValueError> {
    let wrong = || {
        fault(
            format!("`{text}` is not a size"),
            "write one such as \"1MiB\", \"512KiB\" or a number of bytes",
        )
    };
    let digits = text.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1_000,
        "kib" => 1 << 10,
        "mb" => 1_000_000,
        "mib" => 1 << 20,
        "gb" => 1_000_000_000,
        "gib" => 1 << 30,
        _ => return Err(wrong()),
    };
    let number: usize = number.parse().map_err(|_| wrong())?;
    number.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// The highest number that a limit can have; in practice no limit.
const HIGHEST_COUNT: u32 = 1_000_000;

/// A whole number that is not zero.
fn count(text: &str) -> Result<NonZeroU32, ValueError> {
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= HIGHEST_COUNT);
    number.ok_or_else(|| {
        fault(
            format!("`{text}` is not a number in the allowed range"),
            format!("write one from 1 to {HIGHEST_COUNT}"),
        )
    })
}

/// Three uses of the database need a connection at the same time: listening, writing a batch, answering requests.
const LEAST_CONNECTIONS: u32 = 3;

fn connections(text: &str) -> Result<u32, ValueError> {
    let number = count(text)?.get();
    if number < LEAST_CONNECTIONS {
        let problem = format!("`{number}` is too few: listening, writing and reading need one each");
        return Err(fault(problem, format!("write {LEAST_CONNECTIONS} or more")));
    }
    Ok(number)
}

/// `127.0.0.1:8787`, `[::]:8787`.
fn socket_address(text: &str) -> Result<SocketAddr, ValueError> {
    text.parse().map_err(|_| {
        let remedy = "write an IP address and a port, such as \"127.0.0.1:8787\" or \"0.0.0.0:8787\"";
        fault(format!("`{text}` is not a listen address"), remedy)
    })
}

/// The largest unit of which it is a whole number, in TOML.
#[cfg(test)]
fn in_largest_unit(number: u128, units: &[(u128, &str)]) -> String {
    let (size, unit) = units.iter().find(|(size, _)| number.is_multiple_of(*size)).expect("the last is 1");
    format!("\"{}{unit}\"", number / size)
}

#[cfg(test)]
fn show_duration(duration: &Duration) -> String {
    let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s"), (1, "ms")];
    let zero = duration.is_zero().then(|| "\"0s\"".to_owned());
    zero.unwrap_or_else(|| in_largest_unit(duration.as_millis(), &units))
}

#[cfg(test)]
fn show_size(bytes: usize) -> String {
    in_largest_unit(bytes as u128, &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"), (1, "")])
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::{
        count, duration, period_or_off, positive_duration, show_duration, show_size, size, socket_address,
    };

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(duration("10m"), Ok(Duration::from_mins(10)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for wrong in ["600", "soon", "-1s", "10 parsecs"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(positive_duration("0s").is_err());
    }

    #[test]
    fn a_period_may_be_off() {
        assert_eq!(period_or_off("off"), Ok(None));
        assert_eq!(period_or_off("24h"), Ok(Some(Duration::from_hours(24))));
        for wrong in ["never", "0s", "24", "Off "] {
            assert!(period_or_off(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read_with_or_without_their_units() {
        assert_eq!(size("1MiB"), Ok(1_048_576));
        assert_eq!(size("512 KiB"), Ok(524_288));
        assert_eq!(size("1MB"), Ok(1_000_000));
        assert_eq!(size("4096"), Ok(4096));
        for wrong in ["0", "MiB", "-1", "1.5MiB", "1 parsec", "99999999999999999999GiB", "99999999999999GiB"]
        {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_count_is_from_1_to_1000000() {
        assert_eq!(count("1").unwrap().get(), 1);
        assert_eq!(count("1000000").unwrap().get(), 1_000_000);
        for wrong in ["0", "-1", "1000001", "1.5", "many", "99999999999999999999"] {
            assert!(count(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn addresses_to_listen_at_have_an_ip_address_and_a_port() {
        assert!(socket_address("[::1]:0").is_ok());
        for wrong in ["8787", "localhost:8787", "127.0.0.1", ":8787"] {
            assert!(socket_address(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_as_the_same(millis in 0..u64::from(u32::MAX), bytes in 1..usize::MAX) {
            let shown = show_duration(&Duration::from_millis(millis));
            prop_assert_eq!(duration(shown.trim_matches('"')), Ok(Duration::from_millis(millis)));
            prop_assert_eq!(size(show_size(bytes).trim_matches('"')), Ok(bytes));
        }
    }
}
