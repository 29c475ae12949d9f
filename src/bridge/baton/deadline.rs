//! Handlers that take longer than `request_timeout`.
//!
//! The client has its 504 from the connection, whatever the handler does. Here the handler itself
//! is dealt with: its stack is logged, an exception is raised in it, and if it does not end then,
//! its thread is given up.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use pyo3::prelude::*;

use super::Baton;
use super::limits::ticks;
use crate::bridge::interrupt::{
    Ident, Interruption, forgive, interrupt, timeout_error, was_raised_in,
};
use crate::bridge::{app, log_sink};
use crate::http::RequestHead;
use crate::team::Team;
use crate::wake::lock;

/// Ticks (250 ms) that an interrupted handler has to clean up before its thread is given up.
const GRACE: u32 = 20;
/// Ticks without the GIL after which a thread is taken to keep it inside C code.
const GIL_PATIENCE: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    InTime,
    /// The deadline thread has been asked to interrupt it.
    Overdue,
    Interrupted(u32),
    /// It did not end; its thread does not count any more.
    GivenUp,
}

/// A handler with a deadline.
struct Running {
    /// Tells it from the worker's next one.
    number: u64,
    worker: usize,
    thread: Ident,
    deadline: u32,
    what: String,
    /// How long it may run, and who says so.
    allowed: (Duration, &'static str),
    stage: Stage,
    /// The handler knows, by what it did with its client: nothing is raised in it any more.
    told: bool,
}

enum Order {
    Interrupt(u64),
    GiveUp(u64),
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Deadlines {
    running: Mutex<Vec<Running>>,
    orders: OnceLock<Sender<Order>>,
    numbers: AtomicU64,
    /// The tick at which the deadline thread began to wait for the GIL; 0 while it does not.
    waits_since: AtomicU32,
    stuck_told: AtomicBool,
}

impl Deadlines {
    /// Starts the thread that talks to Python about handlers that are late.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(super) fn start(baton: &Arc<Baton>) -> std::io::Result<()> {
        let (sender, receiver) = channel();
        let weak = Arc::downgrade(baton);
        std::thread::Builder::new().name("gohttp-deadline".into()).spawn(move || {
            while let Ok(order) = receiver.recv() {
                let Some(baton) = weak.upgrade() else { return };
                let waits = &baton.deadlines.waits_since;
                waits.store(baton.ticks.load(Relaxed).max(1), Relaxed);
                Python::attach(|py| {
                    waits.store(0, Relaxed);
                    baton.carry_out(py, &order);
                });
            }
        })?;
        // Set once: a baton is run once.
        let _ = baton.deadlines.orders.set(sender);
        Ok(())
    }

    /// Whether any handler of this process has had a deadline.
    pub(super) fn in_use(&self) -> bool {
        self.orders.get().is_some()
    }

    /// The handler of `worker` has another deadline. Too late once it has passed.
    fn renew(&self, worker: usize, deadline: u32, allowed: (Duration, &'static str)) -> bool {
        let mut running = lock(&self.running);
        let Some(known) = running.iter_mut().find(|r| r.worker == worker) else { return false };
        if known.stage == Stage::InTime {
            known.deadline = deadline;
            known.allowed = allowed;
        }
        true
    }

    /// The calling thread, `worker`, begins a handler.
    pub(super) fn enter(
        &self,
        py: Python<'_>,
        worker: usize,
        deadline: u32,
        allowed: (Duration, &'static str),
        head: &RequestHead,
    ) {
        // Without its number a thread cannot be interrupted; the client gets its 504 all the same.
        let Ok(thread) = Ident::current(py) else { return };
        let what = app::describe(head);
        let number = self.numbers.fetch_add(1, Relaxed);
        let stage = Stage::InTime;
        lock(&self.running).push(Running {
            number,
            worker,
            thread,
            deadline,
            what,
            allowed,
            stage,
            told: false,
        });
    }

    /// The handler of `worker` is told in another way that it is over its time: nothing is raised in
    /// it any more, as that would disturb what it does about it. Returns whether it has a deadline.
    fn tell(&self, py: Python<'_>, worker: usize) -> bool {
        let mut running = lock(&self.running);
        let Some(late) = running.iter_mut().find(|r| r.worker == worker) else { return false };
        if late.stage != Stage::InTime {
            forgive(py, late.thread);
        }
        late.told = true;
        true
    }

    /// Whether the handler of `worker` is over its time.
    fn is_late(&self, worker: usize) -> bool {
        let running = lock(&self.running);
        running.iter().any(|r| r.worker == worker && r.stage != Stage::InTime)
    }

    /// The handler of `worker` has no deadline any more: it has left it, or speaks with its client
    /// itself. Returns whether its thread had been given up.
    pub(super) fn leave(&self, py: Python<'_>, worker: usize) -> bool {
        let mut running = lock(&self.running);
        let Some(at) = running.iter().position(|r| r.worker == worker) else { return false };
        let left = running.swap_remove(at);
        if left.stage != Stage::InTime {
            // With the list locked, so that none is sent after this.
            forgive(py, left.thread);
        }
        drop(running);
        if left.stage != Stage::GivenUp {
            return false;
        }
        log::warn!(target: "gohttp.error", "{} has ended after all", left.what);
        true
    }
}

impl Baton {
    /// The exception for a handler whose client has been cut off since it is over its time, in the
    /// place of the one that would come otherwise. `None` in threads of the application's own.
    pub(crate) fn time_out(&self, py: Python<'_>) -> Option<PyErr> {
        let me = self.me()?;
        self.deadlines.tell(py, me).then(|| timeout_error(py))
    }

    /// The calling worker's handler is about to clean up. If it is late (`expired`: its client has
    /// been told) it has the grace for that, and no exception comes in between.
    pub(crate) fn leave_in_peace(&self, py: Python<'_>, expired: impl FnOnce() -> bool) {
        if self.deadlines.in_use()
            && let Some(me) = self.me()
            && (expired() || self.deadlines.is_late(me))
        {
            self.deadlines.tell(py, me);
        }
    }

    /// The calling worker's handler may take so much longer from now on; `None`: as long as it
    /// likes. Returns whether the calling thread is a worker.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn set_deadline(
        self: &Arc<Self>,
        py: Python<'_>,
        left: Option<Duration>,
        head: &RequestHead,
    ) -> std::io::Result<bool> {
        let Some(me) = self.me() else { return Ok(false) };
        let Some(left) = left else {
            self.leave_deadline(py);
            return Ok(true);
        };
        if !self.deadlines.in_use() {
            Deadlines::start(self)?;
        }
        let deadline = self.ticks.load(Relaxed) + ticks(left);
        let allowed = (left, "set_deadline");
        if !self.deadlines.renew(me, deadline, allowed) {
            self.deadlines.enter(py, me, deadline, allowed, head);
        }
        Ok(true)
    }

    /// Every 250 ms: who is late?
    pub(super) fn check_deadlines(&self, now: u32) {
        let Some(orders) = self.deadlines.orders.get() else { return };
        let mut overdue = None;
        for running in lock(&self.deadlines.running).iter_mut() {
            // The other end lives as long as the process.
            match running.stage {
                Stage::InTime if now >= running.deadline => {
                    running.stage = Stage::Overdue;
                    let _ = orders.send(Order::Interrupt(running.number));
                }
                Stage::Overdue => overdue = Some((running.what.clone(), running.allowed.1)),
                Stage::Interrupted(at) if now >= at + GRACE => {
                    running.stage = Stage::GivenUp;
                    // With the list locked, so that it is there before the handler can leave.
                    self.schedule().give_up(running.worker);
                    let _ = orders.send(Order::GiveUp(running.number));
                }
                _ => {}
            }
        }
        let since = self.deadlines.waits_since.load(Relaxed);
        if since == 0 {
            self.deadlines.stuck_told.store(false, Relaxed);
        } else if now >= since + GIL_PATIENCE
            && let Some((what, limit)) = overdue
            && !self.deadlines.stuck_told.swap(true, Relaxed)
        {
            self.tell_stuck(&what, limit);
        }
    }

    /// C code keeps the GIL, perhaps for ever.
    fn tell_stuck(&self, what: &str, limit: &str) {
        // The log needs the GIL, which is what cannot be had.
        eprintln!(
            "gohttp: {what} is over {limit}, and a thread keeps the GIL inside C code: \
             no Python code can run in this process. The stacks of all threads:"
        );
        if let Some(signal) = self.limits.stack_signal {
            // faulthandler answers it without the GIL; if not, there are no stacks.
            let _ = signal_hook::low_level::raise(signal);
        }
        if self.limits.supervised {
            eprintln!("gohttp: this worker process is ended; the supervisor starts another.");
            signal_hook::low_level::exit(1);
        }
    }

    fn carry_out(self: &Arc<Self>, py: Python<'_>, order: &Order) {
        let (Order::Interrupt(number) | Order::GiveUp(number)) = order;
        let found = lock(&self.deadlines.running)
            .iter()
            .find(|r| r.number == *number)
            .map(|r| (r.thread, r.worker, r.what.clone(), r.told));
        let Some((thread, worker, what, told)) = found else { return };
        let (spot, stack) = look_at(py, thread).unwrap_or_default();
        match order {
            Order::Interrupt(_) => {
                was_raised_in(py, thread); // what was left by an earlier request
                let Ok(interruption) = Interruption::new(py) else { return };
                let now = self.ticks.load(Relaxed);
                let mut running = lock(&self.deadlines.running);
                let Some(late) = running.iter_mut().find(|r| r.number == *number) else { return };
                // With the list locked: a handler that ends now takes it back.
                if !late.told {
                    interrupt(py, thread, &interruption);
                }
                late.stage = Stage::Interrupted(now);
                let (timeout, source) = (late.allowed.0.as_secs_f64(), late.allowed.1);
                drop(running);
                log::error!(
                    target: "gohttp.error",
                    "{what} has run for {timeout} s ({source}) on gohttp-{worker}: its \
                     client was answered, the handler is interrupted. It is here:\n{stack}",
                );
            }
            Order::GiveUp(_) => {
                let why = if was_raised_in(py, thread) {
                    format!("went on in spite of the exception, and is at {spot}")
                } else if told {
                    format!("has not cleaned up since, and is at {spot}")
                } else {
                    format!(
                        "is blocked in C code called from {spot}, which Python cannot interrupt"
                    )
                };
                self.give_up(py, &format!("{what} {why}"), &stack);
            }
        }
    }

    /// The thread is lost. Where a supervisor starts new processes, this one ends when its other
    /// requests have; elsewhere another thread stands in, unless one is all there may be.
    fn give_up(&self, py: Python<'_>, what: &str, stack: &str) {
        let retire = self.limits.supervised;
        let then = match (retire, self.max_threads) {
            (true, _) => "this worker ends after its other requests",
            (false, 1) => "with --threads 1 nothing else can run until it ends",
            (false, _) => "its thread is given up, another stands in",
        };
        log::error!(target: "gohttp.error", "{what}; {then}. It is here:\n{stack}");
        // The process may end with the next breath.
        log_sink::flush(py);
        if retire && let Some(server) = self.server.get() {
            server.drain();
        }
    }
}

/// Where a thread is: the line as `file:line`, the whole stack as text.
fn look_at(py: Python<'_>, thread: Ident) -> PyResult<(String, String)> {
    let frames = py.import("sys")?.call_method0("_current_frames")?;
    let frame = frames.get_item(thread.number())?;
    let file: String = frame.getattr("f_code")?.getattr("co_filename")?.extract()?;
    let line: Option<u32> = frame.getattr("f_lineno")?.extract()?;
    let lines: Vec<String> =
        py.import("traceback")?.call_method1("format_stack", (frame,))?.extract()?;
    // Up to the call into the engine it is all ours, and the same for every request.
    let ours =
        lines.iter().rposition(|line| line.contains("gohttp/_faces.py")).map_or(0, |at| at + 1);
    let spot = format!("{file}:{}", line.unwrap_or(0));
    Ok((spot, lines[ours..].concat().trim_end().to_owned()))
}
