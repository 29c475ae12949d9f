//! What waits for the event loop: requests to start, futures to wake.

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::deadline::Deadlines;
use crate::http::{Dispatch, Request, ResponseWriter, Room};
use crate::wake::{WakeQueue, lock};

/// A loop that has not taken what waits for so long is being kept: others may be free.
const KEPT: Duration = Duration::from_millis(20);

/// How the event loop is told that something waits.
pub(super) enum Bell {
    /// It drives the engine itself and looks when nudged.
    Nudge(Arc<WakeQueue>),
    /// It runs on another thread and watches this eventfd.
    Event(File),
}

/// A request that has come, and what answers it.
pub(super) type Arrived = (Request, ResponseWriter);

#[derive(Default)]
struct State {
    requests: Vec<Arrived>,
    futures: Vec<Py<PyAny>>,
    tick: bool,
    /// Since when something waits.
    rung: Option<Instant>,
}

/// What [`Inbox::take`] gives: requests to start, futures to wake, and whether time has passed.
pub(super) struct Waiting {
    pub(super) requests: Vec<Arrived>,
    pub(super) futures: Vec<Py<PyAny>>,
    pub(super) tick: bool,
}

/// See the module's text.
pub(super) struct Inbox {
    state: Mutex<State>,
    bell: Bell,
}

impl Inbox {
    pub(super) fn new(bell: Bell) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), bell })
    }

    fn put(&self, put: impl FnOnce(&mut State)) {
        let ring = {
            let mut state = lock(&self.state);
            put(&mut state);
            let first = state.rung.is_none();
            if first {
                state.rung = Some(Instant::now());
            }
            first
        };
        if ring {
            match &self.bell {
                Bell::Nudge(wake) => wake.nudge(),
                Bell::Event(file) => {
                    // Full means rung already, which is all that is wanted.
                    let _ = (&mut &*file).write_all(&1u64.to_ne_bytes());
                }
            }
        }
    }

    /// Whether anything waits.
    pub(super) fn has_some(&self) -> bool {
        lock(&self.state).rung.is_some()
    }

    /// Since when something waits that the loop has not taken.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        lock(&self.state).rung
    }

    /// Takes all that waits.
    pub(super) fn take(&self) -> Waiting {
        let mut state = lock(&self.state);
        state.rung = None;
        Waiting {
            requests: std::mem::take(&mut state.requests),
            futures: std::mem::take(&mut state.futures),
            tick: std::mem::take(&mut state.tick),
        }
    }
}

/// The engine's end of the inbox.
pub(crate) struct InboxDispatch {
    inbox: Arc<Inbox>,
    deadlines: Option<Arc<Deadlines>>,
    /// The loop is to hear of every tick.
    always: bool,
    /// A monitor has seen that the loop is being kept.
    kept: Arc<AtomicBool>,
}

impl InboxDispatch {
    pub(super) fn new(
        inbox: Arc<Inbox>,
        deadlines: Option<Arc<Deadlines>>,
        always: bool,
        kept: Arc<AtomicBool>,
    ) -> Self {
        Self { inbox, deadlines, always, kept }
    }
}

impl Dispatch for InboxDispatch {
    fn room(&self) -> Room {
        let late = || self.inbox.waits_since().is_some_and(|since| since.elapsed() >= KEPT);
        if self.kept.load(Relaxed) || late() { Room::None } else { Room::Free }
    }

    fn speaks(&self, protocol: &[u8]) -> bool {
        protocol == b"websocket"
    }

    fn dispatch(&self, request: Request, writer: ResponseWriter) {
        self.inbox.put(|state| state.requests.push((request, writer)));
    }

    fn tick(&self) {
        if self.always || self.deadlines.as_ref().is_some_and(|deadlines| deadlines.any()) {
            self.inbox.put(|state| state.tick = true);
        }
    }
}

/// Wakes whoever awaits an `asyncio.Future`, from any thread, once.
struct FutureWaker {
    inbox: Arc<Inbox>,
    future: Mutex<Option<Py<PyAny>>>,
}

impl Wake for FutureWaker {
    fn wake(self: Arc<Self>) {
        if let Some(future) = lock(&self.future).take() {
            self.inbox.put(|state| state.futures.push(future));
        }
    }
}

/// A waker for `future`.
pub(super) fn future_waker(inbox: &Arc<Inbox>, future: Py<PyAny>) -> Waker {
    Waker::from(Arc::new(FutureWaker { inbox: inbox.clone(), future: Mutex::new(Some(future)) }))
}
