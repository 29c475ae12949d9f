//! Which kinds of request are slow: a moving average of the time that handlers took.

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rustc_hash::FxHasher;

use crate::http::RequestHead;

/// Kinds told apart; two that fall together share an average.
const SLOTS: usize = 4096;
/// A kind that takes longer than this on average is run by other threads than the driving one.
const SLOW: u32 = 1_000;
/// The average moves by an eighth of each difference.
const WEIGHT: u32 = 8;

/// Method and path of a request, as a place in the table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind(u16);

/// The kind of a request.
pub(super) fn kind_of(head: &RequestHead) -> Kind {
    let mut hasher = FxHasher::default();
    head.method().hash(&mut hasher);
    head.path().hash(&mut hasher);
    Kind((hasher.finish() >> 40) as u16 % SLOTS as u16)
}

/// The averages, in microseconds.
pub(super) struct Costs(Box<[AtomicU32]>);

impl Costs {
    pub(super) fn new() -> Self {
        Self((0..SLOTS).map(|_| AtomicU32::new(0)).collect())
    }

    pub(super) fn is_slow(&self, kind: Kind) -> bool {
        self.0[kind.0 as usize].load(Relaxed) > SLOW
    }

    /// Notes how long a handler took. Two threads may lose one of two notes, which does no harm.
    pub(super) fn note(&self, kind: Kind, took: Duration) {
        let slot = &self.0[kind.0 as usize];
        let took = took.as_micros().min(60_000_000) as u32;
        let average = slot.load(Relaxed);
        // Divisions round towards zero: add the step that a small difference would lose.
        let next = if took >= average {
            average + (took - average).div_ceil(WEIGHT)
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

    #[test]
    fn a_kind_becomes_slow_and_fast_again() {
        let (costs, kind) = (Costs::new(), Kind(7));
        assert!(!costs.is_slow(kind));
        costs.note(kind, Duration::from_millis(10));
        assert!(costs.is_slow(kind));
        for _ in 0..40 {
            costs.note(kind, Duration::from_micros(50));
        }
        assert!(!costs.is_slow(kind));
    }
}
