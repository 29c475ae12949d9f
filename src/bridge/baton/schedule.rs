//! What the baton's schedule has beside that of any team.

use crate::costs;
use crate::http::{Request, ResponseWriter};

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
}

/// The baton's schedule.
pub(super) type Schedule = crate::team::Schedule<Job, Extra>;
