//! Which disturbance comes when. The same seed and options give the same plan.

use std::fmt::{Display, Formatter};
use std::time::Duration;

use super::random::Random;

/// Before the first one.
const FIRST: Duration = Duration::from_secs(10);
/// Without disturbances at the end.
const LAST: Duration = Duration::from_secs(25);
/// Between two new signing keys: the service fetches keys because of an unknown id at most every 30 s.
const KEYS_EVERY: Duration = Duration::from_secs(45);
/// After it was out, the app gets the last events many minutes later.
const APP_RECOVERY: Duration = Duration::from_mins(15);
/// A webhook whose timestamp is more than 300 s off is refused; less than that must not be noticed.
const LARGEST_STEP: u64 = 200;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Kill,
    Restart,
    NewSigningKey,
    NewWebhookSecret,
    StopDatabase,
    KillDatabase,
    EndConnections,
    FullDisk,
    ClockStep,
    SlowClients,
    AppOut,
}

/// A disturbance and when it begins, if the one before has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Disturbance {
    pub(super) at: Duration,
    pub(super) what: What,
    /// Of those that have one.
    pub(super) replica: usize,
    pub(super) lasts: Duration,
    /// Of a step of the clock.
    pub(super) seconds: i64,
}

/// What there is to be disturbed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Setup {
    pub(super) replicas: usize,
    pub(super) is_postgres: bool,
    /// The server is the soak's own.
    pub(super) is_own_server: bool,
    pub(super) has_clock: bool,
}

impl What {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill -9 and start",
            Self::Restart => "SIGTERM and start",
            Self::NewSigningKey => "new signing key of the issuer",
            Self::NewWebhookSecret => "new webhook secret (two restarts of each replica)",
            Self::StopDatabase => "PostgreSQL stopped (immediate) and started",
            Self::KillDatabase => "PostgreSQL killed (kill -9) and started",
            Self::EndConnections => "all connections ended by the server",
            Self::FullDisk => "full disk",
            Self::ClockStep => "step of the clock, and back",
            Self::SlowClients => "slow clients",
            Self::AppOut => "the app refuses all events",
        }
    }

    /// Whether a process ends.
    fn ends_a_process(self) -> bool {
        matches!(self, Self::Kill | Self::Restart | Self::NewWebhookSecret)
    }

    fn is_possible(self, setup: Setup) -> bool {
        match self {
            Self::StopDatabase | Self::KillDatabase => setup.is_own_server,
            Self::EndConnections => setup.is_postgres,
            Self::ClockStep => setup.has_clock,
            _ => true,
        }
    }
}

impl Display for Disturbance {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}", self.what.name())?;
        match self.what {
            What::ClockStep => write!(formatter, ", replica {}, {:+} s", self.replica, self.seconds),
            What::Kill | What::Restart | What::FullDisk | What::SlowClients => {
                write!(formatter, ", replica {}", self.replica)
            }
            _ => Ok(()),
        }
    }
}

/// All kinds one after another in random order, then again in another order, and so on.
///
/// In the second half the process of replica 0 is left alone, so that its memory can be compared over a long time.
pub(super) fn plan(random: &mut Random, duration: Duration, setup: Setup) -> Vec<Disturbance> {
    let all = [
        What::Kill,
        What::Restart,
        What::NewSigningKey,
        What::NewWebhookSecret,
        What::StopDatabase,
        What::KillDatabase,
        What::EndConnections,
        What::FullDisk,
        What::ClockStep,
        What::SlowClients,
        What::AppOut,
        // A crash is the most usual one.
        What::Kill,
    ];
    let possible: Vec<What> = all.into_iter().filter(|what| what.is_possible(setup)).collect();
    let longest_pause = (duration / 30).clamp(Duration::from_secs(8), Duration::from_mins(1)).as_millis();
    let longest_pause = u64::try_from(longest_pause).unwrap_or(u64::MAX);
    let (mut planned, mut deck, mut at): (Vec<Disturbance>, Vec<What>, Duration) =
        (Vec::new(), Vec::new(), FIRST);
    loop {
        if deck.is_empty() {
            deck.clone_from(&possible);
            random.shuffle(&mut deck);
        }
        let Some(what) = deck.pop() else { return planned };
        let mut replica = random.index(setup.replicas);
        let lasts = random.milliseconds(1_000, 8_000);
        let step = i64::try_from(20 + random.below(LARGEST_STEP - 20)).unwrap_or(0);
        let seconds = if random.one_in(2) { step } else { -step };
        let pause = random.milliseconds(2_000, longest_pause);
        if at + LAST > duration {
            return planned;
        }
        if at > duration / 2 && what.ends_a_process() {
            if setup.replicas == 1 || what == What::NewWebhookSecret {
                continue;
            }
            replica = replica.max(1);
        }
        let last_key = planned.iter().rev().find(|planned| planned.what == What::NewSigningKey);
        let is_too_soon = last_key.is_some_and(|last| at < last.at + KEYS_EVERY);
        if (what == What::NewSigningKey && is_too_soon)
            || (what == What::AppOut && duration.saturating_sub(at) < APP_RECOVERY)
        {
            continue;
        }
        planned.push(Disturbance { at, what, replica, lasts, seconds });
        at += lasts + pause;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETUP: Setup = Setup { replicas: 2, is_postgres: true, is_own_server: true, has_clock: true };

    #[test]
    fn a_seed_repeats_its_plan() {
        let planned = |seed| plan(&mut Random::new(seed), Duration::from_hours(1), SETUP);
        assert_eq!(planned(7), planned(7));
        assert_ne!(planned(7), planned(8));
    }

    #[test]
    fn replica_0_is_left_alone_in_the_second_half() {
        for setup in [SETUP, Setup { replicas: 1, is_postgres: false, is_own_server: false, has_clock: true }]
        {
            let duration = Duration::from_hours(1);
            let planned = plan(&mut Random::new(7), duration, setup);
            let ends = |one: &&Disturbance| one.what.ends_a_process() && one.replica == 0;
            assert!(planned.iter().filter(ends).count() > 5);
            assert!(planned.iter().filter(ends).all(|one| one.at <= duration / 2));
        }
    }
}
