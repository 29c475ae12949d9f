//! The answer to a WebSocket's handshake.

use std::sync::Arc;

use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;

use super::fault::Fault;
use super::response::{Fields, State, latin1_value};
use crate::config::WebSocketConfig;
use crate::http::{RequestHead, WriteError};
use crate::websocket::{AcceptError, Handshake, Refusal, WebSocket};

/// Why there is no WebSocket.
pub(super) enum Refused {
    /// The client has its answer, with this status.
    Client(u16, &'static str),
    Handler(Fault),
}

impl Refused {
    pub(super) fn raise(self, py: Python<'_>) -> PyErr {
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
pub(super) fn too_many(py: Python<'_>) -> PyErr {
    let error = PyOSError::new_err(
        "too many connections have been taken over: threads are needed for requests",
    );
    // Without it the answer is 500.
    let _ = error.value(py).setattr("_gohttp_status", 503);
    error
}

/// Accepts the WebSocket that `head` asks for, with the first of `protocols` that the client
/// offers, and the fields that have been set. Returns that protocol, too.
pub(super) fn accept(
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
