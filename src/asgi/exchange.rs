//! `receive` and `send` of one request, and what follows when its task ends.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::awaitable::{Awaitable, Conversation, Until, gone};
use super::context::LoopContext;
use super::deadline::Answering;
use super::message::{self, Sent};
use super::task::Outcome;
use crate::bridge::app;
use crate::bridge::refcount::{references, unwatched};
use crate::http::{BodyEvent, FilePart, Request, ResponseHead, ResponseWriter, WriteError};
use crate::wake::lock;

/// One request with its response.
pub(super) struct Exchange {
    /// Neither, while the exchange waits for its next use.
    pair: Mutex<Option<(Request, ResponseWriter)>>,
    context: Arc<LoopContext>,
    /// The end of the body has been delivered.
    body_ended: AtomicBool,
    /// `http.disconnect` has been delivered, or `send` has failed for it.
    told_gone: AtomicBool,
    /// Somebody waits, or waited, in `receive()`.
    listening: AtomicBool,
    /// Trailers will follow the body.
    trailers: AtomicBool,
    /// The body is complete, and they are due.
    body_over: AtomicBool,
    /// Those that have been given.
    trailer_fields: Mutex<ResponseHead>,
}

/// What `receive()` gives.
enum Received {
    Body(Bytes, bool),
    Disconnect,
}

impl Answering for Exchange {
    fn answered(&self) -> bool {
        self.with(|_, writer| writer.ended()).unwrap_or(true)
    }
}

impl Exchange {
    fn new(context: Arc<LoopContext>) -> Arc<Self> {
        Arc::new(Self {
            pair: Mutex::default(),
            context,
            body_ended: AtomicBool::new(false),
            told_gone: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            trailers: AtomicBool::new(false),
            body_over: AtomicBool::new(false),
            trailer_fields: Mutex::new(ResponseHead::new(200)),
        })
    }

    fn begin(&self, request: Request, writer: ResponseWriter) {
        self.body_ended.store(false, Relaxed);
        self.told_gone.store(false, Relaxed);
        self.listening.store(false, Relaxed);
        self.trailers.store(false, Relaxed);
        self.body_over.store(false, Relaxed);
        *lock(&self.trailer_fields) = ResponseHead::new(200);
        *lock(&self.pair) = Some((request, writer));
    }

    /// The request in a log line.
    pub(super) fn describe(&self) -> String {
        self.with(|request, _| app::describe(&request.head)).unwrap_or_default()
    }

    /// Does something with request and writer, which are locked meanwhile: no Python may be
    /// called.
    fn with<T>(&self, f: impl FnOnce(&Request, &mut ResponseWriter) -> T) -> Option<T> {
        lock(&self.pair).as_mut().map(|(request, writer)| f(request, writer))
    }

    fn with_writer(&self, f: &mut dyn FnMut(&mut ResponseWriter)) {
        self.with(|_, writer| f(writer));
    }

    fn disconnect(&self, py: Python<'_>) -> PyResult<Py<PyAny>> {
        self.told_gone.store(true, Relaxed);
        message::disconnect(py).map(|m| m.into_any().unbind())
    }

    /// Gives a message to the writer. Returns whether it ends the response.
    fn pass_on(&self, writer: &mut ResponseWriter, sent: Sent) -> (Result<(), WriteError>, bool) {
        let trailers = self.trailers.load(Relaxed);
        let body_over = self.body_over.load(Relaxed);
        let ends = |more: bool| {
            // Where trailers are due the body's end is not that of the response.
            if !more && trailers && writer.started() {
                self.body_over.store(true, Relaxed);
            }
            !more && !trailers
        };
        match sent {
            Sent::Start(..) | Sent::EarlyHint(_) if writer.started() => {
                (Err(WriteError::Started), false)
            }
            Sent::Start(head, trailers) => {
                self.trailers.store(trailers, Relaxed);
                (writer.start(head), false)
            }
            Sent::EarlyHint(head) => (writer.interim(head), false),
            Sent::Body { .. } | Sent::File { .. } if body_over => (Err(WriteError::Ended), false),
            Sent::Body { data, more } => match ends(more) {
                true => (writer.finish(data), true),
                false => (writer.write(data), false),
            },
            Sent::File { part, more } => match ends(more) {
                true => finish_with_file(writer, part),
                false => (writer.write_file(part), false),
            },
            Sent::Trailers { head, more } if body_over => {
                let mut kept = lock(&self.trailer_fields);
                kept.append(&head);
                if more {
                    return (Ok(()), false);
                }
                let all = std::mem::replace(&mut *kept, ResponseHead::new(200));
                (writer.finish_with_trailers(all), true)
            }
            Sent::Trailers { .. } => (Err(WriteError::Ended), false),
        }
    }

    /// Takes a message of the application. Returns what to wait for before the next.
    fn take(&self, py: Python<'_>, sent: Sent) -> PyResult<Until> {
        let length = match &sent {
            Sent::Body { data, .. } => data.len(),
            _ => 0,
        };
        let takes_time = length >= ResponseWriter::HEAVY
            && self.with(|_, writer| writer.takes_time(length)).unwrap_or_default();
        let taken = match takes_time {
            true => py.detach(|| self.give(sent)),
            false => self.give(sent),
        };
        let (result, room) = taken.unwrap_or((Err(WriteError::Ended), true));
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
                app::note_end(|| self.describe(), result);
                Ok(Until::Now)
            }
            Err(WriteError::Started) => Err(PyRuntimeError::new_err(
                "'http.response.start' was sent twice, or an early hint after it",
            )),
            Err(WriteError::NotStarted) => Err(PyRuntimeError::new_err(
                "'http.response.body' was sent before 'http.response.start'",
            )),
            Err(WriteError::Ended) => Err(PyRuntimeError::new_err(
                "a message was sent after the end of the response, or of its body",
            )),
        }
    }

    /// Gives a message to the writer. Returns whether there is room for more.
    fn give(&self, sent: Sent) -> Option<(Result<(), WriteError>, bool)> {
        self.with(|request, writer| {
            let (result, ended) = self.pass_on(writer, sent);
            if ended && result != Err(WriteError::NotStarted) {
                // Whoever still waits in receive() is told that there is nothing more to come.
                request.conclude();
            }
            let mut cx = Context::from_waker(std::task::Waker::noop());
            (result, ended || writer.poll_room(&mut cx).is_ready())
        })
    }

    fn conclude(&self, py: Python<'_>, outcome: Outcome) {
        match outcome {
            // The client went away, and the application let that end it.
            Outcome::Raised(error)
                if self.told_gone.load(Relaxed) && app::is_of_client(py, &error) =>
            {
                self.with_writer(&mut ResponseWriter::abort);
            }
            Outcome::Raised(error) => self.fail(py, &error),
            Outcome::Returned => {
                self.with(|request, writer| conclude_quietly(request, writer, false));
            }
            Outcome::Cancelled => {
                self.with(|request, writer| conclude_quietly(request, writer, true));
            }
        }
        self.with(|request, _| request.conclude());
    }

    /// Logs an error of the application, and answers 500 or cuts the response.
    pub(super) fn fail(&self, py: Python<'_>, error: &PyErr) {
        app::fail(py, &self.describe(), error, |f| self.with_writer(f));
    }
}

impl Conversation for Exchange {
    fn context(&self) -> &Arc<LoopContext> {
        &self.context
    }

    fn poll_message(&self, py: Python<'_>, cx: &mut Context<'_>) -> Poll<PyResult<Py<PyAny>>> {
        let received = self.with(|request, writer| {
            if writer.ended() {
                return Poll::Ready(Received::Disconnect);
            }
            if self.body_ended.load(Relaxed) {
                return request.poll_gone(cx).map(|()| Received::Disconnect);
            }
            request.poll_body(cx).map(|event| match event {
                BodyEvent::Data(data) => Received::Body(data, !request.body_drained()),
                BodyEvent::End => Received::Body(Bytes::new(), false),
                BodyEvent::Failed(_) => Received::Disconnect,
            })
        });
        let message = match received {
            Some(Poll::Pending) => return Poll::Pending,
            Some(Poll::Ready(Received::Body(data, more))) => {
                self.body_ended.store(!more, Relaxed);
                message::request(py, &data, more).map(|m| m.into_any().unbind())
            }
            Some(Poll::Ready(Received::Disconnect)) | None => self.disconnect(py),
        };
        Poll::Ready(message)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.with(|_, writer| writer.poll_room(cx)).unwrap_or(Poll::Ready(()))
    }

    fn waited_for(&self) {
        self.listening.store(true, Relaxed);
    }
}

/// The file is all there is of the body. One that is shorter than was declared is no good end.
fn finish_with_file(writer: &mut ResponseWriter, part: FilePart) -> (Result<(), WriteError>, bool) {
    match writer.finish_with_file(part) {
        Ok(None) => (Ok(()), true),
        Ok(Some(short)) => {
            let sent = writer.write_file(short);
            (sent.and_then(|()| writer.finish(Bytes::new())), true)
        }
        Err(error) => (Err(error), true),
    }
}

/// The task has ended without an exception: has it answered?
fn conclude_quietly(request: &Request, writer: &mut ResponseWriter, cancelled: bool) {
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
    let what = app::describe(&request.head);
    log::error!(target: "gohttp.error", "{what}: the application returned {problem}; {outcome}");
    if writer.started() { writer.abort() } else { writer.fail(500) }
}

/// Its methods are the `receive` and `send` of one request.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct HttpExchange(Arc<Exchange>);

#[pymethods]
impl HttpExchange {
    /// The next message of the client.
    fn receive(&self) -> Awaitable {
        Awaitable::new(self.0.clone(), Until::Message)
    }

    /// Takes a message for the client.
    fn send(&self, py: Python<'_>, message: &Bound<'_, PyDict>) -> PyResult<Py<Awaitable>> {
        match self.0.take(py, message::parse(message)?)? {
            Until::Now => Ok(self.0.context.done.clone_ref(py)),
            until => Py::new(py, Awaitable::new(self.0.clone(), until)),
        }
    }
}

/// Exchanges kept for further requests.
const MAX_SPARE: usize = 256;

thread_local! {
    static SPARE: RefCell<Vec<Handles>> = const { RefCell::new(Vec::new()) };
}

/// An exchange with its Python objects. Making and freeing those costs more than all else that is
/// done for a small response, so they are used again when the application has let go of them.
pub(super) struct Handles {
    pub(super) exchange: Arc<Exchange>,
    pub(super) receive: Py<PyAny>,
    pub(super) send: Py<PyAny>,
    object: Py<HttpExchange>,
}

impl Handles {
    /// Handles for a request.
    pub(super) fn begin(
        py: Python<'_>,
        context: &Arc<LoopContext>,
        request: Request,
        writer: ResponseWriter,
    ) -> PyResult<Self> {
        let spare = SPARE.with_borrow_mut(Vec::pop);
        let handles = match spare.filter(|spare| Arc::ptr_eq(spare.exchange.context(), context)) {
            Some(spare) => spare,
            None => {
                let exchange = Exchange::new(context.clone());
                let object = Py::new(py, HttpExchange(exchange.clone()))?;
                let receive = object.getattr(py, intern!(py, "receive"))?;
                let send = object.getattr(py, intern!(py, "send"))?;
                Self { exchange, receive, send, object }
            }
        };
        handles.exchange.begin(request, writer);
        Ok(handles)
    }

    /// The task has ended, and with it the response.
    pub(super) fn conclude(self, py: Python<'_>, outcome: Outcome) {
        self.exchange.conclude(py, outcome);
        if self.let_go(py) {
            // Dropped after the lock.
            let _ended = lock(&self.exchange.pair).take();
            SPARE.with_borrow_mut(|spare| {
                if spare.len() < MAX_SPARE {
                    spare.push(self);
                }
            });
        }
    }

    /// Whether the application holds nothing of it any more: no method, and no awaitable.
    fn let_go(&self, py: Python<'_>) -> bool {
        references(py, &self.receive) == 1
            && references(py, &self.send) == 1
            // Ours and the methods'.
            && references(py, &self.object) == 3
            // Ours and the object's.
            && Arc::strong_count(&self.exchange) == 2
            && unwatched(py, &self.receive)
            && unwatched(py, &self.send)
    }
}
