//! Waiting for the network inside a handler.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

use pyo3::prelude::*;

use super::schedule::{Schedule, Stream};
use super::{ASIDE, Baton, KIND};
use crate::team::{EXTRA_THREADS, Holder, Team};
use crate::wake::park_until;

/// Threads beyond `--threads` that handlers which keep their connections may not have.
const RESERVED: usize = 64;
/// Streams for each thread that give way at once; the others do so a moment later.
const STREAMS_AT_ONCE: usize = 4;

/// A worker that waits for the network: another may be started in its place.
struct Waiting<'a>(Option<(&'a Baton, usize)>);

impl<'a> Waiting<'a> {
    fn begin(baton: &'a Arc<Baton>) -> Self {
        let Some(me) = baton.me() else { return Self(None) };
        let mut schedule = baton.schedule();
        if schedule.holder == Holder::Worker(me) {
            schedule.lend_holder();
        }
        if schedule.is_lent(me) {
            // It counts already, until its handler's end.
            baton.call_for_waiting_jobs(schedule);
            return Self(None);
        }
        // A stream that waits once counts as waiting until its end.
        let stream = stream_of(&schedule, me);
        if let Some(at) = stream
            && std::mem::replace(&mut schedule.extra.streams[at].waits, true)
        {
            return Self(None);
        }
        schedule.begin_waiting(me);
        baton.call_for_waiting_jobs(schedule);
        Self(stream.is_none().then_some((baton, me)))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some((baton, me)) = self.0 {
            baton.schedule().end_waiting(me);
        }
    }
}

/// The stream of worker `me`, as a place in the list.
fn stream_of(schedule: &Schedule, me: usize) -> Option<usize> {
    schedule.extra.streams.iter().position(|stream| stream.worker == me)
}

/// A response that is sent piece by piece, for as long as this lives.
pub(crate) struct Streaming<'a>(&'a Baton);

impl Drop for Streaming<'_> {
    fn drop(&mut self) {
        self.0.end_stream();
    }
}

impl Baton {
    /// The calling worker begins to send a response piece by piece. If that takes long it does not
    /// count as busy: between two events a stream only sleeps.
    pub(crate) fn streaming(self: &Arc<Self>) -> Streaming<'_> {
        if let Some(worker) = self.me() {
            let since = self.ticks.load(Relaxed);
            let mut schedule = self.schedule();
            // Where others wait it gives way at once, as long as these are not too many.
            let waits = schedule.jobs_need_a_thread()
                && schedule.waiting < STREAMS_AT_ONCE * self.max_threads;
            schedule.extra.streams.push(Stream { worker, kind: KIND.get(), since, waits });
            if waits {
                schedule.begin_waiting(worker);
                self.call_for_waiting_jobs(schedule);
            }
        }
        Streaming(self)
    }

    /// The calling worker's stream has ended.
    pub(super) fn end_stream(&self) {
        let Some(me) = self.me() else { return };
        let mut schedule = self.schedule();
        if let Some(at) = stream_of(&schedule, me)
            && schedule.extra.streams.swap_remove(at).waits
        {
            schedule.end_waiting(me);
        }
    }

    /// Whether another handler may take its connection over: those that have keep their threads for
    /// as long as they like, and requests need some too.
    pub(crate) fn may_set_aside(&self) -> bool {
        self.schedule().waiting < EXTRA_THREADS - RESERVED
    }

    /// The calling worker's handler has taken its connection over: it may wait for its client for
    /// hours, has no deadline, and does not count as busy.
    pub(crate) fn set_aside(self: &Arc<Self>, py: Python<'_>) {
        let Some(worker) = self.me() else { return };
        self.leave_deadline(py);
        if !ASIDE.replace(true) {
            let mut schedule = self.schedule();
            schedule.begin_waiting(worker);
            schedule.extra.streams.push(Stream { worker, kind: KIND.get(), since: 0, waits: true });
            self.call_for_waiting_jobs(schedule);
        }
    }

    pub(super) fn leave_deadline(&self, py: Python<'_>) {
        if let Some(me) = self.me()
            && self.deadlines.leave(py, me)
        {
            self.schedule().take_up(me);
        }
    }

    /// Blocks the calling thread, not the server, until `poll` is ready.
    pub(crate) fn wait<T: Send>(
        self: &Arc<Self>,
        py: Python<'_>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T> + Send,
    ) -> T {
        // Mostly it is there already, and the GIL need not be let go.
        if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        py.detach(|| self.wait_detached(poll))
    }

    /// The same, without the GIL.
    pub(super) fn wait_detached<T>(
        self: &Arc<Self>,
        mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> T {
        let _waiting = Waiting::begin(self);
        let driven = self.me().and_then(|me| self.drive_while_waiting(me, &mut poll));
        driven.unwrap_or_else(|| park_until(poll))
    }
}
