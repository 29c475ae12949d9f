//! Who does what: the requests that wait, the workers, and who drives.

use std::collections::VecDeque;
use std::thread::Thread;

use crate::costs;
use crate::crew::Job as BareJob;
use crate::http::{Request, ResponseWriter};

/// Threads beyond `--threads` for those that wait for the network.
pub(super) const EXTRA_THREADS: usize = 512;

pub(super) struct Job {
    pub(super) request: Request,
    pub(super) writer: ResponseWriter,
    pub(super) kind: costs::Kind,
    /// It is of a kind that is known to be quick.
    pub(super) quick: bool,
    /// The tick at which it came.
    pub(super) since: u32,
}

/// A response that a worker sends piece by piece.
pub(super) struct Stream {
    pub(super) worker: usize,
    pub(super) since: u32,
    /// It counts as waiting for the network.
    pub(super) waits: bool,
}

/// Who drives the I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    Nobody,
    Worker(usize),
    /// The monitor, or an event loop: it runs nothing itself.
    Monitor,
}

pub(super) struct Schedule {
    /// Jobs for the holder.
    pub(super) ready: VecDeque<Job>,
    /// Jobs of slow kinds, for any other thread.
    pub(super) slow: VecDeque<Job>,
    /// Jobs that need no Python, for the holder, which drives.
    pub(super) bare: VecDeque<BareJob>,
    pub(super) holder: Holder,
    /// Parked workers, the last to park first to be called.
    pub(super) idle: Vec<(usize, Thread)>,
    /// Workers there are.
    pub(super) threads: usize,
    /// The number of the next worker; numbers are not used twice.
    pub(super) next_number: usize,
    /// Workers that were called and have not come yet.
    pub(super) called: usize,
    /// The system refused a thread: no more are asked for.
    pub(super) refused: bool,
    /// Workers that wait for the network inside a handler.
    pub(super) waiting: usize,
    /// Streamed responses in the making.
    pub(super) streams: Vec<Stream>,
    /// Workers given up: their handlers do not end.
    pub(super) lost: usize,
    /// The first worker is one of them.
    pub(super) main_lost: bool,
    /// Workers that are not parked for good.
    pub(super) running: usize,
    /// A worker without work wants the baton from the monitor.
    pub(super) wanted: bool,
    /// The handler that the holder is inside of needs no Python.
    pub(super) inside_bare: bool,
    /// Workers that lost the baton inside such a handler: they count as waiting until its end.
    pub(super) lent: Vec<usize>,
    /// Odd while the holder is inside a handler; changes with each handler.
    pub(super) pulse: u64,
    /// The holder drives from inside a handler that waits for the network.
    pub(super) driven_inside: bool,
    /// The holder is waiting for the GIL, which somebody may keep for long.
    pub(super) attaching: bool,
    pub(super) monitor_asleep: bool,
    pub(super) stop: bool,
    /// The first worker has left its last handler.
    pub(super) returned: bool,
}

impl Schedule {
    /// Whether requests wait that no thread will see by itself.
    pub(super) fn jobs_need_a_thread(&self) -> bool {
        !self.slow.is_empty() || (self.holder == Holder::Monitor && !self.ready.is_empty())
    }

    /// Threads that are in handlers or may be at once. Those that wait for a slow client's bytes do
    /// not count, or a few dozen such clients would stop all service.
    pub(super) fn active(&self) -> usize {
        self.threads.saturating_sub(self.idle.len() + self.waiting + self.lost)
    }

    /// Whether an idle thread may be called.
    pub(super) fn may_call(&self, max: usize) -> bool {
        !self.idle.is_empty() && self.active() < max
    }

    /// Whether a thread may be started. One thread is a promise: it is never joined by another.
    pub(super) fn may_start(&self, max: usize) -> bool {
        self.idle.is_empty()
            && (max > 1 || self.threads == 0)
            && !self.refused
            && self.active() < max
            && self.threads < max + EXTRA_THREADS
            && !self.stop
    }

    /// No holder is inside a handler.
    pub(super) fn settle_pulse(&mut self) {
        self.pulse = (self.pulse + 1) & !1;
        self.attaching = false;
    }

    /// The holder goes into a handler. Returns whether the monitor has to be woken to watch it.
    pub(super) fn enter_handler(&mut self) -> bool {
        self.pulse |= 1;
        std::mem::take(&mut self.monitor_asleep)
    }

    /// The holder is about to lose the baton inside a handler. One that needs no Python takes no
    /// thread from those that do.
    pub(super) fn lend_holder(&mut self) {
        if let Holder::Worker(number) = self.holder
            && std::mem::take(&mut self.inside_bare)
        {
            self.lent.push(number);
            self.waiting += 1;
        }
    }

    /// Worker `me` is out of its handler.
    pub(super) fn take_back(&mut self, me: usize) {
        if let Some(at) = self.lent.iter().position(|&number| number == me) {
            self.lent.swap_remove(at);
            self.waiting -= 1;
        }
    }

    /// Whether another thread could take a job now.
    pub(super) fn helper_to_be_had(&self, max: usize) -> bool {
        self.may_call(max) || self.may_start(max)
    }
}
