//! A connection that a handler takes over, as a WebSocket or as it is.

use std::os::fd::{AsRawFd, IntoRawFd};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use pyo3::exceptions::{PyOSError, PyRuntimeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::fault::Fault;
use super::request::NativeRequest;
use super::response::{Fields, State, latin1_value};
use super::typed::{AsyncWebSocket, Socket, Typed};
use super::websocket::NativeWebSocket;
use super::writer::NativeWriter;
use crate::bridge::{app, log_sink};
use crate::config::WebSocketConfig;
use crate::http::{RequestHead, WriteError};
use crate::wake::lock;
use crate::websocket::{AcceptError, Handshake, Refusal, WebSocket};

/// Why there is no WebSocket.
enum Refused {
    /// The client has its answer, with this status.
    Client(u16, &'static str),
    Handler(Fault),
}

impl Refused {
    fn raise(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Handler(fault) => fault.raise(py),
            Self::Client(status, why) => bad_request(py, why, status),
        }
    }
}

/// `gohttp.BadRequest`.
fn bad_request(py: Python<'_>, why: &str, status: u16) -> PyErr {
    let made = py
        .import("gohttp")
        .and_then(|module| module.getattr("BadRequest"))
        .and_then(|class| class.call1((why, status)));
    made.map_or_else(|error| error, PyErr::from_value)
}

/// Too many connections have been taken over already: 503, if the handler lets it pass.
fn too_many(py: Python<'_>) -> PyErr {
    let error = PyOSError::new_err(
        "too many connections have been taken over: threads are needed for requests",
    );
    // Without it the answer is 500.
    let _ = error.value(py).setattr("_gohttp_status", 503);
    error
}

/// Accepts the WebSocket that `head` asks for, with the first of `protocols` that the client
/// offers, and the fields that have been set. Returns that protocol, too.
fn accept(
    state: &mut State,
    fields: &Fields,
    head: &RequestHead,
    (config, protocols): (&WebSocketConfig, Vec<String>),
) -> Result<(Arc<WebSocket>, Option<String>), Refused> {
    if state.settled || state.writer.started() {
        return Err(Refused::Handler(WriteError::Started.into()));
    }
    let not_asked = Refusal { status: 426, why: "the request asks for no WebSocket" };
    let read = Handshake::read(head, config.compress).and_then(|read| read.ok_or(not_asked));
    let handshake = read.map_err(|refusal| {
        state.settled = true;
        refusal.answer(head, &mut state.writer);
        Refused::Client(refusal.status, refusal.why)
    })?;
    let protocol = protocols.into_iter().find(|name| handshake.protocols().contains(name));
    let set = fields.seen_by(|set| {
        let sent = |(name, value): &(String, String)| {
            Ok((name.clone().into_bytes(), latin1_value(name, value)?.into_owned()))
        };
        set.iter().map(sent).collect::<Result<Vec<_>, _>>().map_err(Refused::Handler)
    })?;
    let set = set.iter().map(|(name, value)| (&name[..], &value[..]));
    match handshake.accept(&mut state.writer, config, protocol.as_deref(), set) {
        Ok(socket) => {
            state.settled = true;
            state.taken_over = true;
            fields.note_sent();
            state.socket = Some(socket.clone());
            Ok((socket, protocol))
        }
        Err(AcceptError::Field(error)) => Err(Refused::Handler(error.into())),
        Err(AcceptError::Write(error)) => Err(Refused::Handler(error.into())),
    }
}

impl NativeWriter {
    fn accept(
        &self,
        py: Python<'_>,
        req: &NativeRequest,
        subprotocols: Vec<String>,
    ) -> PyResult<NativeWebSocket> {
        let asked = (&self.baton.limits().websocket, subprotocols);
        let accepted = accept(&mut lock(&self.state), &self.fields, req.head(), asked);
        let (socket, subprotocol) = accepted.map_err(|refused| refused.raise(py))?;
        Ok(NativeWebSocket::new(socket, self.baton.clone(), subprotocol))
    }

    /// See `ResponseWriter.websocket`.
    pub(super) fn take_over_for_websocket(
        &self,
        py: Python<'_>,
        req: &NativeRequest,
        subprotocols: Vec<String>,
    ) -> PyResult<NativeWebSocket> {
        if self.handed_over.load(Relaxed) {
            return Err(PyRuntimeError::new_err(
                "an async def handler must not wait: use w.async_websocket(req)",
            ));
        }
        if !self.baton.may_set_aside() {
            return Err(too_many(py));
        }
        let socket = self.accept(py, req, subprotocols)?;
        self.baton.set_aside(py);
        Ok(socket)
    }

    /// See `ResponseWriter.async_websocket`.
    pub(super) fn take_over_for_async_websocket<'py>(
        &self,
        py: Python<'py>,
        req: &NativeRequest,
        subprotocols: Vec<String>,
    ) -> PyResult<Typed<'py, AsyncWebSocket>> {
        if !self.handed_over.load(Relaxed) {
            return Err(PyRuntimeError::new_err(
                "async_websocket() is for async def handlers: here use w.websocket(req)",
            ));
        }
        let class = py.import(intern!(py, "gohttp._websocket"))?.getattr("AsyncWebSocket")?;
        let socket = self.accept(py, req, subprotocols)?;
        Ok(Typed::new(class.call1((socket,))?))
    }

    /// See `ResponseWriter.hijack`.
    pub(super) fn take_over<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, Socket>> {
        if !self.baton.may_set_aside() {
            return Err(too_many(py));
        }
        let taken = {
            let mut state = lock(&self.state);
            if self.interim {
                let taken = state.writer.hijack();
                state.settled |= taken.is_ok();
                state.taken_over |= taken.is_ok();
                taken
            } else {
                Err(std::io::Error::new(
                    std::io::ErrorKind::Unsupported,
                    "only connections of HTTP/1.1 can be taken over",
                ))
            }
        }?;
        self.baton.set_aside(py);
        let keywords = PyDict::new(py);
        keywords.set_item("fileno", taken.as_raw_fd())?;
        let socket = py.import("socket")?.getattr("socket")?.call((), Some(&keywords))?;
        // It is the socket's now.
        let _number = taken.into_raw_fd();
        Ok(Typed::new(socket))
    }
}

/// Logs the error of a handler with a WebSocket, and closes that.
pub(super) fn fail_socket(py: Python<'_>, socket: &WebSocket, what: &str, error: &PyErr) {
    let of_client = app::is_of_client(py, error);
    if of_client {
        log::debug!(target: "gohttp.request", "{what}: {}", error.value(py));
    } else {
        let text = format!("Exception in {what}; its WebSocket was closed with 1011");
        log_sink::app_error(py, &text, error);
    }
    // One that is closed already stays so.
    let _ = socket.close(if of_client { 1000 } else { 1011 }, "");
}
