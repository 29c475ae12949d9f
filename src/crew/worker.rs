//! What a worker thread does: drive, run, or wait to be called.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::wait::{Membership, Worker};
use super::{Crew, Job};
use crate::team::{Holder, STREAK, Schedule, Team};

/// A thread without work for this long ends.
const IDLE: Duration = Duration::from_secs(10);

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
pub(super) fn start(crew: &Arc<Crew>, number: usize) -> io::Result<()> {
    let for_thread = crew.clone();
    let builder = std::thread::Builder::new()
        .name(format!("gohttp-{number}"))
        .stack_size(crew.limits.stack_size);
    let handle = builder.spawn(move || {
        (for_thread.limits.on_thread_start)();
        let _member = Membership::of(Worker { crew: for_thread.clone(), number });
        for_thread.work(number);
    })?;
    crew.keep_handle(handle);
    Ok(())
}

impl Crew {
    /// The life of worker `me`.
    fn work(self: &Arc<Self>, me: usize) {
        let mut streak = 0;
        // All but the first thread, which drives, are started by a call.
        let mut parked = (me != 0 || self.beside).then(Instant::now);
        loop {
            let next = self.next(me, &mut streak, parked);
            if !matches!(next, Next::Park) {
                parked = None;
            }
            match next {
                Next::Drive => self.drive(me),
                Next::Run(job) => drop(self.run_job(*job, false, Instant::now())),
                Next::Park => {
                    parked.get_or_insert_with(Instant::now);
                    std::thread::park_timeout(IDLE);
                }
                Next::Stop => break,
            }
        }
        self.schedule().threads -= 1;
        self.ended.notify_all();
    }

    /// `streak` counts the requests taken one by one while the monitor drives; `parked`: since when
    /// this thread has been without work.
    fn next(self: &Arc<Self>, me: usize, streak: &mut u32, parked: Option<Instant>) -> Next {
        let mut schedule = self.schedule();
        let mut bored = false;
        if let Some(since) = parked {
            match schedule.idle.iter().position(|(number, _)| *number == me) {
                // It woke by itself; a call must not find it parked.
                Some(at) => {
                    schedule.idle.remove(at);
                    bored = since.elapsed() >= IDLE;
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
            && (self.beside || *streak < STREAK)
            && schedule.active() <= self.limits.threads
            && let Some(job) = schedule.ready.pop_front()
        {
            *streak += 1;
            // One helper at a time is called, and each that finds more than it can do calls the
            // next: a burst of quick requests does not start all threads.
            if !schedule.ready.is_empty() && schedule.called == 0 {
                self.call_helper(schedule);
            }
            return Next::Run(Box::new(job));
        }
        // After a streak this thread wants to drive rather than the next job: run by the holder,
        // these requests cost no hand-off.
        let wants_to_drive = !self.beside
            && schedule.holder == Holder::Monitor
            && *streak >= STREAK
            && !schedule.ready.is_empty();
        if !wants_to_drive && let Some(job) = self.pop_slow(&mut schedule) {
            if !schedule.slow.is_empty() && schedule.called == 0 {
                self.call_helper(schedule);
            }
            return Next::Run(Box::new(job));
        }
        // Beside others it is only missed when there is work.
        let last = schedule.threads == 1 && !self.beside;
        if !last && (bored || schedule.surplus(self.limits.threads)) {
            return Next::Stop;
        }
        schedule.idle.push((me, std::thread::current()));
        if schedule.holder == Holder::Monitor && !self.beside {
            schedule.wanted = true;
            drop(schedule);
            self.driver.wake_queue().nudge();
        }
        Next::Park
    }

    fn pop_slow(&self, schedule: &mut Schedule<Job>) -> Option<Job> {
        if schedule.active() > self.limits.threads {
            return None;
        }
        schedule.slow.pop_front()
    }

    /// Drives until there are requests, then runs them, as long as this thread is the holder.
    fn drive(self: &Arc<Self>, me: usize) {
        let Some(server) = self.server.get() else { return };
        if self.drive_to_requests(server).is_none() {
            return self.stop();
        }
        let mut now = Instant::now();
        while let Some(job) = self.next_as_holder(me) {
            now = self.run_job(job, true, now);
        }
    }

    /// Runs one handler, from `began` on; returns when it ended. A panic in it ends the request
    /// with a 500, not the thread.
    pub(crate) fn run_job(&self, job: Job, driving: bool, began: Instant) -> Instant {
        let Job { request, mut writer, kind } = job;
        if request.is_gone() {
            // Nobody waits for the answer any more.
            writer.abort();
            return began;
        }
        let run = AssertUnwindSafe(|| self.handler.handle(request, writer));
        if catch_unwind(run).is_err() {
            log::error!(target: "gohttp.server", "a handler panicked; the request was answered with 500");
        }
        let ended = Instant::now();
        self.costs.note(kind, ended - began, driving);
        ended
    }
}
