//! Waking futures of event loops that know nothing of the engine.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Wake, Waker};

use pyo3::prelude::*;

use crate::wake::lock;

/// A future, and the loop that it belongs to.
struct Due {
    event_loop: Py<PyAny>,
    future: Py<PyAny>,
}

/// What wakes a future. Engines never take the GIL: a thread does it for them.
struct FutureWaker(Mutex<Option<Due>>);

impl Wake for FutureWaker {
    fn wake(self: Arc<Self>) {
        if let (Some(due), Some(waking)) = (lock(&self.0).take(), waking()) {
            // It lives as long as the process.
            let _ = waking.send(due);
        }
    }
}

/// A waker that sets the result of `future`, on its loop, from any thread.
pub(crate) fn waker(event_loop: Py<PyAny>, future: Py<PyAny>) -> Waker {
    Waker::from(Arc::new(FutureWaker(Mutex::new(Some(Due { event_loop, future })))))
}

/// The way to the thread that wakes futures, started when it is first needed.
fn waking() -> Option<&'static Sender<Due>> {
    static WAKING: OnceLock<Option<Sender<Due>>> = OnceLock::new();
    WAKING
        .get_or_init(|| {
            let (sender, receiver) = channel::<Due>();
            let started = std::thread::Builder::new().name("gohttp-wake".into()).spawn(move || {
                while let Ok(due) = receiver.recv() {
                    Python::attach(|py| {
                        // A loop that is closed has nobody to wake.
                        let _ = wake(py, &due);
                        drop(due);
                    });
                }
            });
            match started {
                Ok(_) => Some(sender),
                Err(error) => {
                    log::error!(target: "gohttp.server", "no thread to wake handlers can be started: {error}");
                    None
                }
            }
        })
        .as_ref()
}

fn wake(py: Python<'_>, due: &Due) -> PyResult<()> {
    let set = py.import("gohttp._native_api")?.getattr("set_done")?;
    due.event_loop.bind(py).call_method1("call_soon_threadsafe", (set, &due.future))?;
    Ok(())
}
