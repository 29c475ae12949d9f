//! What `receive()` and `send()` return: awaitables that cost nothing when they need not wait.
//!
//! They have the methods of a coroutine, so that `create_task(receive())` works. Waiting is done
//! as `asyncio.Future` itself does it: the future is marked and yielded to the task, which is
//! woken when the future is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use pyo3::exceptions::{PyConnectionResetError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;

use super::context::LoopContext;
use super::inbox::future_waker;
use crate::bridge::app;
use crate::http::WriteError;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// The next message of the client.
    Message,
    /// Room for more of the response.
    Room,
    /// A few turns of the loop, then an error: the client has gone, and whoever listens for that
    /// in `receive()` is to hear of it, and may cancel this, before `send()` raises.
    Gone,
    /// Nothing: it is done.
    Now,
}

/// Turns that a listener gets: its task wakes, ends, and a task group cancels the others.
const TURNS: u32 = 8;

/// What an awaitable is of: an HTTP exchange, or a WebSocket.
pub(super) trait Conversation: Send + Sync {
    fn context(&self) -> &Arc<LoopContext>;

    /// The next message for the application.
    fn poll_message(&self, py: Python<'_>, cx: &mut Context<'_>) -> Poll<PyResult<Py<PyAny>>>;

    /// Ready when there is room for more from the application.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()>;

    /// Somebody waits for the next message.
    fn waited_for(&self) {}
}

/// The error of `send()` when the client has gone.
pub(super) fn gone(py: Python<'_>) -> PyErr {
    app::of_client(py, PyConnectionResetError::new_err(WriteError::Gone.to_string()))
}

/// An awaitable of one conversation; without one it is done.
#[pyclass(frozen, module = "gohttp._gohttp", name = "Awaitable")]
pub(crate) struct Awaitable {
    conversation: Option<Arc<dyn Conversation>>,
    until: Until,
    turns: AtomicU32,
}

impl Awaitable {
    pub(super) fn new(conversation: Arc<dyn Conversation>, until: Until) -> Self {
        Self { conversation: Some(conversation), until, turns: AtomicU32::new(0) }
    }

    pub(super) fn done() -> Self {
        Self { conversation: None, until: Until::Now, turns: AtomicU32::new(0) }
    }

    /// One step: `Ok(Some(future))` to wait, `Ok(None)` for done without a value, an error for
    /// done with one (`StopIteration`).
    fn step(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        let Some(conversation) = &self.conversation else { return Ok(None) };
        let poll = |cx: &mut Context<'_>| match self.until {
            Until::Message => conversation.poll_message(py, cx).map_ok(Some),
            Until::Room => conversation.poll_room(cx).map(|()| Ok(None)),
            Until::Gone if self.turns.fetch_add(1, Relaxed) < 2 * TURNS => {
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Until::Gone => Poll::Ready(Err(gone(py))),
            Until::Now => Poll::Ready(Ok(None)),
        };
        let value = match poll(&mut Context::from_waker(std::task::Waker::noop())) {
            Poll::Ready(value) => value?,
            Poll::Pending => {
                let future = conversation.context().create_future(py)?;
                let waker = future_waker(&conversation.context().inbox, future.clone_ref(py));
                match poll(&mut Context::from_waker(&waker)) {
                    Poll::Ready(value) => value?,
                    Poll::Pending => {
                        if self.until == Until::Message {
                            conversation.waited_for();
                        }
                        future.setattr(py, intern!(py, "_asyncio_future_blocking"), true)?;
                        return Ok(Some(future));
                    }
                }
            }
        };
        match value {
            Some(message) => Err(PyStopIteration::new_err((message,))),
            None => Ok(None),
        }
    }
}

#[pymethods]
impl Awaitable {
    fn __await__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__(&self, py: Python<'_>) -> PyResult<Option<Py<PyAny>>> {
        self.step(py)
    }

    /// As a coroutine's.
    fn send(&self, py: Python<'_>, _value: &Bound<'_, PyAny>) -> PyResult<Py<PyAny>> {
        self.step(py)?.ok_or_else(|| PyStopIteration::new_err(()))
    }

    /// As a coroutine's: there is nothing to clean up, the exception goes on.
    #[pyo3(signature = (exception, value=None, traceback=None, /))]
    fn throw(
        &self,
        exception: Bound<'_, PyAny>,
        value: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let _ = traceback;
        Err(PyErr::from_value(value.unwrap_or(exception)))
    }

    /// As a coroutine's.
    fn close(&self) {}
}

impl LoopContext {
    fn create_future(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        Ok(self.event_loop.bind(py).call_method0(intern!(py, "create_future"))?.unbind())
    }
}
