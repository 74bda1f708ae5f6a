//! Pictures: deliveries a minute as stacked bars.

use crate::domain::{Outcome, Timestamp};

/// How many minutes the picture has.
pub(super) const MINUTES: usize = 60;
/// How many deliveries are read for it at most.
pub(super) const MOST: u64 = 10_000;
/// Of the picture, in its own units.
const HEIGHT: f64 = 100.0;
const BASELINE: f64 = 110.0;
const WIDTH_OF_MINUTE: usize = 10;

/// The outcomes that a bar has, from below.
const SHOWN: [Outcome; 3] = [Outcome::Applied, Outcome::Stale, Outcome::Parked];

/// Deliveries of the last hour, minute by minute.
#[derive(Debug, Default)]
pub(super) struct Minutes {
    pub(super) bars: Vec<Bar>,
    pub(super) highest: usize,
    pub(super) is_empty: bool,
    pub(super) is_cut: bool,
    pub(super) limit: u64,
    pub(super) from: &'static str,
    pub(super) description: String,
}

/// One outcome of one minute.
#[derive(Debug, PartialEq)]
pub(super) struct Bar {
    pub(super) class: &'static str,
    pub(super) x: usize,
    pub(super) y: String,
    pub(super) height: String,
    pub(super) title: String,
}

/// The picture of deliveries that were received at these times.
#[expect(clippy::cast_precision_loss, reason = "a picture, and the counts are small")]
pub(super) fn minutes(received: &[(Timestamp, String)], now: Timestamp) -> Minutes {
    let mut counts = [[0_usize; SHOWN.len()]; MINUTES];
    for (at, outcome) in received {
        let minutes_ago = usize::try_from(now.since(*at).as_secs() / 60).unwrap_or(usize::MAX);
        let shown = SHOWN.iter().position(|one| one.as_str() == outcome);
        let place = MINUTES.checked_sub(1 + minutes_ago).zip(shown);
        if let Some(count) = place.and_then(|(minute, shown)| counts.get_mut(minute)?.get_mut(shown)) {
            *count += 1;
        }
    }
    let highest = counts.iter().map(|minute| minute.iter().sum::<usize>()).max().unwrap_or_default();
    let scale = HEIGHT / highest.max(1) as f64;
    let mut bars = Vec::new();
    for (index, minute) in counts.iter().enumerate() {
        let mut top = BASELINE;
        for (outcome, count) in SHOWN.iter().zip(minute).filter(|(_, count)| **count > 0) {
            let height = *count as f64 * scale;
            top -= height;
            bars.push(Bar {
                class: outcome.as_str(),
                x: index * WIDTH_OF_MINUTE + 1,
                y: format!("{top:.1}"),
                height: format!("{height:.1}"),
                title: format!("{count} {}, {} min ago", outcome.as_str(), MINUTES - 1 - index),
            });
        }
    }
    let total: usize = counts.iter().flatten().sum();
    Minutes {
        is_empty: bars.is_empty(),
        bars,
        highest,
        is_cut: received.len() as u64 >= MOST,
        limit: MOST,
        from: "60 min ago",
        description: format!("{total} deliveries in the last hour, at most {highest} a minute"),
    }
}

#[cfg(test)]
mod tests {
    use super::minutes;
    use crate::domain::Timestamp;

    #[test]
    fn deliveries_are_stacked_in_their_minute() {
        let now = Timestamp::from_seconds(10_000);
        let at = |seconds_ago: i64, outcome: &str| {
            (Timestamp::from_seconds(10_000 - seconds_ago), outcome.to_owned())
        };
        let picture = minutes(
            &[at(0, "applied"), at(59, "applied"), at(30, "stale"), at(61, "parked"), at(3_600, "applied")],
            now,
        );
        let bars: Vec<_> =
            picture.bars.iter().map(|bar| (bar.class, bar.x, bar.y.as_str(), bar.height.as_str())).collect();
        assert_eq!(
            bars,
            [
                ("parked", 581, "76.7", "33.3"),
                ("applied", 591, "43.3", "66.7"),
                ("stale", 591, "10.0", "33.3")
            ]
        );
        assert_eq!((picture.highest, picture.is_empty), (3, false));
        assert!(minutes(&[], now).is_empty);
    }
}
