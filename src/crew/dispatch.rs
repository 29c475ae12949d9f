//! The engine's end of the crew.

use std::sync::{Arc, Weak};

use super::{Crew, Job};
use crate::costs::{self, Pace};
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter};
use crate::team::{Holder, Schedule, Team};

/// Bodies of known length up to this are read before the handler is called: a thread does not
/// wait for a slow client's form.
const PREBUFFER: usize = 1024 * 1024;
/// The same for clients that are quick.
const PREBUFFER_QUICK: usize = 128 * 1024;

/// Queues requests for a crew. It does not keep the crew alive: the runtime, which the crew owns,
/// keeps it.
pub(crate) struct CrewDispatch(pub(super) Weak<Crew>);

impl Dispatch for CrewDispatch {
    fn dispatch(&self, request: Request, writer: ResponseWriter) {
        // Without a crew nobody drives; the writer's drop answers.
        let Some(crew) = self.0.upgrade() else { return };
        let job = Job::new(request, writer);
        crew.take(crew.is_slow(&job), job);
        crew.driver.wake_queue().nudge_from_inside();
    }

    fn tick(&self) {
        if let Some(crew) = self.0.upgrade() {
            crew.tick();
        }
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        Prebuffer { quick: PREBUFFER_QUICK, slow: PREBUFFER }
    }
}

impl Job {
    /// A request that is to be run.
    pub(crate) fn new(request: Request, writer: ResponseWriter) -> Self {
        let kind = costs::kind_of(&request.head);
        Self { request, writer, kind }
    }
}

impl Crew {
    /// Whether this belongs on another thread than the driving one.
    pub(crate) fn is_slow(&self, job: &Job) -> bool {
        self.limits.threads > 1 && self.costs.pace(job.kind) == Pace::Slow
    }

    /// Queues a request, and sees to it that somebody will run it.
    pub(crate) fn take(self: &Arc<Self>, slow: bool, mut job: Job) {
        let mut schedule = self.schedule();
        if self.overloaded(&schedule) {
            drop(schedule);
            return job.writer.fail(503);
        }
        if slow {
            schedule.slow.push_back(job);
            // If no other thread can be had, the holder sees the job as it looks.
            self.call_helper(schedule);
        } else {
            schedule.ready.push_back(job);
            if schedule.holder == Holder::Monitor && schedule.called == 0 {
                self.call_helper(schedule);
            }
        }
    }

    /// About every 250 ms: a thread that could not be had may be had now.
    pub(crate) fn tick(self: &Arc<Self>) {
        let mut schedule = self.schedule();
        schedule.refused = false;
        self.call_for_waiting_jobs(schedule);
    }

    /// Whether another request cannot be taken: nobody is free, and enough wait already.
    fn overloaded(&self, schedule: &Schedule<Job>) -> bool {
        schedule.queued() >= self.limits.queue
            && (schedule.driven_inside || schedule.holder == Holder::Monitor)
            && !schedule.helper_to_be_had(self.limits.threads)
    }
}
