//! The monitor: a thread that sees a stuck holder, and drives when everyone else is busy. It
//! never touches Python, so nothing in Python can stop it.

use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::Baton;
use super::schedule::Holder;

/// How often a busy server is looked at. A holder is stuck when two looks find it in the same
/// handler: after one to two ticks.
const TICK: Duration = Duration::from_millis(1);
/// Looks without a handler in between before the monitor goes to sleep.
const QUIET_TICKS: u32 = 200;

/// Starts the monitor.
///
/// # Errors
/// If the system gives no thread: without it one slow handler would stop everything.
pub(super) fn start(baton: &Arc<Baton>) -> std::io::Result<()> {
    let for_thread = baton.clone();
    let builder = std::thread::Builder::new().name("gohttp-monitor".into());
    let handle = builder.spawn(move || for_thread.monitor())?;
    // Set once: a baton is run once.
    let _ = baton.monitor.set(handle.thread().clone());
    Ok(())
}

impl Baton {
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
                drop(schedule);
                return self.oversee_stop();
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
                if schedule.attaching {
                    // Another worker would wait for the same GIL.
                    schedule.settle_pulse();
                    schedule.holder = Holder::Monitor;
                    drop(schedule);
                    self.monitor_drives();
                } else {
                    self.pass_on(schedule);
                }
            }
            last = pulse;
        }
    }

    /// Drives the I/O while all workers are busy, until one of them wants the baton.
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

    /// The server has stopped: a first thread stuck in a handler would keep the process for ever.
    fn oversee_stop(self: &Arc<Self>) {
        while Instant::now() < self.stop_deadline() {
            let schedule = self.schedule();
            if schedule.returned {
                return;
            }
            if schedule.main_lost {
                break;
            }
            drop(schedule);
            std::thread::park_timeout(Duration::from_millis(50));
        }
        if !self.schedule().returned && self.limits.owns_process {
            let why = if self.schedule().main_lost {
                "was given up"
            } else {
                "is still running after graceful_timeout"
            };
            // Logging needs Python, which may be what is stuck.
            eprintln!(
                "gohttp: a handler on the main thread {why} and is abandoned with the process."
            );
            signal_hook::low_level::exit(1);
        }
    }
}
