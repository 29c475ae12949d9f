//! The baton's monitor. It never touches Python, so nothing in Python can stop it.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Baton;
use crate::team::{self, Team};

/// Starts the monitor.
///
/// # Errors
/// As [`team::start_monitor`].
pub(super) fn start(baton: &Arc<Baton>) -> io::Result<()> {
    let for_thread = baton.clone();
    // It is not waited for: it may have to end the process.
    let run = move || {
        team::watch(&for_thread);
        for_thread.oversee_stop();
    };
    team::start_monitor(&baton.monitor, run).map(drop)
}

impl Baton {
    /// The server has stopped: a first thread stuck in a handler would keep the process for ever.
    fn oversee_stop(self: &Arc<Self>) {
        while Instant::now() < self.stop_deadline() {
            let schedule = self.schedule();
            if schedule.extra.returned {
                return;
            }
            if schedule.extra.main_lost {
                break;
            }
            drop(schedule);
            std::thread::park_timeout(Duration::from_millis(50));
        }
        if !self.schedule().extra.returned && self.limits.owns_process {
            let why = if self.schedule().extra.main_lost {
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
