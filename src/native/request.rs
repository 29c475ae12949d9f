//! `Request` as native handlers see it.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::Route;
use super::body::Body;
use super::cancel::Callbacks;
use super::headers::Headers;
use super::typed::{Anything, Credentials, Form, Nothing, Text, Texts, Things, Typed, Values};
use crate::bridge::baton::Baton;
use crate::bridge::convert::{latin1, type_name};
use crate::http::{Due, Request, RequestHead, forwarded};
use crate::wake::lock;

/// A request. All of it may be read from any thread, also after the handler has ended.
#[pyclass(frozen, module = "gohttp._gohttp", name = "Request")]
pub(crate) struct NativeRequest {
    request: Request,
    route: Arc<Route>,
    baton: Arc<Baton>,
    headers: Mutex<Option<Py<Headers>>>,
    body: Body,
    /// What has been made of it, by the names of the functions that made it.
    kept: Mutex<Option<Py<PyDict>>>,
    callbacks: Callbacks,
    /// Its handler is an `async def` one, which goes on on a loop.
    on_a_loop: AtomicBool,
}

impl NativeRequest {
    pub(super) fn new(request: Request, route: Arc<Route>, baton: Arc<Baton>) -> Self {
        Self {
            request,
            route,
            baton,
            headers: Mutex::default(),
            body: Body::default(),
            kept: Mutex::default(),
            callbacks: Callbacks::default(),
            on_a_loop: AtomicBool::new(false),
        }
    }

    pub(super) fn head(&self) -> &RequestHead {
        &self.request.head
    }

    /// Calls `gohttp._request.NAME` with this request; what it gave first is given again.
    fn derived<'py, T>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Typed<'py, T>> {
        let py = slf.py();
        let kept = slf.get().kept(py);
        if let Some(known) = kept.get_item(name)? {
            return Ok(Typed::new(known));
        }
        let made = py.import(intern!(py, "gohttp._request"))?.call_method1(name, (slf,))?;
        // Another thread may have been sooner.
        kept.set_default_with_result(name, made).map(|(_, first)| Typed::new(first))
    }

    /// The same for what is made of the body: it is read once, by one thread.
    fn derived_of_body<'py, T>(slf: &Bound<'py, Self>, name: &str) -> PyResult<Typed<'py, T>> {
        let this = slf.get();
        let py = slf.py();
        let _turn = this.body.turn(py, &this.baton);
        let refused = format!("{name} refused");
        if let Some(error) = this.kept(py).get_item(&refused)? {
            return Err(PyErr::from_value(error));
        }
        Self::derived(slf, name).inspect_err(|error| {
            if !error.is_instance_of::<PyValueError>(py) {
                return;
            }
            // What is left of the body is no answer to who asks again. A copy, since a traceback
            // would hold the request.
            let copied = py.import(intern!(py, "copy"));
            let copied = copied.and_then(|copy| copy.call_method1("copy", (error.value(py),)));
            if let Ok(copied) = copied {
                let _ = this.kept(py).set_item(refused, copied);
            }
        })
    }

    /// Says whether its handler goes on on a loop.
    pub(super) fn set_on_a_loop(&self, goes_on: bool) {
        self.on_a_loop.store(goes_on, Relaxed);
    }

    pub(super) fn left_early(&self) -> bool {
        self.request.left_early()
    }

    pub(super) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.request.poll_left(cx)
    }

    /// The handler has ended: files of its form are closed, and nothing is called any more.
    pub(super) fn conclude(&self, py: Python<'_>) {
        self.callbacks.disarm();
        let kept = lock(&self.kept).as_ref().map(|kept| kept.clone_ref(py));
        let Some(kept) = kept else { return };
        if let Ok(Some(form)) = kept.bind(py).get_item("form") {
            // What cannot be closed is left to the collector.
            let _ = form.call_method0("close");
        }
    }

    fn kept<'py>(&self, py: Python<'py>) -> Bound<'py, PyDict> {
        if let Some(kept) = &*lock(&self.kept) {
            return kept.bind(py).clone();
        }
        let made = PyDict::new(py);
        lock(&self.kept).get_or_insert_with(|| made.unbind()).bind(py).clone()
    }
}

#[pymethods]
impl NativeRequest {
    /// The method: `'GET'`; `'CONNECT'` for a WebSocket on HTTP/2 (RFC 8441).
    #[getter]
    fn method<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        latin1(py, self.head().method())
    }

    /// Host and port that the client asked for; empty if it named none (HTTP/1.0).
    #[getter]
    fn host<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        latin1(py, self.head().host().unwrap_or_default())
    }

    /// Path and query as the client sent them: `'/a%20b?x=1'`.
    #[getter]
    fn url<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        latin1(py, &self.head().target())
    }

    /// The path, percent-decoded as UTF-8; what is none becomes U+FFFD.
    #[getter]
    fn path(&self) -> String {
        percent_encoding::percent_decode(self.head().path()).decode_utf8_lossy().into_owned()
    }

    /// The pattern that led here: `'GET /items/{id}'`.
    #[getter]
    fn pattern(&self) -> &str {
        &self.route.pattern
    }

    /// The decoded value of a wildcard of the pattern: `path_value('id')` for `{id}`. Raises
    /// `KeyError` for a name that the pattern does not have.
    fn path_value(&self, name: &str) -> PyResult<&str> {
        let at = self.route.names.iter().position(|known| known == name);
        let values = self.request.routed.as_ref().map(|routed| &routed.values[..]);
        at.and_then(|at| values.unwrap_or_default().get(at))
            .map(String::as_str)
            .ok_or_else(|| PyKeyError::new_err(name.to_owned()))
    }

    /// The decoded values of the pattern's wildcards, by name.
    #[getter]
    fn path_values<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, Texts>> {
        let values = self.request.routed.as_ref().map(|routed| &routed.values[..]);
        let dict = PyDict::new(py);
        for (name, value) in self.route.names.iter().zip(values.unwrap_or_default()) {
            dict.set_item(name, value)?;
        }
        Ok(Typed::new(dict.into_any()))
    }

    /// What stands behind the `?`, as sent.
    #[getter]
    fn query_string<'py>(&self, py: Python<'py>) -> Bound<'py, PyString> {
        latin1(py, self.head().query())
    }

    /// The protocol: `'HTTP/1.1'`.
    #[getter]
    fn proto(&self) -> &'static str {
        self.head().version().as_str()
    }

    /// The client's address and port: `'127.0.0.1:52814'`; empty on a Unix socket. Behind a
    /// trusted proxy, the address alone that the proxy tells.
    #[getter]
    fn remote_addr(&self) -> String {
        let conn = self.request.conn();
        if let Some(client) = forwarded(self.head(), conn).client {
            return client.to_string();
        }
        match (&*conn.peer_host, conn.peer_port) {
            ("", _) => String::new(),
            (host, port) if host.contains(':') => format!("[{host}]:{port}"),
            (host, port) => format!("{host}:{port}"),
        }
    }

    /// The header fields: a mapping that does not mind case.
    #[getter]
    fn headers(&self, py: Python<'_>) -> PyResult<Py<Headers>> {
        if let Some(headers) = &*lock(&self.headers) {
            return Ok(headers.clone_ref(py));
        }
        let made = Py::new(py, Headers::of(self.head()))?;
        Ok(lock(&self.headers).get_or_insert(made).clone_ref(py))
    }

    /// The whole body. Waits for the client as long as it must; raises `ConnectionResetError` if
    /// it goes before the end, another `OSError` if the body is broken, too large or late, and
    /// `RuntimeError` once `read` has given some of it. One thread at a time reads the body, also by
    /// `read`, `text`, `json` and `form`: another that asks waits until it is done.
    #[getter]
    pub(super) fn body(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        self.body.whole(py, &self.request, &self.baton)
    }

    /// A piece of the body of up to `size` bytes, as it comes; empty at the end. Without `size`,
    /// the rest. Waits and raises as `body` does.
    #[pyo3(signature = (size=None, /))]
    fn read(&self, py: Python<'_>, size: Option<i64>) -> PyResult<Py<PyBytes>> {
        let size = size.and_then(|size| usize::try_from(size).ok());
        self.body.read(py, &self.request, &self.baton, size)
    }

    /// The body as text, by the charset of its Content-Type, else UTF-8. Raises `BadRequest` if it
    /// is none, with status 415 if that is no charset of the Encoding standard, and as `body` does.
    #[getter]
    fn text<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Text>> {
        Self::derived_of_body(slf, "text")
    }

    /// What the body, as JSON, says. Raises `BadRequest` if it is none (RFC 8259, which has no `NaN`
    /// and no `Infinity`), and as `body` does.
    fn json<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Anything>> {
        Self::derived_of_body(slf, "json")
    }

    /// The fields and files of a form, `application/x-www-form-urlencoded` or
    /// `multipart/form-data`: a `Form`, whose files are closed when the handler has ended. Raises
    /// `BadRequest` if the body is none or goes beyond limits (128 parts, 8 MiB of fields), and as
    /// `read` does.
    fn form<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Form>> {
        Self::derived_of_body(slf, "form")
    }

    /// The values of the query, decoded as forms are (`+` is a space): a mapping of names to their
    /// first values; `get_all` has all, `pairs` all in order.
    #[getter]
    fn query<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Values>> {
        Self::derived(slf, "query")
    }

    /// The cookies (RFC 6265), by name; of several the first. What is no pair is left out.
    #[getter]
    fn cookies<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Texts>> {
        Self::derived(slf, "cookies")
    }

    /// Name and password of basic authentication (RFC 7617); `None` if there are none.
    #[getter]
    fn basic_auth<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Credentials>> {
        Self::derived(slf, "basic_auth")
    }

    /// `'http'`, or `'https'` where a trusted proxy says so.
    #[getter]
    fn scheme(&self) -> &'static str {
        let conn = self.request.conn();
        forwarded(self.head(), conn).scheme.unwrap_or(conn.scheme)
    }

    /// A dictionary of this request for middleware and handlers to leave things in.
    #[getter]
    fn context<'py>(slf: &Bound<'py, Self>) -> PyResult<Typed<'py, Things>> {
        Self::derived(slf, "context")
    }

    /// Whether the client itself used TLS: `scheme` is `'https'`.
    #[getter]
    fn is_secure(&self) -> bool {
        self.scheme() == "https"
    }

    /// What is known of the connection's TLS: always `None`, since the server does not end TLS
    /// itself. Whether the client used it is what `is_secure` tells; what a proxy tells of versions
    /// or client certificates stands in `headers`.
    #[getter]
    fn tls<'py>(&self, py: Python<'py>) -> Typed<'py, Nothing> {
        Typed::new(py.None().into_bound(py))
    }

    /// Whether the client has left before it had a whole response, or its time was up. One that has
    /// only sent the end of its side (a half-close) counts as having left: it may still read, but
    /// mostly it does not.
    #[getter]
    fn cancelled(&self) -> bool {
        self.request.left_early()
    }

    /// Whether the server stops: what has been begun has `graceful_timeout` to end, and is cut then.
    /// A handler that streams without an end looks at this between two pieces.
    #[getter]
    fn stopping(&self) -> bool {
        self.baton.stopping()
    }

    /// Has `callback` called, without arguments, as soon as `cancelled` is true: once, or at once if
    /// it is so already, and never after the handler has ended or has taken the connection over.
    /// It runs in a thread of the server's own, `gohttp-cancel`, callbacks of other requests behind
    /// it: it should not wait for anything. In an `async def` handler pass on to the loop, as with
    /// `loop.call_soon_threadsafe`. What it raises is logged. Raises `TypeError` if it cannot be
    /// called.
    fn on_cancel(slf: &Bound<'_, Self>, callback: Bound<'_, PyAny>) -> PyResult<()> {
        if !callback.is_callable() {
            return Err(PyTypeError::new_err(format!(
                "on_cancel() needs something to call, not {}",
                type_name(&callback)
            )));
        }
        slf.get().callbacks.add(slf, callback.unbind());
        Ok(())
    }

    /// Says how long this request may still take, from now to the end of its response, in place of
    /// `request_timeout`: seconds, or `None` for as long as it likes. What happens when the time is
    /// up is what happens then: 504 or a cut response, and `RequestTimeout` in the handler
    /// (`asyncio.CancelledError` in an `async def` one), up to half a second late. Further calls
    /// count anew; once the time is up none does. To be called in the handler's own thread, or on its
    /// loop, before it ends, else it raises `RuntimeError`; `ValueError` for what is no time.
    #[pyo3(signature = (seconds, /))]
    fn set_deadline(slf: &Bound<'_, Self>, seconds: Option<f64>) -> PyResult<()> {
        let py = slf.py();
        let this = slf.get();
        let wrong =
            || PyValueError::new_err("a deadline is a number of seconds from 0 on, or None");
        let left = match seconds {
            None => None,
            Some(seconds) => Some(Duration::try_from_secs_f64(seconds).map_err(|_| wrong())?),
        };
        if this.callbacks.over() {
            // A thread that has gone on to another request must not change the deadline of that.
            return Err(PyRuntimeError::new_err("set_deadline() came after the handler had ended"));
        }
        let due = left.and_then(|left| Instant::now().checked_add(left));
        let in_worker = this.baton.set_deadline(py, due.and(left), this.head())?;
        if !in_worker && !this.on_a_loop.load(Relaxed) {
            return Err(PyRuntimeError::new_err(
                "set_deadline() is for the handler's own thread, which its deadline interrupts",
            ));
        }
        this.request.set_due(due.map_or(Due::Never, Due::At));
        if this.on_a_loop.load(Relaxed) {
            let module = py.import(intern!(py, "gohttp._coroutines"))?;
            module.call_method1(intern!(py, "deadline_changed"), (slf,))?;
        }
        Ok(())
    }

    /// Seconds that the handler may still take; `None` for as long as it likes. `usual`: where it
    /// has not said anything itself.
    #[pyo3(name = "_time_left")]
    fn time_left(&self, usual: Option<f64>) -> Option<f64> {
        match self.request.due() {
            Due::Settings => usual,
            Due::Never => None,
            Due::At(at) => Some(at.saturating_duration_since(Instant::now()).as_secs_f64()),
        }
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Who holds the lock is using what it holds.
        if let Ok(Some(kept)) = self.kept.try_lock().as_deref() {
            visit.call(kept)?;
        }
        self.callbacks.visit(&visit)
    }

    fn __clear__(&self) {
        self.callbacks.disarm();
        // Dropped after the lock: dropping may call Python.
        let _kept = lock(&self.kept).take();
    }

    fn __repr__(&self) -> String {
        let head = self.head();
        format!(
            "{} {}",
            String::from_utf8_lossy(head.method()),
            String::from_utf8_lossy(&head.target())
        )
    }
}
