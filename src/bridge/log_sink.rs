//! From the engine's log to Python's `logging`, without the engine ever waiting for the GIL.
//!
//! Records go to a queue; one thread of its own takes the GIL and hands them to the loggers. A
//! full queue drops records and says how many.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use log::{Level, LevelFilter, Log, Metadata, Record};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Records that may wait.
const QUEUE: usize = 16 * 1024;

enum Message {
    Record { level: Level, target: String, text: String },
    Flush(SyncSender<()>),
}

struct Sink {
    queue: SyncSender<Message>,
    dropped: &'static AtomicUsize,
}

static DROPPED: AtomicUsize = AtomicUsize::new(0);
static QUEUE_END: OnceLock<SyncSender<Message>> = OnceLock::new();

impl Log for Sink {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("gohttp")
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let message = Message::Record {
            level: record.level(),
            target: record.target().replace("::", "."),
            text: record.args().to_string(),
        };
        if let Err(TrySendError::Full(_)) = self.queue.try_send(message) {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    fn flush(&self) {}
}

/// Has the engine's log go to Python's `logging`, records of `level` (a number of `logging`) and
/// above. Further calls set the level only.
#[pyfunction]
pub(crate) fn install_logging(level: u32) {
    log::set_max_level(match level {
        0..=10 => LevelFilter::Debug,
        11..=20 => LevelFilter::Info,
        21..=30 => LevelFilter::Warn,
        _ => LevelFilter::Error,
    });
    if QUEUE_END.get().is_some() {
        return;
    }
    let (sender, receiver) = sync_channel(QUEUE);
    let sink = Sink { queue: sender.clone(), dropped: &DROPPED };
    if QUEUE_END.set(sender).is_ok() && log::set_boxed_logger(Box::new(sink)).is_ok() {
        std::panic::set_hook(Box::new(|info| {
            log::error!(target: "gohttp.server", "internal error, please report it: {info}");
        }));
        // Without the thread, records are dropped when the queue is full: the server goes on.
        let _ =
            std::thread::Builder::new().name("gohttp-log".into()).spawn(move || deliver(&receiver));
    }
}

/// Waits, a moment at most, until what has been logged is with Python.
#[pyfunction]
#[pyo3(name = "flush_logging")]
pub(crate) fn flush(py: Python<'_>) {
    let Some(queue) = QUEUE_END.get() else { return };
    let (done, waiter) = sync_channel(1);
    if queue.try_send(Message::Flush(done)).is_ok() {
        // A logging handler that hangs must not keep the process.
        py.detach(move || waiter.recv_timeout(Duration::from_secs(2)).ok());
    }
}

fn deliver(receiver: &Receiver<Message>) {
    while let Ok(message) = receiver.recv() {
        Python::attach(|py| {
            let mut next = Some(message);
            while let Some(message) = next {
                match message {
                    Message::Record { level, target, text } => {
                        if let Err(error) = emit(py, level, &target, &text) {
                            error.write_unraisable(py, None);
                        }
                    }
                    // Whoever waited may have given up.
                    Message::Flush(done) => drop(done.try_send(())),
                }
                next = receiver.try_recv().ok();
            }
            let dropped = DROPPED.swap(0, Relaxed);
            if dropped > 0 {
                let text = format!(
                    "{dropped} log records were dropped: logging is slower than the server"
                );
                // Nothing is left to tell of an error here.
                let _ = emit(py, Level::Warn, "gohttp.server", &text);
            }
        });
    }
}

fn emit(py: Python<'_>, level: Level, target: &str, text: &str) -> PyResult<()> {
    let number = match level {
        Level::Error => 40,
        Level::Warn => 30,
        Level::Info => 20,
        Level::Debug | Level::Trace => 10,
    };
    logger(py, target)?.call_method1("log", (number, "%s", text))?;
    Ok(())
}

fn logger<'py>(py: Python<'py>, name: &str) -> PyResult<Bound<'py, PyAny>> {
    py.import("logging")?.call_method1("getLogger", (name,))
}

/// Logs an error of the application, with its traceback.
pub(crate) fn app_error(py: Python<'_>, message: &str, error: &PyErr) {
    let emitted = (|| {
        let kwargs = PyDict::new(py);
        // `value` alone has no traceback before Python 3.12.
        kwargs.set_item("exc_info", error.clone_ref(py).into_value(py))?;
        logger(py, "gohttp.error")?.call_method("error", ("%s", message), Some(&kwargs))
    })();
    if let Err(error) = emitted {
        error.write_unraisable(py, None);
    }
}
