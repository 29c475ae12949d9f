//! Handlers that take longer than `request_timeout`.
//!
//! The client has its 504 from the connection, whatever the handler does. Here the handler itself
//! is dealt with: its stack is logged, an exception is raised in it, and if it does not end then,
//! its thread is given up.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};

use pyo3::prelude::*;

use super::{Baton, WORKER};
use crate::bridge::interrupt::{Ident, Interruption, forgive, interrupt, was_raised_in};
use crate::bridge::{app, log_sink};
use crate::http::RequestHead;
use crate::wake::lock;

/// Ticks (250 ms) that an interrupted handler has to clean up before its thread is given up.
const GRACE: u32 = 20;
/// Ticks without the GIL after which a thread is taken to keep it inside C code.
const GIL_PATIENCE: u32 = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    InTime,
    /// The log thread has been asked to interrupt it.
    Overdue(u32),
    Interrupted(u32),
    /// It did not end; its thread does not count any more.
    GivenUp,
}

/// A handler with a deadline.
struct Running {
    worker: usize,
    thread: Ident,
    deadline: u32,
    what: String,
    stage: Stage,
}

enum Order {
    Interrupt(usize),
    GiveUp(usize),
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Deadlines {
    running: Mutex<Vec<Running>>,
    orders: OnceLock<Sender<Order>>,
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
            carry_out(&receiver, |py, order| {
                if let Some(baton) = weak.upgrade() {
                    baton.carry_out(py, &order);
                }
            });
        })?;
        // Set once: a baton is run once.
        let _ = baton.deadlines.orders.set(sender);
        Ok(())
    }

    /// The calling worker begins a handler.
    pub(super) fn enter(&self, py: Python<'_>, deadline: u32, head: &RequestHead) {
        let Some(worker) = WORKER.get() else { return };
        // Without its number a thread cannot be interrupted; the client gets its 504 all the same.
        let Ok(thread) = Ident::current(py) else { return };
        let what = app::describe(head);
        lock(&self.running).push(Running { worker, thread, deadline, what, stage: Stage::InTime });
    }

    /// The calling worker has left its handler. Returns whether it had been given up.
    pub(super) fn leave(&self, py: Python<'_>) -> bool {
        let Some(worker) = WORKER.get() else { return false };
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

    /// Looks at the clock.
    fn tick(&self, now: u32) -> Option<String> {
        let mut stuck = None;
        let orders = self.orders.get()?;
        for running in lock(&self.running).iter_mut() {
            // The other end lives as long as the process.
            match running.stage {
                Stage::InTime if now >= running.deadline => {
                    running.stage = Stage::Overdue(now);
                    let _ = orders.send(Order::Interrupt(running.worker));
                }
                Stage::Overdue(at) if now >= at + GIL_PATIENCE => {
                    stuck = Some(running.what.clone());
                }
                Stage::Interrupted(at) if now >= at + GRACE => {
                    running.stage = Stage::GivenUp;
                    let _ = orders.send(Order::GiveUp(running.worker));
                }
                _ => {}
            }
        }
        stuck.filter(|_| !self.stuck_told.swap(true, Relaxed))
    }
}

fn carry_out(orders: &Receiver<Order>, act: impl Fn(Python<'_>, Order)) {
    while let Ok(order) = orders.recv() {
        Python::attach(|py| act(py, order));
    }
}

impl Baton {
    /// Every 250 ms: who is late?
    pub(super) fn check_deadlines(&self, now: u32) {
        let Some(what) = self.deadlines.tick(now) else { return };
        // The log needs the GIL, which is what cannot be had.
        eprintln!(
            "gohttp: {what} is over request_timeout, and its thread keeps the GIL inside C code: \
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
        self.deadlines.stuck_told.store(false, Relaxed);
        let (Order::Interrupt(worker) | Order::GiveUp(worker)) = order;
        let found = lock(&self.deadlines.running)
            .iter()
            .find(|r| r.worker == *worker && r.stage != Stage::InTime)
            .map(|r| (r.thread, r.what.clone()));
        let Some((thread, what)) = found else { return };
        let (spot, stack) = look_at(py, thread).unwrap_or_default();
        match order {
            Order::Interrupt(_) => {
                let timeout = self.limits.request_timeout.unwrap_or_default().as_secs_f64();
                log_sink::error(
                    py,
                    &format!(
                        "{what} has run for {timeout} s (request_timeout) on gohttp-{worker}: \
                         its client was answered, the handler is interrupted. It is here:\n{stack}",
                    ),
                );
                let now = self.ticks.load(Relaxed);
                was_raised_in(py, thread); // what was left by an earlier request
                let Ok(interruption) = Interruption::new(py) else { return };
                for running in lock(&self.deadlines.running).iter_mut() {
                    if running.worker == *worker && matches!(running.stage, Stage::Overdue(_)) {
                        // With the list locked: a handler that ends now takes it back.
                        interrupt(py, thread, &interruption);
                        running.stage = Stage::Interrupted(now);
                    }
                }
            }
            Order::GiveUp(_) => {
                let why = if was_raised_in(py, thread) {
                    format!("went on in spite of the exception, and is at {spot}")
                } else {
                    format!(
                        "is blocked in C code called from {spot}, which Python cannot interrupt"
                    )
                };
                self.give_up(py, *worker, &format!("{what} {why}"), &stack);
            }
        }
    }

    /// The thread is lost: another may be started in its place, and where a supervisor starts new
    /// processes, this one ends when its other requests have.
    fn give_up(self: &Arc<Self>, py: Python<'_>, worker: usize, what: &str, stack: &str) {
        let retire = self.limits.supervised;
        let then = if retire {
            "this worker ends after its other requests"
        } else {
            "its thread is given up"
        };
        log_sink::error(py, &format!("{what}; {then}. It is here:\n{stack}"));
        let mut schedule = self.schedule();
        schedule.lost += 1;
        schedule.main_lost |= worker == 0;
        drop(schedule);
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
