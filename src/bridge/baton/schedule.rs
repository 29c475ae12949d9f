//! What the baton's schedule has beside that of any team.

use std::collections::VecDeque;

use crate::costs;
use crate::crew::Job as BareJob;
use crate::http::{Request, ResponseWriter};
use crate::team::Holder;

/// A request that is to be run.
pub(crate) struct Job {
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
    /// What it answers.
    pub(super) kind: Option<costs::Kind>,
    pub(super) since: u32,
    /// It counts as waiting for the network.
    pub(super) waits: bool,
}

/// See the module's text.
#[derive(Default)]
pub(crate) struct Extra {
    /// Streamed responses in the making.
    pub(super) streams: Vec<Stream>,
    /// The workers that wait, each as often as it counts.
    waiters: Vec<usize>,
    /// The workers that were given up.
    given_up: Vec<usize>,
    /// The first worker is one of those that were given up.
    pub(super) main_lost: bool,
    /// The first worker has left its last handler.
    pub(super) returned: bool,
    /// Jobs that need no Python, for the holder, which drives.
    pub(super) bare: VecDeque<BareJob>,
    /// The handler that the holder is inside of needs no Python.
    pub(super) inside_bare: bool,
    /// Workers that waited or lost the baton inside such a handler: they count as waiting until
    /// its end.
    pub(super) lent: Vec<usize>,
}

/// The baton's schedule.
pub(super) type Schedule = crate::team::Schedule<Job, Extra>;

impl Schedule {
    /// Worker `me` waits for the network: another may be started in its place.
    pub(super) fn begin_waiting(&mut self, me: usize) {
        self.extra.waiters.push(me);
        self.count();
    }

    /// Worker `me` waits no longer.
    pub(super) fn end_waiting(&mut self, me: usize) {
        if let Some(at) = self.extra.waiters.iter().rposition(|&number| number == me) {
            self.extra.waiters.swap_remove(at);
        }
        self.count();
    }

    /// Worker `me` is given up: its handler does not end.
    pub(super) fn give_up(&mut self, me: usize) {
        self.extra.given_up.push(me);
        self.extra.main_lost |= me == 0;
        self.count();
    }

    /// The handler of worker `me`, which was given up, has ended after all.
    pub(super) fn take_up(&mut self, me: usize) {
        self.extra.given_up.retain(|&number| number != me);
        self.extra.main_lost &= me != 0;
        self.count();
    }

    /// How many workers were given up, waiting or not.
    pub(super) fn given_up(&self) -> usize {
        self.extra.given_up.len()
    }

    /// Streams of workers that have gone on for `patience` ticks count as waiting. Returns the kinds
    /// of those that are new to that.
    pub(super) fn settle_streams(&mut self, now: u32, patience: u32) -> Vec<costs::Kind> {
        let Extra { streams, waiters, .. } = &mut self.extra;
        let mut kinds = Vec::new();
        for stream in streams.iter_mut().filter(|stream| now - stream.since >= patience) {
            kinds.extend(stream.kind.take());
            if !std::mem::replace(&mut stream.waits, true) {
                waiters.push(stream.worker);
            }
        }
        self.count();
        kinds
    }

    /// A thread that was given up while it waits stands for one that is missing, not for two.
    fn count(&mut self) {
        let Extra { waiters, given_up, .. } = &self.extra;
        self.lost = given_up.iter().filter(|number| !waiters.contains(number)).count();
        self.waiting = waiters.len();
    }

    /// The holder is about to wait, or to lose the baton, inside a handler. One that needs no Python
    /// takes no thread from those that do.
    pub(super) fn lend_holder(&mut self) {
        if let Holder::Worker(number) = self.holder
            && std::mem::take(&mut self.extra.inside_bare)
        {
            self.extra.lent.push(number);
            self.begin_waiting(number);
        }
    }

    /// Whether worker `me` counts as waiting until its handler's end.
    pub(super) fn is_lent(&self, me: usize) -> bool {
        self.extra.lent.contains(&me)
    }

    /// Worker `me` is out of its handler.
    pub(super) fn take_back(&mut self, me: usize) {
        if let Some(at) = self.extra.lent.iter().position(|&number| number == me) {
            self.extra.lent.swap_remove(at);
            self.end_waiting(me);
        }
    }
}
