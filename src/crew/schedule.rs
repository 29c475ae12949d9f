//! Who drives, who runs, and what waits. Plain data behind the crew's lock.

use std::collections::VecDeque;
use std::thread::Thread;

use crate::costs::Kind;
use crate::http::{Request, ResponseWriter};

/// Threads beyond the limit for those that wait for their clients.
const EXTRA_THREADS: usize = 512;

/// A request that is to be run.
pub(crate) struct Job {
    pub(super) request: Request,
    pub(super) writer: ResponseWriter,
    pub(super) kind: Kind,
}

/// Who drives the I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Holder {
    #[default]
    Nobody,
    Worker(usize),
    Monitor,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Schedule {
    /// Jobs for the holder; for anybody while the monitor drives, which runs nothing itself.
    pub(super) ready: VecDeque<Job>,
    /// Jobs of slow kinds, for any thread but the holder.
    pub(super) slow: VecDeque<Job>,
    pub(super) holder: Holder,
    /// Parked workers, the last to park first to be called.
    pub(super) idle: Vec<(usize, Thread)>,
    /// Workers there are.
    pub(super) threads: usize,
    /// The number of the next worker; numbers are not used twice.
    next_number: usize,
    /// Workers that were called and have not come yet.
    pub(super) called: usize,
    /// The system refused a thread: no more are asked for until the next tick.
    pub(super) refused: bool,
    /// Workers that wait for their clients inside a handler.
    pub(super) waiting: usize,
    /// A worker without work wants to drive in the monitor's place.
    pub(super) wanted: bool,
    /// Odd while the holder is inside a handler; changes with each handler.
    pub(super) pulse: u64,
    /// The holder drives from inside a handler that waits for its client.
    pub(super) driven_inside: bool,
    pub(super) monitor_asleep: bool,
    /// The server has stopped.
    pub(super) stop: bool,
}

impl Schedule {
    pub(super) fn new(holder: Holder) -> Self {
        Self { holder, ..Self::default() }
    }

    /// Counts in a new worker; returns its number.
    pub(super) fn enlist(&mut self) -> usize {
        self.threads += 1;
        self.next_number += 1;
        self.next_number - 1
    }

    /// Requests that nobody runs yet.
    pub(super) fn queued(&self) -> usize {
        self.ready.len() + self.slow.len()
    }

    /// Whether requests wait that no thread will see by itself.
    pub(super) fn jobs_need_a_thread(&self) -> bool {
        !self.slow.is_empty() || (self.holder == Holder::Monitor && !self.ready.is_empty())
    }

    /// Threads that are in handlers or may be at once. Those that wait for a slow client's bytes do
    /// not count, or a few dozen such clients would stop all service.
    pub(super) fn active(&self) -> usize {
        self.threads.saturating_sub(self.idle.len() + self.waiting)
    }

    /// Whether an idle thread may be called.
    pub(super) fn may_call(&self, max: usize) -> bool {
        !self.idle.is_empty() && self.active() < max
    }

    /// Whether a thread may be started.
    pub(super) fn may_start(&self, max: usize) -> bool {
        self.idle.is_empty()
            && !self.refused
            && self.active() < max
            && self.threads < max + EXTRA_THREADS
            && !self.stop
    }

    /// Whether another thread could take a job now.
    pub(super) fn helper_to_be_had(&self, max: usize) -> bool {
        self.may_call(max) || self.may_start(max)
    }

    /// Whether a worker without work is one too many: it stood in for one that waited.
    pub(super) fn surplus(&self, max: usize) -> bool {
        self.threads > max + self.waiting
    }

    /// No holder is inside a handler.
    pub(super) fn settle_pulse(&mut self) {
        self.pulse = (self.pulse + 1) & !1;
    }

    /// The holder goes into a handler. Returns whether the monitor has to be woken to watch it.
    pub(super) fn enter_handler(&mut self) -> bool {
        self.pulse |= 1;
        std::mem::take(&mut self.monitor_asleep)
    }
}
