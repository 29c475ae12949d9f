//! `ResponseWriter` as native handlers see it.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Context;

use bytes::Bytes;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::fault::Fault;
use super::headers::Headers;
use super::request::NativeRequest;
use super::response::{Fields, State};
use super::take_over::fail_socket;
use super::typed::{AsyncWebSocket, Awaited, CookieSetter, Events, Socket, TextOrBytes, Typed};
use super::websocket::NativeWebSocket;
use crate::bridge::baton::Baton;
use crate::bridge::convert::{bytes_like, os_error, type_name};
use crate::bridge::places::{Place, Places};
use crate::bridge::{app, futures};
use crate::http::{RequestHead, ResponseHead, ResponseWriter, Version, WriteError};
use crate::wake::lock;

/// Writes the response of one request. May be used from any thread until the handler has ended;
/// after that `write` raises `RuntimeError`, and `ConnectionResetError` once the client has gone.
#[pyclass(frozen, module = "gohttp._gohttp", name = "ResponseWriter")]
pub(crate) struct NativeWriter {
    pub(super) state: Mutex<State>,
    pub(super) fields: Fields,
    pub(super) baton: Arc<Baton>,
    /// The client knows interim responses, and the connection is its own.
    pub(super) interim: bool,
    pub(super) handed_over: AtomicBool,
}

impl NativeWriter {
    pub(super) fn new(writer: ResponseWriter, baton: Arc<Baton>, head: &RequestHead) -> Self {
        let version = head.version();
        Self {
            state: Mutex::new(State::new(writer, version, head.protocol().is_some())),
            fields: Fields::default(),
            baton,
            interim: version == Version::Http11,
            handed_over: AtomicBool::new(false),
        }
    }

    /// An `async def` handler goes on after its first call has returned, and has its place until
    /// its end.
    pub(super) fn hand_over(&self, place: Option<Place>) {
        lock(&self.state).place = place;
        self.handed_over.store(true, Relaxed);
    }

    /// No loop has taken it: the response is ended when the call is over, as of other handlers.
    pub(super) fn take_back(&self) {
        self.handed_over.store(false, Relaxed);
        // Given back after the lock.
        let _place = lock(&self.state).place.take();
    }

    /// Answers that too many `async def` handlers run already.
    pub(super) fn refuse(&self, places: &Places) {
        places.refuse(&mut lock(&self.state).writer);
    }

    /// Ends the response of a handler that has ended. Returns whether it has.
    pub(super) fn end_unless_handed_over(&self, py: Python<'_>, what: &dyn Fn() -> String) -> bool {
        if self.handed_over.load(Relaxed) {
            return false;
        }
        if let Err(error) = self.end(what) {
            self.fail(py, &what(), &error.raise(py));
        }
        true
    }

    /// Logs the handler's error and answers 500, or cuts the response.
    pub(super) fn fail(&self, py: Python<'_>, what: &str, error: &PyErr) {
        let socket = lock(&self.state).socket.take();
        match socket {
            None => app::fail(py, what, error, |f| f(&mut lock(&self.state).writer)),
            Some(socket) => fail_socket(py, &socket, what, error),
        }
    }

    fn end(&self, what: &dyn Fn() -> String) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        state.tell_late(&self.fields, what);
        if let Some(socket) = state.socket.take() {
            // One that is closed already stays so.
            let _ = socket.close(1000, "");
        }
        state.end(&self.fields, what)
    }

    /// Sends what is buffered as a part of a longer body.
    fn send(&self, py: Python<'_>, mut state: MutexGuard<'_, State>) -> Result<(), Fault> {
        if state.begin(&self.fields)? {
            drop(state);
            return py.detach(|| lock(&self.state).pass_on());
        }
        state.pass_on()
    }

    /// Calls `gohttp._response.NAME`.
    fn answer<'py>(
        slf: &Bound<'py, Self>,
        name: &str,
        arguments: impl pyo3::call::PyCallArgs<'py>,
    ) -> PyResult<()> {
        let py = slf.py();
        py.import(intern!(py, "gohttp._response"))?.call_method1(name, arguments)?;
        Ok(())
    }

    /// The exception for what went wrong: `RequestTimeout` in a handler that is over its time.
    fn raise(&self, py: Python<'_>, fault: Fault) -> PyErr {
        if matches!(fault, Fault::Write(WriteError::Gone))
            && lock(&self.state).writer.is_expired()
            && let Some(error) = self.baton.time_out(py)
        {
            return error;
        }
        fault.raise(py)
    }

    fn wait_for_room(&self, py: Python<'_>) {
        // An event loop must not be stopped for one slow client.
        if !self.handed_over.load(Relaxed) {
            self.baton.wait(py, |cx| lock(&self.state).writer.poll_room(cx));
        }
    }
}

#[pymethods]
impl NativeWriter {
    /// Writes part of the body: `str` (sent as UTF-8) or anything bytes-like. Returns the number
    /// of bytes. The first write settles the status; headers may be set until the head is sent: with
    /// the first `flush`, beyond 16 KiB, or at the handler's end. Waits while the client takes nothing.
    ///
    /// Raises `ConnectionResetError` when the client has gone, `RuntimeError` after the handler
    /// has ended, `TypeError` for anything else than text or bytes.
    fn write(&self, py: Python<'_>, body: TextOrBytes<'_>) -> PyResult<usize> {
        let body = &body.0;
        // Read before the lock: a buffer may be Python code.
        let text = body.cast::<PyString>().ok().map(|text| text.to_str()).transpose()?;
        let bytes = match text {
            Some(_) => Bytes::new(),
            None => bytes_like(body).map_err(|error| wrong_body(body, error))?,
        };
        let data = text.map_or(&*bytes, str::as_bytes);
        let written = data.len();
        let sent = {
            let mut state = lock(&self.state);
            match state.take(data) {
                Ok(false) => return Ok(written),
                Ok(true) => self.send(py, state),
                Err(fault) => Err(fault),
            }
        };
        sent.map_err(|fault: Fault| self.raise(py, fault))?;
        self.wait_for_room(py);
        Ok(written)
    }

    /// Sets the status code, 200 unless set. Too late after the first write: that is ignored, and
    /// logged when the handler has ended. Raises `ValueError` outside 200 to 999.
    fn set_status(&self, code: u16) -> PyResult<()> {
        if !(200..=999).contains(&code) {
            return Err(PyValueError::new_err(format!("a status code is 200 to 999, not {code}")));
        }
        lock(&self.state).set_status(code);
        Ok(())
    }

    /// The response's header fields, to be set before the head is sent. What is set later is
    /// ignored, and logged when the handler has ended.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        self.fields.headers(py)
    }

    /// Fields that follow the body (RFC 9110 section 6.5), to be set before the handler ends. Those
    /// set before the first write is sent, and those that a header `Trailer` names, are announced.
    /// They need a body whose length is not declared, on HTTP/1.1 or HTTP/2: a response to HTTP/1.0
    /// or HEAD, one with `Content-Length`, a 204, 205 or 304, goes without them.
    #[getter]
    fn trailers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        self.fields.trailers(py)
    }

    /// Writes a value as JSON. These answers set the content type, unless you have, and the status,
    /// if it is given. They raise as `write` does.
    #[pyo3(signature = (value, status=None))]
    fn json(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "json", (slf, value, status))
    }

    /// Writes plain text, as UTF-8. As `json`.
    #[pyo3(signature = (body, status=None))]
    fn text(slf: &Bound<'_, Self>, body: &str, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "text", (slf, body, status))
    }

    /// Writes HTML, as UTF-8. As `json`.
    #[pyo3(signature = (body, status=None))]
    fn html(slf: &Bound<'_, Self>, body: &str, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "html", (slf, body, status))
    }

    /// Answers with an error, as Go's `http.Error`: the message and a line break as plain text, and
    /// no header that was set for another body. As `json`.
    #[pyo3(signature = (message, status=500))]
    fn error(slf: &Bound<'_, Self>, message: &str, status: u16) -> PyResult<()> {
        Self::answer(slf, "error", (slf, message, status))
    }

    /// Sends the client to another URL (RFC 9110 section 10.2.2), absolute or a path; what may not
    /// stand in one is escaped. Raises `ValueError` for a status outside 300 to 399.
    #[pyo3(signature = (url, status=302))]
    fn redirect(slf: &Bound<'_, Self>, url: &str, status: u16) -> PyResult<()> {
        Self::answer(slf, "redirect", (slf, url, status))
    }

    /// Sets a cookie (RFC 6265): `set_cookie(name, value)`, and by name `max_age` (seconds),
    /// `expires`, `path='/'`, `domain`, `secure=False`, `http_only=False`, `same_site='lax'`,
    /// `partitioned=False`. Raises `ValueError` for what a cookie cannot hold.
    #[getter]
    fn set_cookie<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, CookieSetter>> {
        let module = slf.py().import(intern!(slf.py(), "gohttp._response"))?;
        module.call_method1("CookieSetter", (slf,)).map(Typed::new)
    }

    /// Begins a stream of server-sent events (HTML standard, section 9.2), and sends the head: what
    /// it gives has `send(data, event=…, id=…, retry=…)` and `comment(text)`. Raises as `flush` does.
    fn sse<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Events>> {
        let module = slf.py().import(intern!(slf.py(), "gohttp._response"))?;
        module.call_method1("sse", (slf,)).map(Typed::new)
    }

    /// Answers with a file, as Go's `http.ServeFile`: ranges and conditional requests of `req` are
    /// obeyed, the kernel sends the bytes, and headers that are set are kept. The path is yours to
    /// check. Raises `FileNotFoundError` if there is none, another `OSError` if it cannot be opened,
    /// `RuntimeError` once the response has begun.
    fn serve_file(&self, py: Python<'_>, req: &NativeRequest, path: PathBuf) -> PyResult<()> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
        let file = file.map_err(|error| os_error(py, error, &path))?;
        let served = lock(&self.state).serve_file(&self.fields, req.head(), file, &path);
        served.map_err(|fault| fault.raise(py))
    }

    /// Sends `103 Early Hints` (RFC 8297) with these values of `Link`, now. Does nothing once the
    /// response has begun, or where the client knows no interim responses. Raises `ValueError` for
    /// what no header can hold.
    fn early_hints(&self, links: Vec<String>) -> PyResult<()> {
        let mut head = ResponseHead::new(103);
        for link in links {
            head.push(b"link", link.as_bytes())
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
        }
        if self.interim {
            // A hint that comes too late, or to nobody, is nobody's loss.
            let _ = lock(&self.state).writer.interim(head);
        }
        Ok(())
    }

    /// Makes a WebSocket of the connection (RFC 6455), on HTTP/1.1 and HTTP/2, in a handler that is
    /// no `async def`. Headers that are set go with the answer; of `subprotocols`, the best first,
    /// that which the client offers is agreed on. The handler's thread no longer counts towards
    /// `threads`, and has no deadline. Raises `BadRequest` if the request asks for none, or in a
    /// wrong way: the client has its answer then; `OSError` if too many connections have been taken
    /// over, `RuntimeError` once the response has begun, `ConnectionResetError` if the client has
    /// gone.
    #[pyo3(signature = (req, *, subprotocols=Vec::new()))]
    fn websocket(
        &self,
        py: Python<'_>,
        req: &NativeRequest,
        subprotocols: Vec<String>,
    ) -> PyResult<NativeWebSocket> {
        self.take_over_for_websocket(py, req, subprotocols)
    }

    /// The same in an `async def` handler: an `AsyncWebSocket`, whose methods are awaited. It counts
    /// towards `limit_concurrency`, as the handler does, and has no deadline.
    #[pyo3(signature = (req, *, subprotocols=Vec::new()))]
    fn async_websocket<'py>(
        &self,
        py: Python<'py>,
        req: &NativeRequest,
        subprotocols: Vec<String>,
    ) -> PyResult<Typed<'py, AsyncWebSocket>> {
        self.take_over_for_async_websocket(py, req, subprotocols)
    }

    /// Takes the connection over, as Go's `Hijacker` does: a socket that speaks with the client,
    /// bytes beyond the request first. The answer, head and all, is the caller's, who closes it.
    /// HTTP/1 only. Raises `OSError` if the response has begun or the client has gone.
    fn hijack<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, Socket>> {
        self.take_over(py)
    }

    /// Sends what has been written so far. Raises as `write` does.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let sent = {
            let mut state = lock(&self.state);
            state.settled = true;
            self.send(py, state)
        };
        sent.map_err(|fault| self.raise(py, fault))?;
        self.wait_for_room(py);
        Ok(())
    }

    /// For `async def` handlers, whose `write` does not wait: awaits until the client has taken
    /// enough that more may be written.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, Awaited>> {
        let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
        let future = event_loop.call_method0("create_future")?;
        let waker = futures::waker(event_loop.unbind(), future.clone().unbind());
        let room = lock(&self.state).writer.poll_room(&mut Context::from_waker(&waker));
        if room.is_ready() {
            future.call_method1("set_result", (py.None(),))?;
        }
        Ok(Typed::new(future))
    }

    /// Forgets what has been written and set, if none of it has been sent. Returns whether that is
    /// so.
    #[pyo3(name = "_reset")]
    fn reset(&self) -> bool {
        lock(&self.state).reset(&self.fields)
    }

    /// Whether nothing has been written, and no status set.
    #[pyo3(name = "_untouched")]
    fn untouched(&self) -> bool {
        lock(&self.state).untouched()
    }

    /// What a handler has returned. Raises `TypeError` if that was meant to be the response.
    #[pyo3(name = "_returned")]
    pub(super) fn returned(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        if result.is_none() || !self.untouched() {
            return Ok(());
        }
        Err(PyTypeError::new_err(format!(
            "the handler returned {}, and wrote nothing: what is to be sent is given to w, as by \
             w.write() or w.json()",
            type_name(result)
        )))
    }

    /// Whether the handler has taken the connection over: it has no deadline any more.
    #[pyo3(name = "_taken_over")]
    fn taken_over(&self) -> bool {
        lock(&self.state).taken_over
    }

    /// Ends the response of an `async def` handler; called for it when it has returned.
    #[pyo3(name = "_end")]
    fn end_async(&self, py: Python<'_>, req: &NativeRequest, error: Option<Bound<'_, PyAny>>) {
        let what = || app::describe(req.head());
        let result = match error {
            Some(error) => {
                lock(&self.state).tell_late(&self.fields, &what);
                Err(PyErr::from_value(error))
            }
            None => self.end(&what).map_err(|fault| fault.raise(py)),
        };
        if let Err(error) = result {
            self.fail(py, &what(), &error);
        }
        req.conclude(py);
        lock(&self.state).place = None;
    }
}

/// The `TypeError` for what is no body; other errors stay as they are.
fn wrong_body(body: &Bound<'_, PyAny>, error: PyErr) -> PyErr {
    if !error.is_instance_of::<PyTypeError>(body.py()) {
        return error;
    }
    PyTypeError::new_err(format!(
        "w.write() takes str or a bytes-like object, not {}: for JSON use w.json(...)",
        type_name(body)
    ))
}
