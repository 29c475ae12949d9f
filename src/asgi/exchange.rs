//! `receive` and `send` of one request, and what follows when its task ends.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use pyo3::exceptions::{PyConnectionResetError, PyRuntimeError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::awaitable::{Awaitable, Until};
use super::engine::LoopContext;
use super::message::{self, Sent};
use crate::bridge::app;
use crate::http::{BodyEvent, Request, ResponseWriter, WriteError};
use crate::wake::lock;

/// One request with its response.
pub(super) struct Exchange {
    request: Request,
    writer: Mutex<ResponseWriter>,
    context: Arc<LoopContext>,
    /// The end of the body has been delivered.
    body_ended: AtomicBool,
    /// `http.disconnect` has been delivered, or `send` has failed for it.
    told_gone: AtomicBool,
    /// Somebody waits, or waited, in `receive()`.
    listening: AtomicBool,
}

/// The error of `send()` when the client has gone.
pub(super) fn gone(py: Python<'_>) -> PyErr {
    app::of_client(py, PyConnectionResetError::new_err(WriteError::Gone.to_string()))
}

impl Exchange {
    pub(super) fn new(
        request: Request,
        writer: ResponseWriter,
        context: Arc<LoopContext>,
    ) -> Arc<Self> {
        Arc::new(Self {
            request,
            writer: Mutex::new(writer),
            context,
            body_ended: AtomicBool::new(false),
            told_gone: AtomicBool::new(false),
            listening: AtomicBool::new(false),
        })
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    pub(super) fn context(&self) -> &LoopContext {
        &self.context
    }

    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        lock(&self.writer).poll_room(cx)
    }

    /// The next message for the application.
    pub(super) fn poll_message(
        &self,
        py: Python<'_>,
        cx: &mut Context<'_>,
    ) -> Poll<PyResult<Py<PyAny>>> {
        if !self.body_ended.load(Relaxed) && !lock(&self.writer).ended() {
            match self.request.poll_body(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(BodyEvent::Data(data)) => {
                    let more = !self.request.body_drained();
                    self.body_ended.store(!more, Relaxed);
                    return Poll::Ready(
                        message::request(py, &data, more).map(|m| m.into_any().unbind()),
                    );
                }
                Poll::Ready(BodyEvent::End) => {
                    self.body_ended.store(true, Relaxed);
                    return Poll::Ready(
                        message::request(py, b"", false).map(|m| m.into_any().unbind()),
                    );
                }
                Poll::Ready(BodyEvent::Failed(_)) => return Poll::Ready(self.disconnect(py)),
            }
        }
        if lock(&self.writer).ended() {
            return Poll::Ready(self.disconnect(py));
        }
        match self.request.poll_gone(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) => Poll::Ready(self.disconnect(py)),
        }
    }

    /// Notes that somebody waits for the next message.
    pub(super) fn waits_for_message(&self, waits: bool) {
        if waits {
            self.listening.store(true, Relaxed);
        }
    }

    fn disconnect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.told_gone.store(true, Relaxed);
        message::disconnect(py).map(|m| m.into_any().unbind())
    }

    /// Takes a message of the application. Returns what to wait for before the next.
    fn take(&self, py: Python<'_>, sent: Sent) -> PyResult<Until> {
        let (result, ended, room) = {
            let mut writer = lock(&self.writer);
            let (result, ended) = match sent {
                Sent::Start(_) if writer.started() => (Err(WriteError::Started), false),
                Sent::Start(head) => (writer.start(head), false),
                Sent::Body { data, more: true } => (writer.write(data), false),
                Sent::Body { data, more: false } => (writer.finish(data), true),
            };
            let mut cx = Context::from_waker(std::task::Waker::noop());
            (result, ended, ended || writer.poll_room(&mut cx).is_ready())
        };
        if ended && !matches!(result, Err(WriteError::NotStarted)) {
            // Whoever still waits in receive() is told that there is nothing more to come.
            self.request.conclude();
        }
        // Below, exceptions are made, which may let go of the GIL: the writer is not locked.
        match result {
            Ok(()) if room => Ok(Until::Now),
            Ok(()) => Ok(Until::Room),
            Err(WriteError::Gone) if self.listening.load(Relaxed) => {
                self.told_gone.store(true, Relaxed);
                Ok(Until::Gone)
            }
            Err(WriteError::Gone) => {
                self.told_gone.store(true, Relaxed);
                Err(gone(py))
            }
            Err(WriteError::Short(_)) => {
                app::note_end(|| app::describe(&self.request.head), result);
                Ok(Until::Now)
            }
            Err(WriteError::Started) => {
                Err(PyRuntimeError::new_err("'http.response.start' was sent twice"))
            }
            Err(WriteError::NotStarted) => Err(PyRuntimeError::new_err(
                "'http.response.body' was sent before 'http.response.start'",
            )),
            Err(WriteError::Ended) => {
                Err(PyRuntimeError::new_err("a message was sent after the end of the response"))
            }
        }
    }

    /// The task has ended. `outcome`: its exception, or none.
    pub(super) fn conclude(&self, py: Python<'_>, outcome: Option<PyErr>, cancelled: bool) {
        let what = || app::describe(&self.request.head);
        let with_writer = |f: &mut dyn FnMut(&mut ResponseWriter)| f(&mut lock(&self.writer));
        match outcome {
            // The client went away, and the application let that end it.
            Some(error) if self.told_gone.load(Relaxed) && app::is_of_client(py, &error) => {
                lock(&self.writer).abort();
            }
            Some(error) => app::fail(py, &what(), &error, with_writer),
            None => self.conclude_quietly(cancelled),
        }
        self.request.conclude();
    }

    /// The task has ended without an exception: has it answered?
    fn conclude_quietly(&self, cancelled: bool) {
        let mut writer = lock(&self.writer);
        if writer.ended() {
            return;
        }
        if writer.is_gone() {
            return writer.abort();
        }
        if cancelled {
            return writer.fail(503);
        }
        let (problem, outcome) = if writer.started() {
            ("without completing its response", "the response was cut")
        } else {
            ("without sending a response", "answered with 500")
        };
        let what = app::describe(&self.request.head);
        log::error!(target: "gohttp.error", "{what}: the application returned {problem}; {outcome}");
        if writer.started() { writer.abort() } else { writer.fail(500) }
    }
}

/// The `receive` of one request.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Receive(pub(super) Arc<Exchange>);

#[pymethods]
impl Receive {
    fn __call__(&self) -> Awaitable {
        Awaitable::new(self.0.clone(), Until::Message)
    }
}

/// The `send` of one request.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Send(pub(super) Arc<Exchange>);

#[pymethods]
impl Send {
    fn __call__(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<Awaitable>> {
        match self.0.take(py, message::parse(message)?)? {
            Until::Now => Ok(self.0.context.done.clone_ref(py)),
            until => Py::new(py, Awaitable::new(self.0.clone(), until)),
        }
    }
}

/// Called by asyncio when a request's task has ended.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Concluder(pub(super) Arc<Exchange>);

#[pymethods]
impl Concluder {
    fn __call__(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        self.0.context.forget(py, task)?;
        conclude_task(py, &self.0, task)
    }
}

/// Looks at an ended task and ends its response accordingly.
pub(super) fn conclude_task(
    py: Python<'_>,
    exchange: &Exchange,
    task: &Bound<'_, PyAny>,
) -> PyResult<()> {
    use pyo3::intern;
    if task.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
        exchange.conclude(py, None, true);
        return Ok(());
    }
    let exception = task.call_method0(intern!(py, "exception"))?;
    let outcome = (!exception.is_none()).then(|| PyErr::from_value(exception));
    exchange.conclude(py, outcome, false);
    Ok(())
}

/// What is sent when a request could not even be begun.
pub(super) fn fail(py: Python<'_>, exchange: &Exchange, error: &PyErr) {
    let what = app::describe(&exchange.request.head);
    app::fail(py, &what, error, |f| f(&mut lock(&exchange.writer)));
}
