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
    /// The holder is about to wait, or to lose the baton, inside a handler. One that needs no Python
    /// takes no thread from those that do.
    pub(super) fn lend_holder(&mut self) {
        if let Holder::Worker(number) = self.holder
            && std::mem::take(&mut self.extra.inside_bare)
        {
            self.extra.lent.push(number);
            self.waiting += 1;
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
            self.waiting -= 1;
        }
    }
}
