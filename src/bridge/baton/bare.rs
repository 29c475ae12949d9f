//! Requests that need no Python: handlers in C.
//!
//! Who holds the baton runs those that it finds itself, before it takes the GIL for the others. Where
//! nobody could do so at once, as the monitor or an event loop drives, or their kind is slow, they go to
//! a [`Crew`], whose threads have nothing to do with Python: they are run whoever keeps the GIL. So
//! they do where the holder is stuck in one, which then does not count towards `--threads`.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use super::{Baton, BatonDispatch};
use crate::crew::{Crew, Finish, Handler, Job, Limits, Member, Membership};
use crate::http::{Request, ResponseWriter};
use crate::team::{Holder, Team};

impl BatonDispatch {
    /// Takes a request for the handler that [`Baton::add_crew`] was given.
    pub(crate) fn dispatch_bare(&self, request: Request, writer: ResponseWriter) {
        let baton = &self.0;
        let Some(crew) = baton.crew.get() else { return };
        let job = Job::new(request, writer);
        let slow = crew.is_slow(&job);
        let mut schedule = baton.schedule();
        if !slow && matches!(schedule.holder, Holder::Worker(_)) && !schedule.driven_inside {
            schedule.extra.bare.push_back(job);
            drop(schedule);
            baton.driver.wake_queue().nudge_from_inside();
        } else {
            drop(schedule);
            crew.take(slow, job);
        }
    }
}

/// A worker inside a handler that needs no Python.
struct BareWorker(Arc<Baton>);

impl Member for BareWorker {
    fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        self.0.wait_detached(poll);
    }
}

impl Baton {
    /// Has `handler` answer what needs no Python. To be called before anything is served.
    pub(crate) fn add_crew(&self, handler: Box<dyn Handler>) {
        let limits =
            Limits { threads: self.limits.threads, queue: self.limits.queue, ..Limits::default() };
        // Set once: a baton serves one site.
        let _ = self.crew.set(Crew::beside(self.driver.clone(), handler, limits));
    }

    /// The calling worker waits for clients as workers do, also in handlers without Python.
    pub(super) fn enter_crew(self: &Arc<Self>) -> Membership {
        Membership::of(BareWorker(self.clone()))
    }

    /// Runs what the holder has found, without the GIL. Returns whether it still holds the baton.
    pub(super) fn run_bare(&self, me: usize) -> bool {
        let Some(crew) = self.crew.get() else { return true };
        let mut now = Instant::now();
        while let Some(job) = self.next_bare(me) {
            now = crew.run_job(job, true, now);
        }
        self.schedule().holder == Holder::Worker(me)
    }

    fn next_bare(&self, me: usize) -> Option<Job> {
        let mut schedule = self.schedule();
        schedule.take_back(me);
        if schedule.holder != Holder::Worker(me) {
            return None;
        }
        schedule.settle_pulse();
        let job = schedule.extra.bare.pop_front()?;
        schedule.extra.inside_bare = true;
        let wake = schedule.enter_handler();
        drop(schedule);
        if wake {
            self.wake_monitor();
        }
        Some(job)
    }

    /// Takes the same kind of request from a thread that does not drive, or not now.
    pub(crate) fn leave_request_to_crew(&self, request: Request, writer: ResponseWriter) {
        if let Some(crew) = self.crew.get() {
            let job = Job::new(request, writer);
            crew.take(crew.is_slow(&job), job);
        }
    }

    /// The holder is stuck: another runs what it had found.
    pub(super) fn leave_to_crew(&self, jobs: VecDeque<Job>) {
        if let Some(crew) = self.crew.get() {
            jobs.into_iter().for_each(|job| crew.take(false, job));
        }
    }

    /// Waits for the crew's handlers, as long as a stop may take; returns whether all have ended.
    pub(super) fn finish_crew(&self) -> bool {
        let Some(crew) = self.crew.get() else { return true };
        match crew.finish(self.stop_deadline()) {
            Finish::Clean => true,
            Finish::Abandoned(busy) => {
                log::warn!(
                    target: "gohttp.server",
                    "{busy} handlers in C were still running after graceful_timeout and are abandoned"
                );
                false
            }
        }
    }
}
