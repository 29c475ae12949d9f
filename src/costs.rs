//! Which kinds of request are slow: a moving average of the time that handlers took. Shared by
//! the baton, whose handlers need the GIL, and the crew, whose handlers do not.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rustc_hash::FxHasher;

use crate::http::RequestHead;

/// Kinds told apart; two that fall together share an average.
pub(crate) const KINDS: usize = 4096;
/// A kind that takes longer than this on average is run by other threads than the driving one.
const SLOW: u32 = 1_000;
/// The average moves by an eighth of each difference.
const WEIGHT: u32 = 8;
/// A longer time counts as this: one cold start does not make a kind slow.
const MOST: u32 = 4_000;
/// Every so many requests of a slow kind, one is run by the driving thread all the same.
const PROBE_EVERY: u32 = 16;

/// Method and path of a request, as a place in the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind(u16);

impl Kind {
    /// Its place in a table of [`KINDS`].
    pub(crate) fn place(self) -> usize {
        self.0.into()
    }
}

/// What is known of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Nothing, or it is to be found out anew.
    Unknown,
    /// It has been quick on average.
    Quick,
    /// It belongs on another thread than the driving one.
    Slow,
}

/// The kind of a request.
pub(crate) fn kind_of(head: &RequestHead) -> Kind {
    let mut hasher = FxHasher::default();
    head.method().hash(&mut hasher);
    head.path().hash(&mut hasher);
    Kind((hasher.finish() >> 40) as u16 % KINDS as u16)
}

/// The averages, in microseconds.
///
/// Time on the clock is all that can be measured, and threads that wait for the GIL look like
/// threads that sleep: a quick kind that was once taken for slow would be run by many threads, take
/// long for that reason alone, and stay slow for ever. So now and then one is run by the driving
/// thread, where it has the GIL at once; what that took counts for more.
pub(crate) struct Costs {
    averages: Box<[AtomicU32]>,
    slow_seen: AtomicU32,
}

impl Costs {
    pub(crate) fn new() -> Self {
        Self {
            averages: (0..KINDS).map(|_| AtomicU32::new(0)).collect(),
            slow_seen: AtomicU32::new(0),
        }
    }

    /// Where a request of this kind should be run.
    pub(crate) fn pace(&self, kind: Kind) -> Pace {
        match self.averages[kind.place()].load(Relaxed) {
            0 => Pace::Unknown,
            1..=SLOW => Pace::Quick,
            _ if self.slow_seen.fetch_add(1, Relaxed).is_multiple_of(PROBE_EVERY) => Pace::Unknown,
            _ => Pace::Slow,
        }
    }

    /// Notes that a handler of this kind goes on for long, without waiting for its end.
    #[cfg(feature = "python")]
    pub(crate) fn note_slow(&self, kind: Kind) {
        self.averages[kind.place()].fetch_max(MOST, Relaxed);
    }

    /// Whether a kind is known to be slow.
    #[cfg(feature = "python")]
    pub(crate) fn is_slow(&self, kind: Kind) -> bool {
        self.averages[kind.place()].load(Relaxed) > SLOW
    }

    /// Notes how long a handler took; `driving`: on the driving thread. Two threads may lose one
    /// of two notes, which does no harm.
    pub(crate) fn note(&self, kind: Kind, took: Duration, driving: bool) {
        let slot = &self.averages[kind.place()];
        let took = took.as_micros().min(u128::from(MOST)) as u32;
        let average = slot.load(Relaxed);
        // Divisions round towards zero: add the step that a small difference would lose.
        let next = if took >= average {
            average + (took - average).div_ceil(WEIGHT)
        } else if driving {
            took + (average - took) / WEIGHT
        } else {
            average - (average - took).div_ceil(WEIGHT)
        };
        if next != average {
            slot.store(next, Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Kind = Kind(7);
    const QUICK: Duration = Duration::from_micros(50);
    const SLEEPY: Duration = Duration::from_millis(10);

    fn slow(costs: &Costs) -> bool {
        (0..PROBE_EVERY).filter(|_| costs.pace(KIND) == Pace::Slow).count() > 1
    }

    #[test]
    fn a_kind_becomes_slow_by_more_than_one_slow_start() {
        let costs = Costs::new();
        costs.note(KIND, SLEEPY, true);
        assert!(!slow(&costs));
        (0..3).for_each(|_| costs.note(KIND, SLEEPY, true));
        assert!(slow(&costs));
    }

    #[cfg(feature = "python")]
    #[test]
    fn a_kind_that_goes_on_for_long_is_slow_before_its_first_end() {
        let costs = Costs::new();
        assert!(!costs.is_slow(KIND));
        costs.note_slow(KIND);
        assert!(costs.is_slow(KIND) && slow(&costs));
    }

    #[test]
    fn a_kind_that_only_waits_for_the_gil_elsewhere_becomes_quick_again() {
        let costs = Costs::new();
        (0..50).for_each(|_| costs.note(KIND, SLEEPY, false));
        assert!(slow(&costs));
        costs.note(KIND, QUICK, true);
        assert!(!slow(&costs));
    }
}
