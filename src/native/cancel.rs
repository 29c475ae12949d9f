//! What is called when a client leaves before its response is whole.

use std::sync::{Arc, Mutex};
use std::task::{Context, Wake, Waker};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::request::NativeRequest;
use crate::bridge::py_thread::PyThread;
use crate::bridge::{app, log_sink};
use crate::wake::lock;

/// Callbacks may take their time; whoever waits for something else does not wait for them.
static CALLING: PyThread = PyThread::new("gohttp-cancel");

/// A callback, until it has been called or is not needed any more.
struct Armed(Mutex<Option<(Py<NativeRequest>, Py<PyAny>)>>);

impl Wake for Armed {
    fn wake(self: Arc<Self>) {
        CALLING.run(move |py| self.call(py));
    }
}

impl Armed {
    fn call(&self, py: Python<'_>) {
        // The lock is let go: the callback may end the handler, which disarms.
        let Some((request, callback)) = lock(&self.0).take() else { return };
        // Told at the end of every exchange; this one may have come to a good end.
        if !request.get().left_early() {
            return;
        }
        if let Err(error) = callback.call0(py) {
            let what = app::describe(request.get().head());
            log_sink::app_error(py, &format!("Exception in on_cancel() of {what}"), &error);
        }
    }
}

/// The callbacks of a request.
#[derive(Default)]
pub(super) struct Callbacks(Mutex<State>);

enum State {
    Open(Vec<Arc<Armed>>),
    /// The handler has ended.
    Over,
}

impl Default for State {
    fn default() -> Self {
        Self::Open(Vec::new())
    }
}

impl Callbacks {
    /// Has `callback` called when the client of `request` leaves early.
    pub(super) fn add(&self, request: &Bound<'_, NativeRequest>, callback: Py<PyAny>) {
        let armed = Arc::new(Armed(Mutex::new(Some((request.clone().unbind(), callback)))));
        match &mut *lock(&self.0) {
            State::Open(all) => all.push(armed.clone()),
            State::Over => return,
        }
        let waker = Waker::from(armed.clone());
        if request.get().poll_left(&mut Context::from_waker(&waker)).is_ready() {
            armed.wake();
        }
    }

    /// Shows the collector what is kept to be called.
    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        // These locks are held by who has the GIL: if one is taken now, it is for the whole of the
        // collector's turn.
        let Ok(state) = self.0.try_lock() else { return Ok(()) };
        let State::Open(all) = &*state else { return Ok(()) };
        for armed in all {
            if let Ok(Some((request, callback))) = armed.0.try_lock().as_deref() {
                visit.call(request)?;
                visit.call(callback)?;
            }
        }
        Ok(())
    }

    /// Whether the handler has ended.
    pub(super) fn over(&self) -> bool {
        matches!(*lock(&self.0), State::Over)
    }

    /// The handler has ended: nothing more is called.
    pub(super) fn disarm(&self) {
        let before = std::mem::replace(&mut *lock(&self.0), State::Over);
        if let State::Open(all) = before {
            for armed in all {
                // Dropped after the lock: dropping may call Python.
                let _called_no_more = lock(&armed.0).take();
            }
        }
    }
}
