//! One WebSocket between its application and the client, from its handshake to its end.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::message::{connect, disconnect, received};
use crate::asgi::awaitable::{Conversation, Until, gone};
use crate::asgi::context::LoopContext;
use crate::asgi::deadline::Answering;
use crate::asgi::message;
use crate::asgi::task::Outcome;
use crate::bridge::app;
use crate::bridge::convert::bytes_like;
use crate::bridge::log_sink::app_error;
use crate::http::{Request, ResponseHead, ResponseWriter, WriteError, is_token};
use crate::wake::lock;
use crate::websocket::{AcceptError, Closed, Event, Handshake, Message, WebSocket, may_close_with};

/// What the application has closed with if it does not say (RFC 6455 section 7.4.1).
const NORMAL: u16 = 1000;
/// The application has failed.
const INTERNAL_ERROR: u16 = 1011;
/// The server is stopping.
const GOING_AWAY: u16 = 1001;
/// The end without a close frame.
const ABNORMAL: u16 = 1006;

/// How far the conversation is.
enum Stage {
    /// The handshake is not answered.
    Connecting(Request, ResponseWriter, Handshake),
    /// The application answers with a response of HTTP in place of a WebSocket.
    Denying(Request, ResponseWriter),
    Open(Arc<WebSocket>),
    /// Denied, or given up.
    Over,
}

impl Stage {
    /// It is over: whoever waits for the client's going looks again.
    fn conclude(self) {
        if let Self::Connecting(request, ..) | Self::Denying(request, _) = self {
            request.conclude();
        }
    }
}

/// See the module's text.
pub(super) struct Talk {
    stage: Mutex<Stage>,
    context: Arc<LoopContext>,
    what: String,
    /// `websocket.connect` has been delivered.
    connected: AtomicBool,
    /// The end has been told, by a message or an error.
    told_gone: AtomicBool,
    /// Somebody waits, or waited, in `receive()`.
    listening: AtomicBool,
}

/// What `receive()` gives.
enum Received {
    Message(Message),
    Closed(Closed),
}

impl Answering for Talk {
    fn answered(&self) -> bool {
        match &*lock(&self.stage) {
            Stage::Connecting(..) => false,
            Stage::Denying(_, writer) => writer.ended(),
            Stage::Open(_) | Stage::Over => true,
        }
    }
}

impl Talk {
    /// Begins with the handshake; `what` names it in the log.
    pub(super) fn new(
        context: &Arc<LoopContext>,
        request: Request,
        writer: ResponseWriter,
        handshake: Handshake,
        what: String,
    ) -> Self {
        Self {
            stage: Mutex::new(Stage::Connecting(request, writer, handshake)),
            context: context.clone(),
            what,
            connected: AtomicBool::new(false),
            told_gone: AtomicBool::new(false),
            listening: AtomicBool::new(false),
        }
    }

    fn poll_received(&self, cx: &mut Context<'_>) -> Poll<Received> {
        let closed = |code| Received::Closed(Closed { code, reason: String::new() });
        let socket = match &*lock(&self.stage) {
            Stage::Connecting(request, ..) | Stage::Denying(request, _) => {
                return request.poll_gone(cx).map(|()| closed(ABNORMAL));
            }
            Stage::Over => return Poll::Ready(closed(ABNORMAL)),
            Stage::Open(socket) => socket.clone(),
        };
        socket.poll_event(cx).map(|event| match event {
            Event::Message(message) => Received::Message(message),
            Event::Closed(closed) => Received::Closed(closed),
        })
    }

    fn socket(&self) -> Option<Arc<WebSocket>> {
        match &*lock(&self.stage) {
            Stage::Open(socket) => Some(socket.clone()),
            _ => None,
        }
    }

    /// Takes a message of the application. Returns what to wait for before the next.
    pub(super) fn take(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Until> {
        let kind = message
            .get_item(intern!(py, "type"))?
            .ok_or_else(|| PyValueError::new_err("an ASGI message needs a 'type'"))?;
        match kind.extract::<&str>()? {
            "websocket.send" => self.send(py, message),
            "websocket.accept" => self.accept(message),
            "websocket.close" => self.close(message),
            "websocket.http.response.start" => self.deny(message::start(message)?),
            "websocket.http.response.body" => self.deny_body(py, message),
            other => Err(PyRuntimeError::new_err(format!(
                "a WebSocket takes 'websocket.accept', 'websocket.send', 'websocket.close' and \
                 'websocket.http.response.*', not '{other}'"
            ))),
        }
    }

    fn accept(&self, message: &Bound<'_, PyDict>) -> PyResult<Until> {
        let py = message.py();
        let protocol = match message.get_item(intern!(py, "subprotocol"))? {
            Some(protocol) if !protocol.is_none() => Some(protocol.extract::<String>()?),
            _ => None,
        };
        let mut fields = Vec::new();
        message::each_header(message, |name, value| {
            fields.push((name.to_vec(), value.to_vec()));
            Ok(())
        })?;
        let fields = fields.iter().map(|(name, value)| (&name[..], &value[..]));
        let accepted = {
            let mut stage = lock(&self.stage);
            let Stage::Connecting(_, writer, handshake) = &mut *stage else {
                drop(stage);
                return Err(PyRuntimeError::new_err(
                    "'websocket.accept' was sent after the handshake had been answered",
                ));
            };
            let config = &self.context.websocket;
            let offered = |protocol: &String| handshake.protocols().contains(protocol);
            let (protocol, invented) = match protocol {
                // What no header can hold is an error below.
                Some(protocol) if is_token(protocol.as_bytes()) && !offered(&protocol) => {
                    (None, Some(protocol))
                }
                protocol => (protocol, None),
            };
            if let Some(protocol) = invented {
                // A client must fail such a connection (RFC 6455 section 4.1).
                log::warn!(target: "gohttp.response", "a WebSocket was accepted without the subprotocol {protocol:?} that the application chose: the client does not offer it");
            }
            match handshake.accept(writer, config, protocol.as_deref(), fields) {
                Ok(socket) => {
                    // The request, dropped after the lock, is not needed any more.
                    Ok(std::mem::replace(&mut *stage, Stage::Open(socket)))
                }
                Err(error) => Err(error),
            }
        };
        match accepted {
            Ok(before) => {
                // Who waits in `receive()` already waits for messages from now on.
                before.conclude();
                Ok(Until::Now)
            }
            Err(AcceptError::Field(error)) => Err(PyValueError::new_err(error.to_string())),
            Err(AcceptError::Write(_)) => self.refuse_gone(py),
        }
    }

    fn send(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Until> {
        let Some(socket) = self.socket() else {
            return Err(PyRuntimeError::new_err(
                "'websocket.send' was sent before 'websocket.accept'",
            ));
        };
        let text = message.get_item(intern!(py, "text"))?.filter(|text| !text.is_none());
        let data = message.get_item(intern!(py, "bytes"))?.filter(|data| !data.is_none());
        let sent = match (text, data) {
            (Some(text), None) => {
                let text = text.cast::<PyString>().map_err(|_| {
                    PyTypeError::new_err("'text' of 'websocket.send' must be a str")
                })?;
                socket.send_text(text.to_str()?)
            }
            (None, Some(data)) => match data.cast::<PyBytes>() {
                Ok(bytes) => socket.send_binary(bytes.as_bytes()),
                Err(_) => socket.send_binary(&bytes_like(&data)?),
            },
            _ => {
                return Err(PyValueError::new_err(
                    "'websocket.send' needs either 'text' or 'bytes', and not both",
                ));
            }
        };
        match sent {
            Ok(()) if socket.poll_room(&mut Context::from_waker(Waker::noop())).is_ready() => {
                Ok(Until::Now)
            }
            Ok(()) => Ok(Until::Room),
            Err(WriteError::Ended) => {
                Err(PyRuntimeError::new_err("'websocket.send' was sent after 'websocket.close'"))
            }
            Err(_) => self.refuse_gone(py),
        }
    }

    fn close(&self, message: &Bound<'_, PyDict>) -> PyResult<Until> {
        let py = message.py();
        let code = match message.get_item(intern!(py, "code"))? {
            Some(code) if !code.is_none() => code.extract::<u16>()?,
            _ => NORMAL,
        };
        let reason = match message.get_item(intern!(py, "reason"))? {
            // Some frameworks give something else, which nobody sees before the accept.
            Some(reason) if !reason.is_none() => reason.str()?.to_str()?.to_owned(),
            _ => String::new(),
        };
        if !may_close_with(code) {
            return Err(PyValueError::new_err(format!(
                "{code} is no code to close a WebSocket with (RFC 6455 section 7.4): use 1000 to \
                 1014 or 3000 to 4999"
            )));
        }
        if let Some(socket) = self.socket() {
            return match socket.close(code, &reason) {
                Err(WriteError::Ended) => {
                    Err(PyRuntimeError::new_err("'websocket.close' was sent twice"))
                }
                // What the client has closed is closed.
                _ => Ok(Until::Now),
            };
        }
        let before = std::mem::replace(&mut *lock(&self.stage), Stage::Over);
        match before {
            Stage::Connecting(request, mut writer, _) => {
                // The specification: close before accept is a 403.
                writer.fail(403);
                request.conclude();
                Ok(Until::Now)
            }
            Stage::Denying(request, writer) => {
                *lock(&self.stage) = Stage::Denying(request, writer);
                Err(PyRuntimeError::new_err(
                    "'websocket.close' was sent in the middle of a denial response",
                ))
            }
            _ => Err(PyRuntimeError::new_err("'websocket.close' was sent twice")),
        }
    }

    fn deny(&self, head: ResponseHead) -> PyResult<Until> {
        let before = std::mem::replace(&mut *lock(&self.stage), Stage::Over);
        match before {
            Stage::Connecting(request, mut writer, _) => {
                // Nothing has been sent: this cannot fail.
                let _ = writer.start(head);
                *lock(&self.stage) = Stage::Denying(request, writer);
                Ok(Until::Now)
            }
            other => {
                *lock(&self.stage) = other;
                Err(PyRuntimeError::new_err(
                    "'websocket.http.response.start' was sent after the handshake had been \
                     answered",
                ))
            }
        }
    }

    fn deny_body(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Until> {
        let (data, more) = message::body(message)?;
        let (result, room) = match &mut *lock(&self.stage) {
            Stage::Denying(_, writer) => {
                let result = if more { writer.write(data) } else { writer.finish(data) };
                let mut cx = Context::from_waker(Waker::noop());
                (result, !more || writer.poll_room(&mut cx).is_ready())
            }
            _ => (Err(WriteError::NotStarted), true),
        };
        match result {
            Ok(()) if room => Ok(Until::Now),
            Ok(()) => Ok(Until::Room),
            Err(WriteError::Gone) => self.refuse_gone(py),
            Err(WriteError::Short(_)) => {
                app::note_end(|| self.what.clone(), result);
                Ok(Until::Now)
            }
            Err(error) => Err(PyRuntimeError::new_err(error.to_string())),
        }
    }

    /// The client has gone: who listens for that hears of it first.
    fn refuse_gone(&self, py: Python<'_>) -> PyResult<Until> {
        self.told_gone.store(true, Relaxed);
        if self.listening.load(Relaxed) { Ok(Until::Gone) } else { Err(gone(py)) }
    }

    /// The task has ended, and with it the conversation.
    pub(super) fn conclude(&self, py: Python<'_>, outcome: Outcome) {
        let stage = std::mem::replace(&mut *lock(&self.stage), Stage::Over);
        let quiet = self.told_gone.load(Relaxed);
        let (code, status) = match outcome {
            Outcome::Raised(error) if !(quiet && app::is_of_client(py, &error)) => {
                let how = match &stage {
                    Stage::Connecting(..) => "answered with 500",
                    Stage::Denying(..) => "the response was cut",
                    Stage::Open(socket) if !socket.is_closed() => "closed with 1011",
                    _ => "after its end",
                };
                app_error(py, &format!("Exception in {}; {how}", self.what), &error);
                (INTERNAL_ERROR, 500)
            }
            Outcome::Cancelled => (GOING_AWAY, 503),
            Outcome::Returned if matches!(stage, Stage::Connecting(..)) && !quiet => {
                log::error!(
                    target: "gohttp.error",
                    "{}: the application returned without 'websocket.accept' or \
                     'websocket.close'; answered with 500",
                    self.what
                );
                (NORMAL, 500)
            }
            _ => (NORMAL, 500),
        };
        match stage {
            Stage::Connecting(_, mut writer, _) => writer.fail(status),
            Stage::Denying(_, mut writer) if !writer.ended() => writer.abort(),
            Stage::Open(socket) => {
                // One that is closed already stays so.
                let _ = socket.close(code, "");
            }
            _ => {}
        }
    }
}

impl Conversation for Talk {
    fn context(&self) -> &Arc<LoopContext> {
        &self.context
    }

    fn poll_message(&self, py: Python<'_>, cx: &mut Context<'_>) -> Poll<PyResult<Py<PyAny>>> {
        if !self.connected.swap(true, Relaxed) {
            return Poll::Ready(connect(py));
        }
        Poll::Ready(match std::task::ready!(self.poll_received(cx)) {
            Received::Message(message) => received(py, &message),
            Received::Closed(closed) => {
                self.told_gone.store(true, Relaxed);
                disconnect(py, &closed)
            }
        })
    }

    fn waited_for(&self) {
        self.listening.store(true, Relaxed);
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        match &*lock(&self.stage) {
            Stage::Denying(_, writer) => writer.poll_room(cx),
            Stage::Open(socket) => socket.poll_room(cx),
            _ => Poll::Ready(()),
        }
    }
}
