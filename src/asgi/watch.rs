//! Handlers that keep the event loop for themselves.
//!
//! Between two calls of `drive` the loop's thread runs Python. If that takes long, a monitor drives
//! the engine meanwhile: connections are accepted, time-outs fall due, health is answered. And if
//! it takes `slow_callback`, the log says what the loop is doing, with its stack. The monitor
//! itself never touches Python.

use std::ffi::c_ulong;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError, Weak};
use std::task::Poll;
use std::thread::Thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::inbox::Inbox;
use crate::server::Driver;
use crate::wake::lock;

/// How often a busy loop is looked at.
const TICK: Duration = Duration::from_millis(5);
/// Looks that find the loop in the same turn, after which the monitor drives.
const PATIENCE: u32 = 4;
/// Looks without a turn in between before the monitor goes to sleep.
const QUIET_TICKS: u32 = 100;

/// Who drives.
#[derive(Debug, Default)]
struct Turn {
    monitor: bool,
    /// The loop's thread wants to drive.
    wanted: bool,
    stop: bool,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Watch {
    turn: Mutex<Turn>,
    left: Condvar,
    /// Odd while the loop's thread runs Python; counts up at each change.
    pulse: AtomicU64,
    /// When it last went to Python, and the pulse then reported, if any.
    left_at: Mutex<Instant>,
    reported: AtomicU64,
    /// The pulse for which the reporter has asked for the GIL.
    asked: AtomicU64,
    /// After how long the log is told.
    after: OnceLock<Duration>,
    asleep: AtomicBool,
    /// The monitor drives: the loop is being kept.
    kept: Arc<AtomicBool>,
    monitor: OnceLock<Thread>,
}

/// What the monitor drives.
pub(super) trait Driven: Send + Sync + 'static {
    fn driver(&self) -> &Driver;
    fn watch(&self) -> &Watch;
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            turn: Mutex::default(),
            left: Condvar::new(),
            // Python is what calls.
            pulse: AtomicU64::new(1),
            left_at: Mutex::new(Instant::now()),
            reported: AtomicU64::new(0),
            asked: AtomicU64::new(0),
            after: OnceLock::new(),
            asleep: AtomicBool::new(false),
            kept: Arc::default(),
            monitor: OnceLock::new(),
        }
    }
}

impl Watch {
    /// The loop's thread is back from Python, and still has the GIL: a turn is over before anybody
    /// else can look at it.
    pub(super) fn arrive(&self) {
        let pulse = self.pulse.fetch_add(1, Relaxed);
        let Some(after) = self.after.get() else { return };
        let kept = lock(&self.left_at).elapsed();
        let could_not_look =
            self.asked.load(Relaxed) == pulse && self.reported.load(Relaxed) != pulse;
        if kept >= *after && could_not_look {
            log::warn!(
                target: "gohttp.error",
                "the event loop has been kept for {:.1} s: nothing else ran on it. Where is not known, since Python's lock (GIL) was kept as well: by compiled code?",
                kept.as_secs_f64(),
            );
        }
    }

    /// It is about to drive: waits until nobody else does.
    pub(super) fn enter(&self, driver: &Driver) {
        let mut turn = lock(&self.turn);
        while turn.monitor {
            turn.wanted = true;
            driver.wake_queue().nudge();
            turn = self.left.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        turn.wanted = false;
    }

    /// It goes back to Python.
    pub(super) fn leave(&self) {
        if self.after.get().is_some() {
            *lock(&self.left_at) = Instant::now();
        }
        self.pulse.fetch_add(1, Relaxed);
        if self.asleep.load(Relaxed)
            && self.asleep.swap(false, Relaxed)
            && let Some(monitor) = self.monitor.get()
        {
            monitor.unpark();
        }
    }

    /// Whether the loop is being kept, as the monitor sees it.
    pub(super) fn kept(&self) -> Arc<AtomicBool> {
        self.kept.clone()
    }

    /// There is nothing to watch any more.
    pub(super) fn stop(&self) {
        lock(&self.turn).stop = true;
        if let Some(monitor) = self.monitor.get() {
            monitor.unpark();
        }
    }
}

/// Starts the monitor of `engine`, and with `slow` the thread that reports.
///
/// # Errors
/// If the system gives no thread.
pub(super) fn start<E: Driven>(
    engine: &Arc<E>,
    slow: Option<(Duration, c_ulong)>,
) -> std::io::Result<()> {
    let reports = match slow {
        None => None,
        Some((after, thread)) => {
            // Set once: an engine is started once.
            let _ = engine.watch().after.set(after);
            *lock(&engine.watch().left_at) = Instant::now();
            let (sender, receiver) = channel();
            let weak = Arc::downgrade(engine);
            std::thread::Builder::new()
                .name("gohttp-slow".into())
                .spawn(move || report(&weak, &receiver, after, thread))?;
            Some(sender)
        }
    };
    let monitored = engine.clone();
    let handle = std::thread::Builder::new()
        .name("gohttp-monitor".into())
        .spawn(move || monitor(&*monitored, reports.as_ref()))?;
    // Set once: an engine is started once.
    let _ = engine.watch().monitor.set(handle.thread().clone());
    Ok(())
}

fn monitor(engine: &impl Driven, reports: Option<&Sender<(u64, Instant)>>) {
    let watch = engine.watch();
    let (mut last, mut same) = (0, 0);
    loop {
        if same > QUIET_TICKS && last % 2 == 0 {
            watch.asleep.store(true, Relaxed);
            // The loop may just have gone to Python, and not have seen that somebody sleeps.
            if watch.pulse.load(Relaxed) == last {
                std::thread::park();
            }
            watch.asleep.store(false, Relaxed);
            same = 0;
        } else {
            std::thread::park_timeout(TICK);
        }
        if lock(&watch.turn).stop {
            return;
        }
        let pulse = watch.pulse.load(Relaxed);
        same = if pulse == last { same + 1 } else { 0 };
        last = pulse;
        if pulse % 2 == 1 && same >= PATIENCE {
            if same == PATIENCE
                && let Some(reports) = reports
            {
                // Without the reporter there is nobody to tell.
                let _ = reports.send((pulse, Instant::now() - TICK * PATIENCE));
            }
            drive_meanwhile(engine, pulse);
        }
    }
}

/// Drives the engine until the loop's thread wants to.
fn drive_meanwhile(engine: &impl Driven, pulse: u64) {
    let watch = engine.watch();
    {
        let mut turn = lock(&watch.turn);
        if turn.stop || watch.pulse.load(Relaxed) != pulse {
            return;
        }
        turn.monitor = true;
    }
    watch.kept.store(true, Relaxed);
    engine.driver().drive(|_| {
        let turn = lock(&watch.turn);
        if turn.wanted || turn.stop { Poll::Ready(()) } else { Poll::Pending }
    });
    watch.kept.store(false, Relaxed);
    lock(&watch.turn).monitor = false;
    watch.left.notify_one();
}

/// Tells the log what a loop does that has not come back for long.
fn report<E: Driven>(
    engine: &Weak<E>,
    slow: &Receiver<(u64, Instant)>,
    after: Duration,
    thread: c_ulong,
) {
    while let Ok((pulse, since)) = slow.recv() {
        std::thread::sleep(after.saturating_sub(since.elapsed()));
        let goes_on = || engine.upgrade().is_some_and(|e| e.watch().pulse.load(Relaxed) == pulse);
        if !goes_on() {
            continue;
        }
        if let Some(engine) = engine.upgrade() {
            engine.watch().asked.store(pulse, Relaxed);
        }
        tell(since, thread, || {
            let goes_on = goes_on();
            if let Some(engine) = engine.upgrade().filter(|_| goes_on) {
                engine.watch().reported.store(pulse, Relaxed);
            }
            goes_on
        });
    }
}

/// Tells the log what the loop of `thread` does, unless `goes_on` says that it is over.
fn tell(since: Instant, thread: c_ulong, goes_on: impl Fn() -> bool) {
    Python::attach(|py| {
        if !goes_on() {
            return;
        }
        let stack = py
            .import("gohttp._stacks")
            .and_then(|stacks| stacks.call_method1("of_thread", (thread,)))
            .and_then(|stack| stack.extract::<String>());
        log::warn!(
            target: "gohttp.error",
            "the event loop has been kept for {:.1} s: nothing else runs on it. It is here:\n{}",
            since.elapsed().as_secs_f64(),
            stack.unwrap_or_else(|error| error.to_string())
        );
    });
}

/// Watches a loop that runs on another thread than the engine: it should soon take what is put
/// in its inbox, which is something every tick at least.
///
/// # Errors
/// If the system gives no thread.
pub(super) fn start_beside(
    inbox: &Arc<Inbox>,
    after: Duration,
    thread: c_ulong,
) -> std::io::Result<()> {
    let inbox = Arc::downgrade(inbox);
    let look_every = (after / 4).clamp(TICK, Duration::from_millis(250));
    std::thread::Builder::new().name("gohttp-slow".into()).spawn(move || {
        let mut told = None;
        loop {
            std::thread::sleep(look_every);
            let Some(inbox) = inbox.upgrade() else { return };
            let waits = inbox.waits_since();
            if let Some(since) = waits.filter(|since| told != waits && since.elapsed() >= after) {
                told = waits;
                tell(since, thread, || inbox.waits_since() == waits);
            }
        }
    })?;
    Ok(())
}
