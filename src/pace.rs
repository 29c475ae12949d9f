//! When a request is begun on an event loop that drives the engine itself.
//!
//! Most are begun in the turn of the loop that finds them. Where many come at once, and each first
//! does much and then waits, they get in each other's way if all are begun together: each takes the
//! same idle connection of a pool, all but one find it taken and try again. So requests of such a
//! kind are begun one after the other: the next one when the loop has nothing else to do, or had
//! some turns for those before it. Turns are counted rather than time, since turns get longer where
//! many are under way: by the clock, more would be begun the more there are.
//!
//! Others do not wait behind them. An app none of whose requests is of such a kind pays for one
//! look at the clock for each request that has something to wait for.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::costs::{self, KINDS, Kind};
use crate::http::RequestHead;
use crate::wake::lock;

/// A kind whose first step mostly takes longer, in microseconds, is begun one by one.
const HEAVY: u16 = 150;
/// It is again as others are when it mostly takes less than this.
const LIGHT: u16 = 100;
/// A longer first step counts as this.
const MOST: u16 = 600;
/// The median moves by an eighth of itself.
const STEP: u16 = 8;
/// Turns of a busy loop between two of them. On its way through httpx a request waits its turn
/// twice before it has its connection for itself.
const TURNS_BETWEEN: u32 = 4;
/// If turns take long, this is the end of it.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// What is known of a kind.
#[derive(Debug, Default, Clone, Copy)]
struct FirstSteps {
    /// Microseconds; 0: nothing is known. It is the median that is followed, since a thread that
    /// has lost the processor, or collects garbage, is slow a hundred times over, but seldom.
    median: u16,
    heavy: bool,
}

impl FirstSteps {
    fn note(&mut self, took: u16) {
        let step = self.median.div_ceil(STEP);
        self.median = match self.median {
            0 => took,
            median if took > median => took.min(median + step),
            median => took.max(median - step),
        };
        self.heavy = self.median > if self.heavy { LIGHT } else { HEAVY };
    }
}

/// Where the loop is between two that are begun one by one.
#[derive(Debug, Default)]
enum Gap {
    /// The next one may begin.
    #[default]
    Over,
    /// So many turns, and since when.
    Lasts(u32, Instant),
}

#[derive(Debug)]
struct State<T> {
    kinds: Vec<FirstSteps>,
    /// What kinds are taken for of which nothing is known: for what the last new one was.
    unknown: FirstSteps,
    waiting: VecDeque<T>,
    gap: Gap,
}

/// What decides when a request, a `T`, is begun. See the module's text. Used by the loop's thread.
#[derive(Debug)]
pub(crate) struct Pace<T> {
    /// A heavy first step has been seen. Before that nothing is kept of any kind.
    watching: AtomicBool,
    state: Mutex<State<T>>,
}

impl<T> Default for Pace<T> {
    fn default() -> Self {
        let state = State {
            kinds: Vec::new(),
            unknown: FirstSteps::default(),
            waiting: VecDeque::new(),
            gap: Gap::Over,
        };
        Self { watching: AtomicBool::new(false), state: Mutex::new(state) }
    }
}

impl<T> Pace<T> {
    /// The kind of a request, for `is_heavy` and `note`; `None` as long as it does not matter.
    pub(crate) fn kind_of(&self, head: &RequestHead) -> Option<Kind> {
        self.watching.load(Relaxed).then(|| costs::kind_of(head))
    }

    /// Whether a request of this kind should [wait](Self::hold).
    pub(crate) fn is_heavy(&self, kind: Kind) -> bool {
        let state = lock(&self.state);
        let known = state.kinds[kind.place()];
        if known.median == 0 { state.unknown.heavy } else { known.heavy }
    }

    /// Has a request wait until [`Self::next`] gives it back.
    pub(crate) fn hold(&self, request: T) {
        lock(&self.state).waiting.push_back(request);
    }

    /// How many wait.
    pub(crate) fn waiting(&self) -> usize {
        if self.watching.load(Relaxed) { lock(&self.state).waiting.len() } else { 0 }
    }

    /// A turn of the loop begins. `busy`: it has something to do whatever is begun.
    pub(crate) fn turn(&self, busy: bool) {
        if !self.watching.load(Relaxed) {
            return;
        }
        let mut state = lock(&self.state);
        if let Gap::Lasts(turns, since) = &mut state.gap {
            *turns += 1;
            if !busy || *turns > TURNS_BETWEEN || since.elapsed() >= LONGEST_WAIT {
                state.gap = Gap::Over;
            }
        }
    }

    /// The one that has waited longest, if it is to begin in this turn.
    pub(crate) fn next(&self) -> Option<T> {
        if !self.watching.load(Relaxed) {
            return None;
        }
        let mut state = lock(&self.state);
        match state.gap {
            Gap::Over => state.waiting.pop_front(),
            Gap::Lasts(..) => None,
        }
    }

    /// All that wait.
    pub(crate) fn take_all(&self) -> VecDeque<T> {
        std::mem::take(&mut lock(&self.state).waiting)
    }

    /// A request has had its first step. `took`: if it goes on, how long that was.
    pub(crate) fn note(&self, kind: Option<Kind>, took: Option<Duration>) {
        let micros = took.map_or(1, |took| took.as_micros().clamp(1, MOST.into()) as u16);
        if kind.is_none() && micros <= HEAVY {
            return;
        }
        let mut state = lock(&self.state);
        match kind {
            Some(kind) => {
                let known = &mut state.kinds[kind.place()];
                let new = known.median == 0;
                known.note(micros);
                if new {
                    state.unknown = *known;
                }
            }
            // It is not known which it was; it was one of which nothing was known.
            None => {
                state.kinds.resize(KINDS, FirstSteps::default());
                state.unknown.note(micros);
                self.watching.store(true, Relaxed);
            }
        }
        if micros > LIGHT {
            state.gap = Gap::Lasts(0, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    const HEAVY_STEP: Option<Duration> = Some(Duration::from_micros(300));
    const LIGHT_STEP: Option<Duration> = Some(Duration::from_micros(30));

    fn kind(path: &str) -> Kind {
        let mut head = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        head.target(path.as_bytes());
        costs::kind_of(&head.build())
    }

    /// What a loop has that has seen one request of the kind `/heavy`.
    fn watching() -> Pace<u32> {
        let pace = Pace::default();
        pace.note(None, HEAVY_STEP);
        pace.note(Some(kind("/heavy")), HEAVY_STEP);
        pace.turn(false);
        pace
    }

    #[test]
    fn kinds_do_not_matter_before_a_heavy_step() {
        let pace = Pace::<u32>::default();
        let mut head = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        head.target(b"/");
        let head = head.build();
        pace.note(None, LIGHT_STEP);
        assert!(pace.kind_of(&head).is_none());
        pace.note(None, HEAVY_STEP);
        assert!(pace.kind_of(&head).is_some());
    }

    #[test]
    fn heavy_ones_begin_one_by_one_while_the_loop_is_busy() {
        let pace = watching();
        (1..=2).for_each(|number| pace.hold(number));
        assert_eq!(pace.next(), Some(1));
        pace.note(Some(kind("/heavy")), HEAVY_STEP);
        for _ in 0..TURNS_BETWEEN {
            pace.turn(true);
            assert_eq!(pace.next(), None);
        }
        pace.turn(true);
        assert_eq!(pace.next(), Some(2));
    }

    #[test]
    fn the_next_one_begins_when_the_loop_has_nothing_to_do() {
        let pace = watching();
        (1..=2).for_each(|number| pace.hold(number));
        assert_eq!(pace.next(), Some(1));
        pace.note(Some(kind("/heavy")), HEAVY_STEP);
        pace.turn(false);
        assert_eq!(pace.next(), Some(2));
    }

    #[test]
    fn a_heavy_step_of_another_kind_makes_a_light_one_heavy_no_more_than_itself() {
        let pace = watching();
        pace.note(Some(kind("/light")), LIGHT_STEP);
        pace.note(Some(kind("/heavy")), HEAVY_STEP);
        assert!(pace.is_heavy(kind("/heavy")));
        assert!(!pace.is_heavy(kind("/light")));
    }

    #[test]
    fn what_is_not_known_is_taken_for_what_the_last_new_kind_was() {
        let pace = watching();
        assert!(pace.is_heavy(kind("/items/1")));
        pace.note(Some(kind("/items/1")), LIGHT_STEP);
        assert!(!pace.is_heavy(kind("/items/2")));
        pace.note(Some(kind("/heavy/2")), HEAVY_STEP);
        assert!(pace.is_heavy(kind("/heavy/3")));
    }

    #[test]
    fn long_steps_now_and_then_make_no_kind_heavy() {
        let pace = watching();
        let one = kind("/one");
        for _ in 0..100 {
            (0..9).for_each(|_| pace.note(Some(one), LIGHT_STEP));
            pace.note(Some(one), Some(Duration::from_secs(1)));
            assert!(!pace.is_heavy(one));
        }
    }

    #[test]
    fn a_kind_becomes_heavy_and_light_again() {
        let pace = watching();
        let one = kind("/one");
        pace.note(Some(one), LIGHT_STEP);
        for step in [HEAVY_STEP, LIGHT_STEP, HEAVY_STEP] {
            (0..20).for_each(|_| pace.note(Some(one), step));
            assert_eq!(pace.is_heavy(one), step == HEAVY_STEP);
        }
    }

    #[test]
    fn all_that_wait_are_given_back_at_the_end() {
        let pace = watching();
        (1..=3).for_each(|number| pace.hold(number));
        pace.note(Some(kind("/heavy")), HEAVY_STEP);
        assert_eq!(pace.waiting(), 3);
        assert_eq!(pace.take_all(), [1, 2, 3]);
        assert_eq!(pace.waiting(), 0);
    }
}
