//! WebSockets of native handlers (RFC 6455): of sync ones here, and what `async def` ones await.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyString};

use super::typed::{Message as MessageType, TextOrBytes, Typed};
use crate::bridge::baton::Baton;
use crate::bridge::convert::bytes_like;
use crate::bridge::futures;
use crate::http::WriteError;
use crate::websocket::{Closed, Event, Message, WebSocket, may_close_with};

/// Messages from this size on are compressed without the GIL.
const LARGE: usize = 8 * 1024;

/// A WebSocket (RFC 6455), from `w.websocket(req)`. Iterating gives the client's messages until it
/// closes; at the end of a `with` block, and of the handler, the WebSocket is closed. Any thread may
/// use it, and one may send while another receives. The server answers pings, and sends its own
/// (`ws_ping_interval`).
#[pyclass(frozen, module = "gohttp._gohttp", name = "WebSocket")]
pub(crate) struct NativeWebSocket {
    socket: Arc<WebSocket>,
    baton: Arc<Baton>,
    subprotocol: Option<String>,
}

impl NativeWebSocket {
    pub(super) fn new(
        socket: Arc<WebSocket>,
        baton: Arc<Baton>,
        subprotocol: Option<String>,
    ) -> Self {
        Self { socket, baton, subprotocol }
    }

    fn give(&self, py: Python<'_>, message: &Bound<'_, PyAny>) -> PyResult<()> {
        let sent = if let Ok(text) = message.cast::<PyString>() {
            let text = text.to_str()?;
            match text.len() < LARGE {
                true => self.socket.send_text(text),
                false => py.detach(|| self.socket.send_text(text)),
            }
        } else {
            let data = bytes_like(message)?;
            match data.len() < LARGE {
                true => self.socket.send_binary(&data),
                false => py.detach(|| self.socket.send_binary(&data)),
            }
        };
        match sent {
            Ok(()) => Ok(()),
            Err(WriteError::Gone) => {
                let closed = self.socket.closed();
                Err(ended(py, &closed.unwrap_or(Closed { code: 1006, reason: String::new() })))
            }
            Err(_) => {
                Err(PyRuntimeError::new_err("the WebSocket has been closed from this side already"))
            }
        }
    }
}

/// What is raised at the end: `WebSocketClosed`.
fn ended(py: Python<'_>, closed: &Closed) -> PyErr {
    let made = py
        .import(intern!(py, "gohttp._websocket"))
        .and_then(|module| module.getattr(intern!(py, "WebSocketClosed")))
        .and_then(|class| class.call1((closed.code, &closed.reason)));
    made.map_or_else(|error| error, PyErr::from_value)
}

fn given<'py>(py: Python<'py>, message: &Message) -> Typed<'py, MessageType> {
    Typed::new(match message {
        Message::Text(text) => PyString::new(py, text).into_any(),
        Message::Binary(data) => PyBytes::new(py, data).into_any(),
    })
}

#[pymethods]
impl NativeWebSocket {
    /// The subprotocol that was agreed on (RFC 6455 section 1.9); `None` if none was.
    #[getter]
    fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_deref()
    }

    /// Whether it has been closed, from whichever side.
    #[getter]
    fn closed(&self) -> bool {
        self.socket.is_closed()
    }

    /// The client's next message, `str` or `bytes`; waits for it. Raises `WebSocketClosed` when
    /// there will be no more.
    fn receive<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, MessageType>> {
        match self.baton.wait(py, |cx| self.socket.poll_event(cx)) {
            Event::Message(message) => Ok(given(py, &message)),
            Event::Closed(closed) => Err(ended(py, &closed)),
        }
    }

    /// Sends a message: text if it is a `str`, else anything bytes-like. Waits while the client
    /// takes nothing. Raises `WebSocketClosed` when the client has closed or gone, `RuntimeError`
    /// after `close()`, `TypeError` for anything else than text or bytes.
    fn send(&self, py: Python<'_>, message: TextOrBytes<'_>) -> PyResult<()> {
        self.give(py, &message.0)?;
        self.baton.wait(py, |cx| self.socket.poll_room(cx));
        Ok(())
    }

    /// Closes with a code and a reason of up to 123 bytes (what is longer is cut). Does nothing if
    /// it is closed already. Raises `ValueError` for a code that no endpoint may send (RFC 6455
    /// section 7.4: 1000 to 1014 without 1004 and 1006, and 3000 to 4999).
    #[pyo3(signature = (code=1000, reason=""))]
    fn close(&self, code: u16, reason: &str) -> PyResult<()> {
        if !may_close_with(code) {
            return Err(PyValueError::new_err(format!(
                "{code} is no code to close a WebSocket with (RFC 6455 section 7.4): use 1000 to \
                 1014 or 3000 to 4999"
            )));
        }
        // The only errors here are ends that have come already.
        let _ = self.socket.close(code, reason);
        Ok(())
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> Option<Typed<'py, MessageType>> {
        match self.baton.wait(py, |cx| self.socket.poll_event(cx)) {
            Event::Message(message) => Some(given(py, &message)),
            Event::Closed(_) => None,
        }
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    /// Closes: with 1000, or with 1011 where an exception ends the block.
    #[pyo3(signature = (kind, error, traceback, /))]
    fn __exit__(
        &self,
        kind: Option<Bound<'_, PyAny>>,
        error: Option<Bound<'_, PyAny>>,
        traceback: Option<Bound<'_, PyAny>>,
    ) {
        let _ = (error, traceback);
        let _ = self.socket.close(if kind.is_none() { 1000 } else { 1011 }, "");
    }

    /// The next message, or `None` if there is none yet: then `future`, if it is given, is done
    /// when it is time to look again. Raises `WebSocketClosed` at the end.
    #[pyo3(name = "_take", signature = (future, /))]
    fn take<'py>(
        &self,
        py: Python<'py>,
        future: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Option<Typed<'py, MessageType>>> {
        match self.socket.poll_event(&mut Context::from_waker(&waker_of(future)?)) {
            Poll::Ready(Event::Message(message)) => Ok(Some(given(py, &message))),
            Poll::Ready(Event::Closed(closed)) => Err(ended(py, &closed)),
            Poll::Pending => Ok(None),
        }
    }

    /// Sends a message without waiting.
    #[pyo3(name = "_give", signature = (message, /))]
    fn give_at_once(&self, py: Python<'_>, message: TextOrBytes<'_>) -> PyResult<()> {
        self.give(py, &message.0)
    }

    /// Whether there is room for more messages; as for `_take`.
    #[pyo3(name = "_has_room", signature = (future, /))]
    fn has_room(&self, future: Option<Bound<'_, PyAny>>) -> PyResult<bool> {
        Ok(self.socket.poll_room(&mut Context::from_waker(&waker_of(future)?)).is_ready())
    }
}

fn waker_of(future: Option<Bound<'_, PyAny>>) -> PyResult<Waker> {
    let Some(future) = future else { return Ok(Waker::noop().clone()) };
    let event_loop = future.call_method0(intern!(future.py(), "get_loop"))?;
    Ok(futures::waker(event_loop.unbind(), future.unbind()))
}
