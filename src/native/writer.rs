//! `ResponseWriter` as native handlers see it.

use std::fs::File;
use std::os::fd::IntoRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::Context;

use bytes::Bytes;
use pyo3::exceptions::{PyConnectionResetError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use super::headers::Headers;
use super::request::NativeRequest;
use crate::bridge::app;
use crate::bridge::baton::Baton;
use crate::bridge::convert::{bytes_like, from_latin1, type_name};
use crate::bridge::futures;
use crate::bridge::places::{Place, Places};
use crate::files::serve_file;
use crate::http::{FieldError, ResponseHead, ResponseWriter, Version, WriteError, sniff};
use crate::wake::lock;

/// A body up to this size is sent with its length in one piece; a longer one is streamed.
const BUFFER: usize = 16 * 1024;

struct State {
    writer: ResponseWriter,
    status: Option<u16>,
    buffer: Vec<u8>,
    /// The first write has happened: status and headers are settled.
    settled: bool,
    /// Of an `async def` handler that runs.
    place: Option<Place>,
}

/// Writes the response of one request. May be used from any thread until the handler has ended;
/// after that `write` raises `RuntimeError`, and `ConnectionResetError` once the client has gone.
#[pyclass(frozen, module = "gohttp._gohttp", name = "ResponseWriter")]
pub(crate) struct NativeWriter {
    state: Mutex<State>,
    headers: Mutex<Option<Py<Headers>>>,
    baton: Arc<Baton>,
    /// The client knows interim responses, and the connection is its own.
    interim: bool,
    handed_over: AtomicBool,
}

impl NativeWriter {
    pub(super) fn new(writer: ResponseWriter, baton: Arc<Baton>, version: Version) -> Self {
        Self {
            state: Mutex::new(State {
                writer,
                status: None,
                buffer: Vec::new(),
                settled: false,
                place: None,
            }),
            headers: Mutex::default(),
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

    /// Answers that too many `async def` handlers run already.
    pub(super) fn refuse(&self, places: &Places) {
        places.refuse(&mut lock(&self.state).writer);
    }

    /// Ends the response of a handler that has ended. Returns whether it has.
    pub(super) fn end_unless_handed_over(&self, py: Python<'_>, what: &dyn Fn() -> String) -> bool {
        if self.handed_over.load(Relaxed) {
            return false;
        }
        if let Err(error) = self.end(py, what) {
            self.fail(py, &what(), &error.raise(py));
        }
        true
    }

    /// Logs the handler's error and answers 500, or cuts the response.
    pub(super) fn fail(&self, py: Python<'_>, what: &str, error: &PyErr) {
        app::fail(py, what, error, |f| f(&mut lock(&self.state).writer));
    }

    /// Ends the response: what is buffered is sent with its length.
    fn end(&self, py: Python<'_>, what: &dyn Fn() -> String) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        if state.writer.ended() {
            return Ok(());
        }
        if !state.writer.started() {
            let head = self.head(py, &state)?;
            state.writer.start(head)?;
            // Known also for HEAD, whose body is not sent.
            let length = state.buffer.len() as u64;
            state.writer.declare_length(length);
        }
        let buffer = std::mem::take(&mut state.buffer);
        app::note_end(what, state.writer.finish(buffer.into()));
        Ok(())
    }

    /// Status and headers as they stand.
    fn head(&self, py: Python<'_>, state: &State) -> Result<ResponseHead, Fault> {
        let mut head = ResponseHead::new(state.status.unwrap_or(200));
        let mut typed = false;
        if let Some(headers) = &*lock(&self.headers) {
            for (name, value) in headers.bind(py).get().take() {
                typed |= name.eq_ignore_ascii_case("content-type");
                let value = from_latin1(value.trim()).ok_or_else(|| {
                    Fault::Header(format!("header {name:?} holds characters beyond latin-1"))
                })?;
                head.push(name.as_bytes(), &value)?;
            }
        }
        if !typed && !state.buffer.is_empty() {
            head.push(b"content-type", sniff::content_type(&state.buffer).as_bytes())?;
        }
        Ok(head)
    }

    /// Sends what is buffered as a part of a longer body.
    fn send(&self, py: Python<'_>, state: &mut State) -> Result<(), Fault> {
        if !state.writer.started() {
            let head = self.head(py, state)?;
            state.writer.start(head)?;
        }
        let buffer = std::mem::take(&mut state.buffer);
        if buffer.is_empty() {
            return Ok(state.writer.flush()?);
        }
        Ok(state.writer.write(buffer.into())?)
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
    /// of bytes. The first write settles status and headers. Waits while the client takes
    /// nothing.
    ///
    /// Raises `ConnectionResetError` when the client has gone, `RuntimeError` after the handler
    /// has ended, `TypeError` for anything else than text or bytes.
    fn write(&self, py: Python<'_>, body: &Bound<'_, PyAny>) -> PyResult<usize> {
        // Read before the lock: a buffer may be Python code.
        let text = body.cast::<PyString>().ok().map(|text| text.to_str()).transpose()?;
        let bytes = if text.is_none() { bytes_like(body)? } else { Bytes::new() };
        let data = text.map_or(&*bytes, str::as_bytes);
        let written = data.len();
        let sent = {
            let mut state = lock(&self.state);
            state.settled = true;
            if state.writer.ended() {
                Err(WriteError::Ended.into())
            } else {
                state.buffer.extend_from_slice(data);
                if state.buffer.len() <= BUFFER {
                    return Ok(written);
                }
                self.send(py, &mut state)
            }
        };
        sent.map_err(|fault: Fault| fault.raise(py))?;
        self.wait_for_room(py);
        Ok(written)
    }

    /// Sets the status code, 200 unless set. Too late after the first write: that is logged and
    /// ignored. Raises `ValueError` outside 200 to 999.
    fn set_status(&self, code: u16) -> PyResult<()> {
        if !(200..=999).contains(&code) {
            return Err(PyValueError::new_err(format!("a status code is 200 to 999, not {code}")));
        }
        let mut state = lock(&self.state);
        if state.settled || state.writer.started() {
            log::warn!(target: "gohttp.error", "set_status({code}) came after the first write and was ignored");
        } else {
            state.status = Some(code);
        }
        Ok(())
    }

    /// The response's header fields, to be set before the first write is sent.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        if let Some(headers) = &*lock(&self.headers) {
            return Ok(headers.clone_ref(py));
        }
        let made = Py::new(py, Headers::empty())?;
        Ok(lock(&self.headers).get_or_insert(made).clone_ref(py))
    }

    /// Writes a value as JSON. These answers set the content type, unless you have, and the status,
    /// if it is given. They raise as `write` does.
    #[pyo3(signature = (value, status=None))]
    fn json(slf: &Bound<'_, Self>, value: &Bound<'_, PyAny>, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "json", (slf, value, status))
    }

    /// Writes plain text.
    #[pyo3(signature = (body, status=None))]
    fn text(slf: &Bound<'_, Self>, body: &str, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "text", (slf, body, status))
    }

    /// Writes HTML.
    #[pyo3(signature = (body, status=None))]
    fn html(slf: &Bound<'_, Self>, body: &str, status: Option<u16>) -> PyResult<()> {
        Self::answer(slf, "html", (slf, body, status))
    }

    /// Answers with an error: plain text, and nothing that was set for another body.
    #[pyo3(signature = (message, status=500))]
    fn error(slf: &Bound<'_, Self>, message: &str, status: u16) -> PyResult<()> {
        Self::answer(slf, "error", (slf, message, status))
    }

    /// Sends the client to another URL. Raises `ValueError` for a status outside 300 to 399.
    #[pyo3(signature = (url, status=302))]
    fn redirect(slf: &Bound<'_, Self>, url: &str, status: u16) -> PyResult<()> {
        Self::answer(slf, "redirect", (slf, url, status))
    }

    /// Sets a cookie (RFC 6265): `max_age` (seconds), `expires`, `path='/'`, `domain`,
    /// `secure=False`, `http_only=False`, `same_site='lax'`, `partitioned=False`. Raises
    /// `ValueError` for what a cookie cannot hold.
    #[pyo3(signature = (name, value, **attributes))]
    fn set_cookie(
        slf: &Bound<'_, Self>,
        name: &str,
        value: &str,
        attributes: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        let module = slf.py().import(intern!(slf.py(), "gohttp._response"))?;
        module.getattr("set_cookie")?.call((slf, name, value), attributes)?;
        Ok(())
    }

    /// Begins a stream of server-sent events: what it gives has `send(data, event=…, id=…,
    /// retry=…)` and `comment(text)`.
    fn sse<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import(intern!(slf.py(), "gohttp._response"))?.call_method1("sse", (slf,))
    }

    /// Answers with a file, as Go's `http.ServeFile`: ranges and conditional requests of `req` are
    /// obeyed, the kernel sends the bytes, and headers that are set are kept. The path is yours to
    /// check. Raises `OSError` if it cannot be opened, `RuntimeError` once the response has begun.
    fn serve_file(&self, py: Python<'_>, req: &NativeRequest, path: PathBuf) -> PyResult<()> {
        let file = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path)?;
        let served = {
            let mut state = lock(&self.state);
            if state.settled || state.writer.started() {
                Err(Fault::Write(WriteError::Started))
            } else {
                let served = self.head(py, &state).and_then(|head| {
                    serve_file(req.head(), file, &path, head, &mut state.writer)
                        .map_err(Fault::File)
                });
                state.settled = served.is_ok();
                served
            }
        };
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

    /// Takes the connection over, as Go's `Hijacker` does: a socket that speaks with the client,
    /// bytes beyond the request first. The answer, head and all, is the caller's, who closes it.
    /// HTTP/1 only. Raises `OSError` if the response has begun or the client has gone.
    fn hijack<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let taken = {
            let mut state = lock(&self.state);
            if !self.baton.may_set_aside() {
                Err(std::io::Error::new(
                    std::io::ErrorKind::WouldBlock,
                    "too many connections have been taken over: threads are needed for requests",
                ))
            } else if self.interim {
                let taken = state.writer.hijack();
                state.settled |= taken.is_ok();
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
        keywords.set_item("fileno", taken.into_raw_fd())?;
        py.import("socket")?.getattr("socket")?.call((), Some(&keywords))
    }

    /// Sends what has been written so far. Raises as `write` does.
    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        let sent = {
            let mut state = lock(&self.state);
            state.settled = true;
            self.send(py, &mut state)
        };
        sent.map_err(|fault| fault.raise(py))?;
        self.wait_for_room(py);
        Ok(())
    }

    /// For `async def` handlers, whose `write` does not wait: awaits until the client has taken
    /// enough that more may be written.
    fn drain<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
        let future = event_loop.call_method0("create_future")?;
        let waker = futures::waker(event_loop.unbind(), future.clone().unbind());
        let room = lock(&self.state).writer.poll_room(&mut Context::from_waker(&waker));
        if room.is_ready() {
            future.call_method1("set_result", (py.None(),))?;
        }
        Ok(future)
    }

    /// What a handler has returned. Raises `TypeError` if that was meant to be the response.
    #[pyo3(name = "_returned")]
    pub(super) fn returned(&self, result: &Bound<'_, PyAny>) -> PyResult<()> {
        let untouched = {
            let state = lock(&self.state);
            !state.settled && state.status.is_none() && !state.writer.started()
        };
        if result.is_none() || !untouched {
            return Ok(());
        }
        Err(PyTypeError::new_err(format!(
            "the handler returned {}, and wrote nothing: what is to be sent is given to w, as by \
             w.write() or w.json()",
            type_name(result)
        )))
    }

    /// Ends the response of an `async def` handler; called for it when it has returned.
    #[pyo3(name = "_end")]
    fn end_async(
        &self,
        py: Python<'_>,
        req: &NativeRequest,
        what: &str,
        error: Option<Bound<'_, PyAny>>,
    ) {
        let result = match error {
            Some(error) => Err(PyErr::from_value(error)),
            None => self.end(py, &|| what.to_owned()).map_err(|fault| fault.raise(py)),
        };
        if let Err(error) = result {
            self.fail(py, what, &error);
        }
        req.close_form(py);
        lock(&self.state).place = None;
    }
}

/// What can go wrong while the state is locked. It becomes an exception only after that: making
/// one may let go of the GIL, to a thread that waits for the lock.
enum Fault {
    Write(WriteError),
    Header(String),
    File(std::io::Error),
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::Header(error.to_string())
    }
}

impl Fault {
    fn raise(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Write(error @ WriteError::Gone) => {
                app::of_client(py, PyConnectionResetError::new_err(error.to_string()))
            }
            Self::Write(error) => PyRuntimeError::new_err(error.to_string()),
            Self::Header(text) => PyValueError::new_err(text),
            Self::File(error) if error.kind() == std::io::ErrorKind::NotConnected => {
                app::of_client(py, error.into())
            }
            Self::File(error) => error.into(),
        }
    }
}
