//! Who drives, who runs, and what waits. Plain data behind a team's lock.

use std::collections::VecDeque;
use std::thread::Thread;

/// Threads beyond the limit for those that wait for their clients.
pub(crate) const EXTRA_THREADS: usize = 512;

/// Who drives the I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Holder {
    /// Nobody yet: the first worker to look.
    #[default]
    Nobody,
    /// This worker.
    Worker(usize),
    /// The monitor, or an event loop: it runs nothing itself.
    Monitor,
}

/// What a team's threads agree on. `J` is a request to be run, `X` what one team has besides.
pub(crate) struct Schedule<J, X = ()> {
    /// Jobs for the holder; for anybody while the monitor drives.
    pub(crate) ready: VecDeque<J>,
    /// Jobs of slow kinds, for any thread but the holder.
    pub(crate) slow: VecDeque<J>,
    /// Who drives.
    pub(crate) holder: Holder,
    /// Parked workers, the last to park first to be called.
    pub(crate) idle: Vec<(usize, Thread)>,
    /// Workers there are.
    pub(crate) threads: usize,
    /// The number of the next worker; numbers are not used twice.
    next_number: usize,
    /// Workers that were called and have not come yet.
    pub(crate) called: usize,
    /// The system refused a thread: no more are asked for until the next tick.
    pub(crate) refused: bool,
    /// That has been logged, and no thread has been had since.
    pub(crate) complained: bool,
    /// Workers that wait for their clients inside a handler.
    pub(crate) waiting: usize,
    /// Workers given up, as their handlers do not end, beside those that wait.
    pub(crate) lost: usize,
    /// A worker without work wants to drive in the monitor's place.
    pub(crate) wanted: bool,
    /// Odd while the holder is inside a handler; changes with each handler.
    pub(crate) pulse: u64,
    /// The holder drives from inside a handler that waits for its client.
    pub(crate) driven_inside: bool,
    /// The holder waits for what handlers need, and another worker would wait for the same.
    pub(crate) attaching: bool,
    /// The monitor sleeps until it is woken.
    pub(crate) monitor_asleep: bool,
    /// The server has stopped.
    pub(crate) stop: bool,
    /// Where one thread is all there may be, none stands in for it.
    pub(crate) one_is_all: bool,
    /// What this team has besides.
    pub(crate) extra: X,
}

impl<J, X: Default> Default for Schedule<J, X> {
    fn default() -> Self {
        Self {
            ready: VecDeque::new(),
            slow: VecDeque::new(),
            holder: Holder::Nobody,
            idle: Vec::new(),
            threads: 0,
            next_number: 0,
            called: 0,
            refused: false,
            complained: false,
            waiting: 0,
            lost: 0,
            wanted: false,
            pulse: 0,
            driven_inside: false,
            attaching: false,
            monitor_asleep: false,
            stop: false,
            one_is_all: false,
            extra: X::default(),
        }
    }
}

impl<J, X> Schedule<J, X> {
    /// Counts in a new worker; returns its number.
    pub(crate) fn enlist(&mut self) -> usize {
        self.threads += 1;
        self.next_number += 1;
        self.next_number - 1
    }

    /// Requests that nobody runs yet.
    pub(crate) fn queued(&self) -> usize {
        self.ready.len() + self.slow.len()
    }

    /// Whether requests wait that no thread will see by itself.
    pub(crate) fn jobs_need_a_thread(&self) -> bool {
        !self.slow.is_empty() || (self.holder == Holder::Monitor && !self.ready.is_empty())
    }

    /// Threads that are in handlers or may be at once. Those that wait for a slow client's bytes do
    /// not count, or a few dozen such clients would stop all service.
    pub(crate) fn active(&self) -> usize {
        self.threads.saturating_sub(self.idle.len() + self.waiting + self.lost)
    }

    /// Whether an idle thread may be called.
    pub(crate) fn may_call(&self, max: usize) -> bool {
        !self.idle.is_empty() && self.active() < max
    }

    /// Whether a thread may be started.
    pub(crate) fn may_start(&self, max: usize) -> bool {
        self.idle.is_empty()
            && (max > 1 || self.threads == 0 || !self.one_is_all)
            && !self.refused
            && self.active() < max
            && self.threads < max + EXTRA_THREADS
            && !self.stop
    }

    /// Whether another thread could take a job now.
    pub(crate) fn helper_to_be_had(&self, max: usize) -> bool {
        self.may_call(max) || self.may_start(max)
    }

    /// Whether a worker without work is one too many: it stood in for one that waited.
    pub(crate) fn surplus(&self, max: usize) -> bool {
        self.threads > max + self.waiting + self.lost
    }

    /// No holder is inside a handler.
    pub(crate) fn settle_pulse(&mut self) {
        self.pulse = (self.pulse + 1) & !1;
        self.attaching = false;
    }

    /// The holder goes into a handler. Returns whether the monitor has to be woken to watch it.
    pub(crate) fn enter_handler(&mut self) -> bool {
        self.pulse |= 1;
        std::mem::take(&mut self.monitor_asleep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(threads: usize) -> Schedule<()> {
        let mut schedule = Schedule::default();
        for number in 0..threads {
            assert_eq!(schedule.enlist(), number);
        }
        schedule
    }

    #[test]
    fn threads_are_started_up_to_the_limit_and_for_those_that_wait() {
        let mut schedule = of(4);
        assert!(!schedule.may_start(4));
        schedule.waiting = 1;
        assert!(schedule.may_start(4));
        schedule.stop = true;
        assert!(!schedule.may_start(4));
    }

    #[test]
    fn where_one_is_all_none_stands_in_for_it() {
        let mut schedule = of(1);
        schedule.waiting = 1;
        assert!(schedule.may_start(1));
        schedule.one_is_all = true;
        assert!(!schedule.may_start(1));
        assert!(of(0).may_start(1));
    }

    #[test]
    fn after_a_refusal_none_is_asked_for_until_the_tick_clears_it() {
        let mut schedule = of(1);
        schedule.refused = true;
        assert!(!schedule.helper_to_be_had(4));
        schedule.refused = false;
        assert!(schedule.helper_to_be_had(4));
    }

    #[test]
    fn a_pulse_is_odd_inside_a_handler_and_new_for_each() {
        let mut schedule = of(1);
        schedule.monitor_asleep = true;
        assert!(schedule.enter_handler());
        let first = schedule.pulse;
        schedule.settle_pulse();
        assert_eq!((first & 1, schedule.pulse & 1), (1, 0));
        assert!(!schedule.enter_handler());
        assert!(schedule.pulse & 1 == 1 && schedule.pulse != first);
    }
}
