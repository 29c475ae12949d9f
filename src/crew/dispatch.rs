//! The engine's end of the crew.

use std::sync::Weak;

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
        let kind = costs::kind_of(&request.head);
        let slow = crew.limits.threads > 1 && crew.costs.pace(kind) == Pace::Slow;
        let mut job = Job { request, writer, kind };
        let mut schedule = crew.schedule();
        if crew.overloaded(&schedule) {
            drop(schedule);
            return job.writer.fail(503);
        }
        if slow {
            schedule.slow.push_back(job);
            // If no other thread can be had, the holder sees the job as it looks.
            crew.call_helper(schedule);
        } else {
            schedule.ready.push_back(job);
            if schedule.holder == Holder::Monitor && schedule.called == 0 {
                crew.call_helper(schedule);
            }
        }
        crew.driver.wake_queue().nudge_from_inside();
    }

    fn tick(&self) {
        let Some(crew) = self.0.upgrade() else { return };
        let mut schedule = crew.schedule();
        schedule.refused = false;
        crew.call_for_waiting_jobs(schedule);
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        Prebuffer { quick: PREBUFFER_QUICK, slow: PREBUFFER }
    }
}

impl Crew {
    /// Whether another request cannot be taken: nobody is free, and enough wait already.
    fn overloaded(&self, schedule: &Schedule<Job>) -> bool {
        schedule.queued() >= self.limits.queue
            && (schedule.driven_inside || schedule.holder == Holder::Monitor)
            && !schedule.helper_to_be_had(self.limits.threads)
    }
}
