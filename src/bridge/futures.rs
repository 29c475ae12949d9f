//! Waking futures of event loops that know nothing of the engine.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use pyo3::prelude::*;

use super::py_thread::PyThread;
use crate::wake::lock;

static WAKING: PyThread = PyThread::new("gohttp-wake");

/// A future, and the loop that it belongs to.
struct Due {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

/// What wakes a future.
struct FutureWaker(Mutex<Option<Due>>);

impl Wake for FutureWaker {
    fn wake(self: Arc<Self>) {
        let due = lock(&self.0).take();
        if let Some(due) = due {
            WAKING.run(move |py| {
                // A loop that is closed has nobody to wake.
                let _ = wake(py, &due);
            });
        }
    }
}

/// A waker that sets the result of `future`, on its loop, from any thread.
pub(crate) fn waker(event_loop: Py<PyAny>, future: Py<PyAny>) -> Waker {
    Waker::from(Arc::new(FutureWaker(Mutex::new(Some(Due { event_loop, future })))))
}

fn wake(py: Python<'_>, due: &Due) -> PyResult<()> {
    let set = py.import("gohttp._native_api")?.getattr("set_done")?;
    due.event_loop.bind(py).call_method1("call_soon_threadsafe", (set, &due.future))?;
    Ok(())
}
