//! What a worker thread does: drive, run, or wait to be called.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::schedule::{Job, Schedule};
use super::{ASIDE, Baton, KIND, WORKER, Worker, limits};
use crate::team::{Holder, STREAK, Team};

/// A thread without work for this long ends.
const IDLE: Duration = Duration::from_secs(20);

/// What a worker found to do.
enum Next {
    Drive,
    Run(Box<Job>),
    Park,
    Stop,
}

/// Starts worker `number`.
///
/// # Errors
/// If the system gives no thread.
pub(super) fn start(baton: &Arc<Baton>, number: usize) -> io::Result<()> {
    let baton = baton.clone();
    std::thread::Builder::new().name(format!("gohttp-{number}")).spawn(move || {
        // One Python thread state for the thread's whole life: made per request, it would cost
        // more than the request.
        Python::attach(|py| py.detach(|| baton.work(number)));
    })?;
    Ok(())
}

impl Baton {
    /// The life of worker `me`.
    pub(super) fn work(self: &Arc<Self>, me: usize) {
        WORKER.set(Some(Worker { baton: Arc::as_ptr(self).addr(), number: me }));
        let _member = self.crew.get().is_some().then(|| self.enter_crew());
        let mut streak = 0;
        // All but the first thread are started by a call.
        let mut parked = (me != 0).then(Instant::now);
        loop {
            let next = self.next(me, &mut streak, parked);
            if !matches!(next, Next::Park) {
                parked = None;
            }
            match next {
                Next::Drive => self.drive(me),
                Next::Run(job) => Python::attach(|py| {
                    self.run_job(py, *job, false, Instant::now());
                }),
                Next::Park => {
                    parked.get_or_insert_with(Instant::now);
                    std::thread::park_timeout(IDLE);
                }
                Next::Stop => break,
            }
        }
        self.schedule().threads -= 1;
        WORKER.set(None);
        if me != 0 {
            self.wake_monitor();
        }
    }

    /// `streak` counts the usual requests taken one by one while the monitor drives; `parked`:
    /// since when this thread has been without work.
    fn next(self: &Arc<Self>, me: usize, streak: &mut u32, parked: Option<Instant>) -> Next {
        let mut schedule = self.schedule();
        if let Some(since) = parked {
            match schedule.idle.iter().position(|(number, _)| *number == me) {
                // It woke by itself; a call must not find it parked.
                Some(at) => {
                    schedule.idle.remove(at);
                    if me != 0 && since.elapsed() >= IDLE {
                        return Next::Stop;
                    }
                }
                None => schedule.called = schedule.called.saturating_sub(1),
            }
        }
        if schedule.stop {
            return Next::Stop;
        }
        if schedule.holder == Holder::Nobody {
            schedule.holder = Holder::Worker(me);
        }
        if schedule.holder == Holder::Worker(me) {
            *streak = 0;
            return Next::Drive;
        }
        if schedule.holder == Holder::Monitor
            && (self.beside_a_loop || *streak < STREAK)
            && let Some(job) = self.pop_ready(&mut schedule)
        {
            *streak += 1;
            // One helper at a time is called, and each that finds more than it can do calls the
            // next: a burst of quick requests does not start all threads.
            if !schedule.ready.is_empty() && schedule.called == 0 {
                let quick = schedule.ready.iter().any(|job| job.quick);
                let max = if quick { self.quick_threads() } else { self.max_threads };
                self.call_helper_within(schedule, max);
            }
            return Next::Run(Box::new(job));
        }
        // After a streak this thread wants the baton rather than the next job: run by the holder,
        // these requests cost no hand-off.
        let wants_baton = !self.beside_a_loop
            && schedule.holder == Holder::Monitor
            && *streak >= STREAK
            && !schedule.ready.is_empty();
        if !wants_baton
            && schedule.active() <= self.max_threads
            && let Some(job) = schedule.slow.pop_front()
        {
            if !schedule.slow.is_empty() && schedule.called == 0 {
                self.call_helper(schedule);
            }
            return Next::Run(Box::new(job));
        }
        if me != 0 && schedule.surplus(self.max_threads) {
            // It stood in for one that waited.
            return Next::Stop;
        }
        schedule.idle.push((me, std::thread::current()));
        if schedule.holder == Holder::Monitor && !self.beside_a_loop {
            schedule.wanted = true;
            drop(schedule);
            self.driver.wake_queue().nudge();
        }
        Next::Park
    }

    /// The next job for a thread that does not drive. The one beyond the limit is for quick ones.
    fn pop_ready(&self, schedule: &mut Schedule) -> Option<Job> {
        if schedule.active() <= self.max_threads {
            return schedule.ready.pop_front();
        }
        let at = schedule.ready.iter().position(|job| job.quick)?;
        schedule.ready.remove(at)
    }

    /// Drives until there are requests, then runs them, as long as the baton is ours.
    fn drive(self: &Arc<Self>, me: usize) {
        let Some(server) = self.server.get() else { return };
        let Some(found) = self.drive_to_requests(server) else { return self.stop() };
        let lost = found.more && !self.run_bare(me);
        if lost || !found.jobs {
            return;
        }
        self.announce_attaching(me);
        Python::attach(|py| {
            let mut now = Instant::now();
            while let Some(job) = self.next_as_holder(me) {
                now = self.run_job(py, job, true, now);
            }
        });
    }

    /// From here on the monitor watches: the GIL may be long in coming.
    fn announce_attaching(&self, me: usize) {
        let mut schedule = self.schedule();
        if schedule.holder == Holder::Worker(me) {
            let wake = schedule.enter_handler();
            schedule.extra.inside_bare = false;
            schedule.attaching = true;
            drop(schedule);
            if wake {
                self.wake_monitor();
            }
        }
    }

    /// Runs one handler, from `began` on; returns when it ended. A panic in it ends the request
    /// with a 500, not the thread.
    fn run_job(
        self: &Arc<Self>,
        py: Python<'_>,
        job: Job,
        driving: bool,
        began: Instant,
    ) -> Instant {
        let Job { request, mut writer, kind, since, .. } = job;
        if request.is_gone() {
            // Nobody waits for the answer any more.
            writer.abort();
            return began;
        }
        if let Some(timeout) = self.limits.request_timeout
            && let Some(me) = self.me()
        {
            let allowed = (timeout, "request_timeout");
            let deadline = since + limits::ticks(timeout);
            self.deadlines.enter(py, me, deadline, allowed, &request.head);
        }
        KIND.set(Some(kind));
        let run = AssertUnwindSafe(|| self.handler.handle(py, self, request, writer));
        if catch_unwind(run).is_err() {
            log::error!(target: "gohttp.server", "a handler panicked; the request was answered with 500");
        }
        if self.deadlines.in_use() {
            self.leave_deadline(py);
        }
        if ASIDE.replace(false) {
            self.end_stream();
        }
        let ended = Instant::now();
        self.costs.note(kind, ended - began, driving);
        ended
    }
}
