//! The monitor: a thread that sees a holder stuck in a handler, and drives when everyone is busy.

use std::io;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::Crew;
use super::schedule::Holder;

/// How often a busy crew is looked at. A holder is stuck when two looks find it in the same
/// handler: after one to two ticks.
const TICK: Duration = Duration::from_millis(1);
/// Looks without a handler in between before the monitor goes to sleep.
const QUIET_TICKS: u32 = 200;

/// Starts the monitor.
///
/// # Errors
/// If the system gives no thread: without it one slow handler would stop everything.
pub(super) fn start(crew: &Arc<Crew>) -> io::Result<()> {
    let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "the crew has been run");
    if crew.monitor.get().is_some() {
        return Err(taken());
    }
    let for_thread = crew.clone();
    let builder = std::thread::Builder::new().name("gohttp-monitor".into());
    let handle = builder.spawn(move || {
        (for_thread.limits.on_thread_start)();
        for_thread.monitor();
    })?;
    let thread = handle.thread().clone();
    crew.keep_handle(handle);
    crew.monitor.set(thread).map_err(|_| taken())
}

impl Crew {
    fn monitor(self: &Arc<Self>) {
        let mut last = 0;
        let mut quiet = 0;
        loop {
            if quiet < QUIET_TICKS {
                std::thread::park_timeout(TICK);
            } else {
                std::thread::park();
                quiet = 0;
            }
            let mut schedule = self.schedule();
            schedule.monitor_asleep = false;
            if schedule.stop {
                return;
            }
            if schedule.holder == Holder::Monitor {
                drop(schedule);
                self.monitor_drives();
                continue;
            }
            let pulse = schedule.pulse;
            let inside = pulse % 2 == 1;
            if pulse != last || inside {
                quiet = 0;
            } else {
                quiet += 1;
                schedule.monitor_asleep = quiet == QUIET_TICKS;
            }
            if pulse == last && inside && matches!(schedule.holder, Holder::Worker(_)) {
                self.pass_on(schedule);
            }
            last = pulse;
        }
    }

    /// Drives the I/O while all workers are busy, until one of them wants to.
    fn monitor_drives(self: &Arc<Self>) {
        let Some(server) = self.server.get() else { return };
        let finished = self.driver.drive(|cx| {
            if server.poll_finished(cx).is_ready() {
                return Poll::Ready(true);
            }
            if self.schedule().wanted { Poll::Ready(false) } else { Poll::Pending }
        });
        if finished {
            return self.stop();
        }
        let mut schedule = self.schedule();
        schedule.wanted = false;
        self.pass_on(schedule);
    }
}
