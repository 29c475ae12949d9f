//! Waiting for the network inside a handler.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, MutexGuard};
use std::task::{Context, Poll, Waker};

use pyo3::prelude::*;

use super::schedule::{EXTRA_THREADS, Holder, Schedule, Stream};
use super::{ASIDE, Baton, WORKER};
use crate::crew::park_until;

/// Threads beyond `--threads` that handlers which keep their connections may not have.
const RESERVED: usize = 64;
/// Streams for each thread that give way at once; the others do so a moment later.
const STREAMS_AT_ONCE: usize = 4;

/// A worker that waits for the network: another may be started in its place.
struct Waiting<'a>(Option<&'a Arc<Baton>>);

impl<'a> Waiting<'a> {
    fn begin(baton: &'a Arc<Baton>) -> Self {
        if WORKER.get().is_none() {
            return Self(None);
        }
        let mut schedule = baton.schedule();
        // A stream that waits once counts as waiting until its end.
        let stream = stream_of(&schedule);
        if let Some(at) = stream
            && std::mem::replace(&mut schedule.streams[at].waits, true)
        {
            return Self(None);
        }
        schedule.waiting += 1;
        baton.call_for_waiting_jobs(schedule);
        Self(stream.is_none().then_some(baton))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(baton) = self.0 {
            baton.schedule().waiting -= 1;
        }
    }
}

/// The calling worker's stream, as a place in the list.
fn stream_of(schedule: &Schedule) -> Option<usize> {
    let me = WORKER.get()?;
    schedule.streams.iter().position(|stream| stream.worker == me)
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
        if let Some(worker) = WORKER.get() {
            let since = self.ticks.load(Relaxed);
            let mut schedule = self.schedule();
            // Where others wait it gives way at once, as long as these are not too many.
            let waits = schedule.jobs_need_a_thread()
                && schedule.waiting < STREAMS_AT_ONCE * self.max_threads;
            schedule.streams.push(Stream { worker, since, waits });
            if waits {
                schedule.waiting += 1;
                self.call_for_waiting_jobs(schedule);
            }
        }
        Streaming(self)
    }

    /// The calling worker's stream has ended.
    pub(super) fn end_stream(&self) {
        let mut schedule = self.schedule();
        if let Some(at) = stream_of(&schedule)
            && schedule.streams.swap_remove(at).waits
        {
            schedule.waiting -= 1;
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
        let Some(worker) = WORKER.get() else { return };
        self.leave_deadline(py);
        if !ASIDE.replace(true) {
            let mut schedule = self.schedule();
            schedule.waiting += 1;
            schedule.streams.push(Stream { worker, since: 0, waits: true });
            self.call_for_waiting_jobs(schedule);
        }
    }

    /// A worker has stopped to count as busy: another runs what waits.
    pub(super) fn call_for_waiting_jobs(self: &Arc<Self>, schedule: MutexGuard<'_, Schedule>) {
        if schedule.jobs_need_a_thread() && schedule.called == 0 {
            self.call_helper(schedule);
        }
    }

    pub(super) fn leave_deadline(&self, py: Python<'_>) {
        if self.deadlines.leave(py) {
            let mut schedule = self.schedule();
            schedule.lost -= 1;
            schedule.main_lost &= WORKER.get() != Some(0);
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
        py.detach(|| self.wait_detached(&mut poll))
    }

    /// The same, without the GIL.
    pub(super) fn wait_detached<T>(
        self: &Arc<Self>,
        poll: &mut (impl FnMut(&mut Context<'_>) -> Poll<T> + ?Sized),
    ) -> T {
        let _waiting = Waiting::begin(self);
        match self.drive_while_waiting(poll) {
            Some(value) => value,
            None => park_until(poll),
        }
    }

    /// If the calling thread holds the baton, drives until `poll` is ready, or until there are
    /// requests that another thread can run; then the baton is passed on.
    fn drive_while_waiting<T>(
        self: &Arc<Self>,
        poll: &mut (impl FnMut(&mut Context<'_>) -> Poll<T> + ?Sized),
    ) -> Option<T> {
        let me = WORKER.get()?;
        {
            let mut schedule = self.schedule();
            if schedule.holder != Holder::Worker(me) {
                return None;
            }
            // Driving is not being stuck.
            schedule.settle_pulse();
            schedule.driven_inside = true;
            // Found with the request whose handler this is.
            let left = std::mem::take(&mut schedule.bare);
            drop(schedule);
            self.leave_to_crew(left);
        }
        let mut finished = false;
        let value = self.driver.drive(|cx| {
            if let Poll::Ready(value) = poll(cx) {
                return Poll::Ready(Some(value));
            }
            // The server is done, whatever this handler still waits for.
            finished = self.server.get().is_some_and(|server| server.poll_finished(cx).is_ready());
            if finished {
                return Poll::Ready(None);
            }
            let schedule = self.schedule();
            let others = schedule.helper_to_be_had(self.max_threads)
                && !(schedule.ready.is_empty() && schedule.slow.is_empty());
            if others { Poll::Ready(None) } else { Poll::Pending }
        });
        self.schedule().driven_inside = false;
        if finished {
            self.stop();
            return value;
        }
        let mut schedule = self.schedule();
        if value.is_none() {
            self.pass_on(schedule);
        } else if schedule.enter_handler() {
            drop(schedule);
            self.wake_monitor();
        }
        value
    }
}
