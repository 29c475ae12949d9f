//! How many requests may wait, and for how long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;

use super::Baton;
use super::schedule::{Job, Schedule};
use crate::config::WebSocketConfig;
use crate::http::{ResponseHead, TICK};
use crate::team::{Holder, Team};
use crate::words::were;

/// Ticks after which a streamed response counts as waiting for its client: it may go on for hours.
const STREAM_PATIENCE: u32 = 1;
/// Seconds after which a refused client may come again.
const RETRY_AFTER: &[u8] = b"1";

/// What a baton allows.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// What it allows to WebSockets of its handlers.
    pub(crate) websocket: WebSocketConfig,
    /// Threads in handlers at once.
    pub(crate) threads: usize,
    /// Requests that may wait for a thread.
    pub(crate) queue: usize,
    /// How long a request may wait for a thread.
    pub(crate) queue_timeout: Option<Duration>,
    /// How long a request may take.
    pub(crate) request_timeout: Option<Duration>,
    /// Whether the process is the server's, to be ended if a handler does not end.
    pub(crate) owns_process: bool,
    /// Whether a supervisor starts another process when this one ends.
    pub(crate) supervised: bool,
    /// The signal to which Python answers with the stacks of all threads, GIL or not.
    pub(crate) stack_signal: Option<i32>,
}

pub(super) fn ticks(duration: Duration) -> u32 {
    (duration.as_millis().div_ceil(TICK.as_millis()) + 1).min(u128::from(u32::MAX / 2)) as u32
}

impl Baton {
    /// Threads that may be in handlers if the next one is for a quick request: where all are busy
    /// with slow ones, one more keeps short requests from waiting behind them. One thread is a
    /// promise.
    pub(super) fn quick_threads(&self) -> usize {
        if self.max_threads == 1 { 1 } else { self.max_threads + 1 }
    }

    /// Whether another request cannot be taken: nobody is free, and enough wait already.
    pub(super) fn overloaded(&self, schedule: &Schedule, slow: bool) -> bool {
        schedule.queued() >= self.limits.queue
            && (slow || schedule.driven_inside || schedule.holder == Holder::Monitor)
            && !schedule.helper_to_be_had(self.max_threads)
    }

    /// Answers with 503.
    pub(super) fn refuse(&self, job: Job) {
        let body: &[u8] = b"503 Service Unavailable\n";
        let mut head = ResponseHead::text(503, body.len());
        head.push_raw(b"retry-after", RETRY_AFTER);
        let mut writer = job.writer;
        // The only error here is a client gone, whom nothing can be told.
        let _ = writer.respond(head, Bytes::from_static(body));
        self.refused.fetch_add(1, Relaxed);
    }

    /// Every 250 ms, whoever drives.
    pub(super) fn tick(self: &Arc<Self>) {
        let now = self.ticks.fetch_add(1, Relaxed) + 1;
        if let Some(timeout) = self.limits.queue_timeout {
            let patience = ticks(timeout);
            while let Some(late) = self.pop_late(now, patience) {
                self.refuse(late);
            }
        }
        while let Some(late) = self.pop_surplus() {
            self.refuse(late);
        }
        let refused = self.refused.swap(0, Relaxed);
        if refused > 0 {
            log::warn!(
                target: "gohttp.server",
                "{} refused with 503: all threads ({}) are busy, and more than queue ({}) requests \
                 wait, or one for longer than queue_timeout",
                were(refused, "request"),
                self.max_threads,
                self.limits.queue
            );
        }
        self.count_streams(now);
        self.check_deadlines(now);
        if let Some(crew) = self.crew.get() {
            crew.tick();
        }
    }

    fn pop_late(&self, now: u32, patience: u32) -> Option<Job> {
        let mut schedule = self.schedule();
        let late = |job: Option<&Job>| job.is_some_and(|job| now - job.since > patience);
        if late(schedule.slow.front()) {
            return schedule.slow.pop_front();
        }
        if late(schedule.ready.front()) {
            return schedule.ready.pop_front();
        }
        None
    }

    /// The newest of too many that came before it was seen that nobody is free for them.
    fn pop_surplus(&self) -> Option<Job> {
        let mut schedule = self.schedule();
        let surplus = schedule.queued() > self.limits.queue;
        if !surplus || !self.overloaded(&schedule, false) {
            return None;
        }
        schedule.ready.pop_back().or_else(|| schedule.slow.pop_back())
    }

    /// Streams that have gone on for a while no longer take a thread from other requests, and what
    /// is of their kinds gives way to other requests too.
    fn count_streams(self: &Arc<Self>, now: u32) {
        let mut schedule = self.schedule();
        let kinds = schedule.settle_streams(now, STREAM_PATIENCE);
        kinds.iter().for_each(|&kind| self.costs.note_slow(kind));
        if !kinds.is_empty() && self.max_threads > 1 {
            let waiting = std::mem::take(&mut schedule.ready);
            let (slow, ready): (VecDeque<_>, _) =
                waiting.into_iter().partition(|job| self.costs.is_slow(job.kind));
            schedule.ready = ready;
            schedule.slow.extend(slow);
        }
        // The system may have threads again.
        schedule.refused = false;
        // Whatever has changed without a word: nothing waits for longer than a tick.
        self.call_for_waiting_jobs(schedule);
    }
}
