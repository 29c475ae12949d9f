//! `receive` and `send` of one WebSocket (ASGI WebSocket specification 2.5).

mod message;
mod talk;

use std::sync::Arc;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::awaitable::{Awaitable, Conversation, Until};
use super::context::LoopContext;
use super::deadline::Answering;
use super::task::Outcome;
use crate::http::{Request, RequestHead, ResponseWriter};
use crate::websocket::Handshake;
use talk::Talk;

/// Its methods are the `receive` and `send` of one WebSocket.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct WebSocketExchange(Arc<Talk>);

#[pymethods]
impl WebSocketExchange {
    /// The next message of the client.
    fn receive(&self) -> Awaitable {
        Awaitable::new(self.0.clone(), Until::Message)
    }

    /// Takes a message for the client.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<Awaitable>> {
        match self.0.take(py, message)? {
            Until::Now => Ok(self.0.context().done.clone_ref(py)),
            until => Py::new(py, Awaitable::new(self.0.clone(), until)),
        }
    }
}

/// A WebSocket with what its application calls.
pub(super) struct Chat {
    talk: Arc<Talk>,
    pub(super) receive: Py<PyAny>,
    pub(super) send: Py<PyAny>,
}

impl Chat {
    pub(super) fn begin(
        py: Python<'_>,
        context: &Arc<LoopContext>,
        request: Request,
        writer: ResponseWriter,
        handshake: Handshake,
    ) -> PyResult<Self> {
        let what = describe(&request.head);
        let talk = Arc::new(Talk::new(context, request, writer, handshake, what));
        let object = Py::new(py, WebSocketExchange(talk.clone()))?;
        Ok(Self {
            talk,
            receive: object.getattr(py, intern!(py, "receive"))?,
            send: object.getattr(py, intern!(py, "send"))?,
        })
    }

    /// What its handshake has to do with deadlines.
    pub(super) fn answering(&self) -> Arc<dyn Answering> {
        self.talk.clone()
    }

    pub(super) fn conclude(self, py: Python<'_>, outcome: Outcome) {
        self.talk.conclude(py, outcome);
    }
}

fn describe(head: &RequestHead) -> String {
    format!("WebSocket {}", String::from_utf8_lossy(head.path()).escape_default())
}
