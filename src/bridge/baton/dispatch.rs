//! The engine's end of the baton.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use super::Baton;
use super::schedule::{Holder, Job};
use crate::costs;
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter, Room};

/// Bodies of known length up to this are read before the handler is called: a thread does not
/// wait for a slow client's form.
const PREBUFFER: usize = 1024 * 1024;
/// The same for clients that are quick: larger bodies are received to where the handler wants
/// them, which spares a copy.
const PREBUFFER_QUICK: usize = 128 * 1024;

/// Gives requests to the threads.
pub(crate) struct BatonDispatch(pub(crate) Arc<Baton>);

impl Dispatch for BatonDispatch {
    fn dispatch(&self, request: Request, mut writer: ResponseWriter) {
        if request.head.protocol().is_some() && !self.0.handler.takes_connect(&request) {
            // 200 would tell the client that its other protocol is spoken (RFC 8441 section 5).
            return writer.fail(501);
        }
        let baton = &self.0;
        let kind = costs::kind_of(&request.head);
        let pace = baton.costs.pace(kind);
        let slow = baton.max_threads > 1 && pace == costs::Pace::Slow;
        let quick = pace == costs::Pace::Quick;
        let job = Job { request, writer, kind, quick, since: baton.ticks.load(Relaxed) };
        let mut schedule = baton.schedule();
        if baton.overloaded(&schedule, slow) {
            drop(schedule);
            baton.refuse(job);
        } else if slow {
            schedule.slow.push_back(job);
            // If no other thread can be had, the holder sees the job as it looks.
            baton.call_helper(schedule);
        } else {
            schedule.ready.push_back(job);
            // The monitor runs nothing itself.
            if schedule.holder == Holder::Monitor && schedule.called == 0 {
                let max = if quick { baton.quick_threads() } else { baton.max_threads };
                baton.call_helper_within(schedule, max);
            }
        }
        baton.driver.wake_queue().nudge_from_inside();
    }

    fn tick(&self) {
        self.0.tick();
    }

    fn room(&self) -> Room {
        let schedule = self.0.schedule();
        let max = self.0.max_threads;
        let helpers = if schedule.helper_to_be_had(max) { max - schedule.active() } else { 0 };
        let blocked = schedule.holder == Holder::Monitor || schedule.driven_inside;
        match schedule.ready.len() + schedule.slow.len() {
            waiting if waiting < helpers + usize::from(!blocked) => Room::Free,
            _ if blocked => Room::None,
            _ => Room::Soon,
        }
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        // The only thread waits for nobody.
        let quick = if self.0.max_threads == 1 { PREBUFFER } else { PREBUFFER_QUICK };
        Prebuffer { quick, slow: PREBUFFER }
    }
}
