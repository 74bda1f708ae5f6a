//! Durations, sizes, counts and socket addresses as people write them.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use super::error::{Fault, fault};

/// `10m`, `1h 30m`, `90d`; a bare number has no unit and is refused.
pub(super) fn duration(text: &str) -> Result<Duration, Fault> {
    humantime::parse_duration(text).map_err(|_| {
        fault(
            format!("`{text}` is no duration"),
            "write a number with its unit, such as \"30s\", \"10m\" or \"90d\"",
        )
    })
}

/// A duration that is not zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, Fault> {
    let duration = duration(text)?;
    if duration.is_zero() {
        return Err(fault("is zero, which leaves no time at all", "write a longer one, such as \"3s\""));
    }
    Ok(duration)
}

/// `1MiB`, `512KiB`, `1MB` or plain bytes; in bytes, never zero.
pub(super) fn size(text: &str) -> Result<usize, Fault> {
    let wrong = || {
        fault(format!("`{text}` is no size"), "write one such as \"1MiB\", \"512KiB\" or a number of bytes")
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

/// The most of anything that can be counted: as good as no limit.
const HIGHEST_COUNT: u32 = 1_000_000;

/// A whole number that is not zero.
pub(super) fn count(text: &str) -> Result<NonZeroU32, Fault> {
    let number = text.parse().ok().filter(|number: &NonZeroU32| number.get() <= HIGHEST_COUNT);
    number.ok_or_else(|| {
        fault(
            format!("`{text}` is too little, too much or no number"),
            format!("write one from 1 to {HIGHEST_COUNT}"),
        )
    })
}

/// `127.0.0.1:8787`, `[::]:8787`.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse().map_err(|_| {
        let remedy = "write an IP address and a port, such as \"127.0.0.1:8787\" or \"0.0.0.0:8787\"";
        fault(format!("`{text}` is no address to listen at"), remedy)
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{count, duration, positive_duration, size, socket_address};

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
    fn a_count_is_neither_nothing_nor_without_end() {
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
}
