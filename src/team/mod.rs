//! What the baton and the crew are both: threads that run blocking handlers and, one of them at a
//! time, drive the I/O, with a monitor that sees to it that somebody always can.
//!
//! Nothing here knows what a handler needs: the baton's need the GIL, the crew's nothing.

mod monitor;
mod schedule;

use std::io;
use std::sync::{Arc, MutexGuard, OnceLock};
use std::task::{Context, Poll};
use std::thread::Thread;

use crate::server::{Driver, Server};
pub(crate) use monitor::watch;
#[cfg(feature = "python")]
pub(crate) use schedule::EXTRA_THREADS;
pub(crate) use schedule::{Holder, Schedule};

/// Requests taken one by one before a worker asks the monitor to let it drive.
pub(crate) const STREAK: u32 = 8;

/// A team's schedule, locked.
pub(crate) type Locked<'a, T> = MutexGuard<'a, Schedule<<T as Team>::Job, <T as Team>::Extra>>;

/// What the holder has found to run.
#[derive(Debug, Clone, Copy)]
#[cfg_attr(not(feature = "python"), expect(dead_code, reason = "the crew looks for itself"))]
pub(crate) struct Found {
    /// Jobs of the queues.
    pub(crate) jobs: bool,
    /// What the team [has more](Team::has_more).
    pub(crate) more: bool,
}

/// See the module's text.
pub(crate) trait Team: Send + Sync + Sized + 'static {
    /// A request that is to be run.
    type Job: Send;
    /// What the schedule has for this team alone.
    type Extra: Send;

    /// The schedule.
    fn schedule(&self) -> Locked<'_, Self>;
    /// The runtime.
    fn driver(&self) -> &Driver;
    /// The server, once it has been started.
    fn server(&self) -> Option<&Arc<Server>>;
    /// Threads that may be in handlers at once.
    fn max_threads(&self) -> usize;
    /// The monitor's thread, once it has been started.
    fn monitor(&self) -> Option<&Thread>;
    /// Starts worker `number`, which has been counted in.
    ///
    /// # Errors
    /// If the system gives no thread.
    fn start_worker(self: &Arc<Self>, number: usize) -> io::Result<()>;
    /// Has somebody else drive: a helper if one can be had at once, else the monitor.
    fn pass_on(self: &Arc<Self>, schedule: Locked<'_, Self>);
    /// The server has stopped, and all who sleep have been woken.
    fn stopped(&self) {}
    /// Whether this team has something for the holder beside the jobs of both queues.
    fn has_more(_extra: &Self::Extra) -> bool {
        false
    }
    /// The holder begins to drive from inside a handler: it runs nothing until it is done.
    fn driven_inside(self: &Arc<Self>, schedule: Locked<'_, Self>) {
        drop(schedule);
    }

    /// Gets a thread for waiting jobs or the free driver: an idle one, or a new one. Returns
    /// whether there was one.
    fn call_helper(self: &Arc<Self>, schedule: Locked<'_, Self>) -> bool {
        self.call_helper_within(schedule, self.max_threads())
    }

    /// The same, with another limit of threads.
    fn call_helper_within(self: &Arc<Self>, mut schedule: Locked<'_, Self>, max: usize) -> bool {
        if schedule.may_call(max)
            && let Some((_, thread)) = schedule.idle.pop()
        {
            schedule.called += 1;
            drop(schedule);
            thread.unpark();
            return true;
        }
        if !schedule.may_start(max) {
            return false;
        }
        let number = schedule.enlist();
        schedule.called += 1;
        drop(schedule);
        let started = self.start_worker(number);
        let mut schedule = self.schedule();
        let Err(error) = started else {
            schedule.complained = false;
            return true;
        };
        schedule.threads -= 1;
        schedule.called -= 1;
        schedule.refused = true;
        // Asked for at each tick, it would be logged at each.
        let first = !std::mem::replace(&mut schedule.complained, true);
        drop(schedule);
        if first {
            log::error!(target: "gohttp.server", "no further thread can be started: {error}");
        }
        false
    }

    /// Gets a thread for waiting jobs that no thread will see by itself.
    fn call_for_waiting_jobs(self: &Arc<Self>, schedule: Locked<'_, Self>) {
        if schedule.jobs_need_a_thread() && schedule.called == 0 {
            self.call_helper(schedule);
        }
    }

    /// Has the monitor look.
    fn wake_monitor(&self) {
        if let Some(monitor) = self.monitor() {
            monitor.unpark();
        }
    }

    /// The server has stopped: ends all threads.
    fn stop(&self) {
        let mut schedule = self.schedule();
        schedule.stop = true;
        let idle = std::mem::take(&mut schedule.idle);
        drop(schedule);
        for (_, thread) in idle {
            thread.unpark();
        }
        self.wake_monitor();
        self.stopped();
    }

    /// Drives, as the holder, until there are requests that it should run. `None`: the server has
    /// stopped.
    fn drive_to_requests(self: &Arc<Self>, server: &Server) -> Option<Found> {
        self.driver().drive(|cx| {
            if server.poll_finished(cx).is_ready() {
                return Poll::Ready(None);
            }
            let schedule = self.schedule();
            let slow = !schedule.slow.is_empty();
            let helper = slow && schedule.helper_to_be_had(self.max_threads());
            let jobs = !schedule.ready.is_empty() || (slow && !helper);
            let more = Self::has_more(&schedule.extra);
            if jobs || more {
                return Poll::Ready(Some(Found { jobs, more }));
            }
            if slow && schedule.called == 0 {
                self.call_helper(schedule);
            }
            Poll::Pending
        })
    }

    /// The next job of worker `me`, as long as it is the holder.
    fn next_as_holder(self: &Arc<Self>, me: usize) -> Option<Self::Job> {
        let mut schedule = self.schedule();
        if schedule.holder != Holder::Worker(me) {
            return None;
        }
        schedule.settle_pulse();
        let (job, wake) = if let Some(job) = schedule.ready.pop_front() {
            (Some(job), schedule.enter_handler())
        } else if schedule.slow.is_empty() || schedule.helper_to_be_had(self.max_threads()) {
            (None, false)
        } else {
            // Everyone else is busy, and this will take a while: the monitor drives meanwhile.
            schedule.holder = Holder::Monitor;
            (schedule.slow.pop_front(), true)
        };
        drop(schedule);
        if wake {
            self.wake_monitor();
        }
        job
    }

    /// If worker `me` is the holder, drives from inside its handler until `poll` is ready, or until
    /// there are requests that another thread can run; then that one drives.
    fn drive_while_waiting<T>(
        self: &Arc<Self>,
        me: usize,
        poll: &mut impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Option<T> {
        let server = self.server()?;
        {
            let mut schedule = self.schedule();
            if schedule.holder != Holder::Worker(me) {
                return None;
            }
            // Driving is not being stuck.
            schedule.settle_pulse();
            schedule.driven_inside = true;
            self.driven_inside(schedule);
        }
        let mut finished = false;
        let value = self.driver().drive(|cx| {
            if let Poll::Ready(value) = poll(cx) {
                return Poll::Ready(Some(value));
            }
            // The server is done, whatever this handler still waits for.
            finished = server.poll_finished(cx).is_ready();
            if finished {
                return Poll::Ready(None);
            }
            let schedule = self.schedule();
            let others = schedule.queued() > 0 && schedule.helper_to_be_had(self.max_threads());
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

/// Starts a team's monitor, which is to be kept in `place`, by `run`.
///
/// # Errors
/// If the system gives no thread: without it one slow handler would stop everything.
/// `AlreadyExists` if there is one.
pub(crate) fn start_monitor(
    place: &OnceLock<Thread>,
    run: impl FnOnce() + Send + 'static,
) -> io::Result<std::thread::JoinHandle<()>> {
    let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "it has been run already");
    if place.get().is_some() {
        return Err(taken());
    }
    let handle = std::thread::Builder::new().name("gohttp-monitor".into()).spawn(run)?;
    place.set(handle.thread().clone()).map_err(|_| taken())?;
    Ok(handle)
}
