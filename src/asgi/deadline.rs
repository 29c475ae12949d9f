//! Requests that take longer than `request_timeout`: the client has its 504 from the connection,
//! here the task is cancelled, and the log says what it waited for.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::http::TICK;
use crate::wake::lock;

/// What is to be done before the deadline.
pub(super) trait Answering: Send + Sync {
    /// Whether all of the response has been given, or the WebSocket has been opened.
    fn answered(&self) -> bool;
}

struct Running {
    since: Instant,
    task: Py<PyAny>,
    answering: Arc<dyn Answering>,
    what: String,
}

/// The tasks that have a deadline.
pub(super) struct Deadlines {
    timeout: Duration,
    running: Mutex<HashMap<u64, Running>>,
    next: AtomicU64,
}

impl Deadlines {
    pub(super) fn new(timeout: Duration) -> Self {
        Self { timeout, running: Mutex::default(), next: AtomicU64::new(1) }
    }

    /// A task that has not ended at once. Returns its number.
    pub(super) fn enter(
        &self,
        task: Py<PyAny>,
        answering: Arc<dyn Answering>,
        what: String,
    ) -> u64 {
        let number = self.next.fetch_add(1, Relaxed);
        let running = Running { since: Instant::now(), task, answering, what };
        lock(&self.running).insert(number, running);
        number
    }

    /// It has ended.
    pub(super) fn leave(&self, number: u64) {
        // Dropped after the lock.
        let _ended = lock(&self.running).remove(&number);
    }

    /// Whether there is a task to look after.
    pub(super) fn any(&self) -> bool {
        !lock(&self.running).is_empty()
    }

    /// Cancels who is late.
    pub(super) fn check(&self, py: Python<'_>) {
        let late: Vec<Running> = {
            let mut running = lock(&self.running);
            // The connection answers first, and may be two ticks late.
            let late = |r: &Running| r.since.elapsed() >= self.timeout + 2 * TICK;
            let numbers: Vec<u64> =
                running.iter().filter(|(_, r)| late(r)).map(|(&number, _)| number).collect();
            numbers.iter().filter_map(|number| running.remove(number)).collect()
        };
        for Running { task, answering, what, .. } in late {
            if answering.answered() {
                // What goes on behind a response, or on a WebSocket, has no deadline.
                continue;
            }
            let stack = py
                .import("gohttp._stacks")
                .and_then(|stacks| stacks.call_method1("of_task", (&task,)))
                .and_then(|stack| stack.extract::<String>())
                .unwrap_or_else(|error| error.to_string());
            log::warn!(
                target: "gohttp.error",
                "{what} took longer than request_timeout ({} s); its task is cancelled. It waited here:\n{stack}",
                self.timeout.as_secs_f64()
            );
            if let Err(error) = task.call_method0(py, "cancel") {
                log::error!(target: "gohttp.error", "{what}: its task could not be cancelled: {error}");
            }
        }
    }
}
