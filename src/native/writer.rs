//! `ResponseWriter` as native handlers see it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use pyo3::exceptions::{PyConnectionResetError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::headers::Headers;
use super::sniff;
use crate::bridge::app;
use crate::bridge::baton::Baton;
use crate::bridge::convert::{bytes_like, from_latin1};
use crate::http::{FieldError, ResponseHead, ResponseWriter, WriteError};
use crate::wake::lock;

/// A body up to this size is sent with its length in one piece; a longer one is streamed.
const BUFFER: usize = 16 * 1024;

struct State {
    writer: ResponseWriter,
    status: Option<u16>,
    buffer: Vec<u8>,
    /// The first write has happened: status and headers are settled.
    settled: bool,
}

/// Writes the response of one request. May be used from any thread until the handler has ended;
/// after that `write` raises `RuntimeError`, and `ConnectionResetError` once the client has gone.
#[pyclass(frozen, module = "gohttp._gohttp", name = "ResponseWriter")]
pub(crate) struct NativeWriter {
    state: Mutex<State>,
    headers: Mutex<Option<Py<Headers>>>,
    baton: Arc<Baton>,
    handed_over: AtomicBool,
}

impl NativeWriter {
    pub(super) fn new(writer: ResponseWriter, baton: Arc<Baton>) -> Self {
        Self {
            state: Mutex::new(State { writer, status: None, buffer: Vec::new(), settled: false }),
            headers: Mutex::default(),
            baton,
            handed_over: AtomicBool::new(false),
        }
    }

    /// An `async def` handler goes on after its first call has returned.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Relaxed);
    }

    pub(super) fn end_unless_handed_over(&self, py: Python<'_>, what: &dyn Fn() -> String) {
        if !self.handed_over.load(Relaxed)
            && let Err(error) = self.end(py, what)
        {
            self.fail(py, &what(), &error.raise(py));
        }
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
    fn drain<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let wait = slf.getattr("_wait_for_room")?;
        slf.py().import("asyncio")?.call_method1("to_thread", (wait,))
    }

    #[pyo3(name = "_wait_for_room")]
    fn block_for_room(&self, py: Python<'_>) {
        self.baton.wait(py, |cx| lock(&self.state).writer.poll_room(cx));
    }

    /// Ends the response of an `async def` handler; called for it when it has returned.
    #[pyo3(name = "_end")]
    fn end_async(&self, py: Python<'_>, what: &str, error: Option<Bound<'_, PyAny>>) {
        let result = match error {
            Some(error) => Err(PyErr::from_value(error)),
            None => self.end(py, &|| what.to_owned()).map_err(|fault| fault.raise(py)),
        };
        if let Err(error) = result {
            self.fail(py, what, &error);
        }
    }
}

/// What can go wrong while the state is locked. It becomes an exception only after that: making
/// one may let go of the GIL, to a thread that waits for the lock.
enum Fault {
    Write(WriteError),
    Header(String),
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
        }
    }
}
