//! The monitor: a thread that sees a holder stuck in a handler, and drives when everyone is busy.

use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use super::{Holder, Team};

/// How often a busy team is looked at. A holder is stuck when two looks find it in the same
/// handler: after one to two ticks.
const TICK: Duration = Duration::from_millis(1);
/// Looks without a handler in between before the monitor goes to sleep.
const QUIET_TICKS: u32 = 200;

/// Watches until the server has stopped.
pub(crate) fn watch<T: Team>(team: &Arc<T>) {
    let mut last = 0;
    let mut quiet = 0;
    loop {
        if quiet < QUIET_TICKS {
            std::thread::park_timeout(TICK);
        } else {
            std::thread::park();
            quiet = 0;
        }
        let mut schedule = team.schedule();
        schedule.monitor_asleep = false;
        if schedule.stop {
            return;
        }
        if schedule.holder == Holder::Monitor {
            drop(schedule);
            drive(team);
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
                // Another worker would wait for the same.
                schedule.settle_pulse();
                schedule.holder = Holder::Monitor;
                drop(schedule);
                drive(team);
            } else {
                team.pass_on(schedule);
            }
        }
        last = pulse;
    }
}

/// Drives the I/O while all workers are busy, until one of them wants to.
fn drive<T: Team>(team: &Arc<T>) {
    let Some(server) = team.server() else { return };
    let finished = team.driver().drive(|cx| {
        if server.poll_finished(cx).is_ready() {
            return Poll::Ready(true);
        }
        if team.schedule().wanted { Poll::Ready(false) } else { Poll::Pending }
    });
    if finished {
        return team.stop();
    }
    let mut schedule = team.schedule();
    schedule.wanted = false;
    team.pass_on(schedule);
}
