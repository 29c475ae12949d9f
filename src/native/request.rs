//! `Request` as native handlers see it.

use std::sync::{Arc, Mutex};
use std::task::Context;

use pyo3::exceptions::PyKeyError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use super::Route;
use super::headers::Headers;
use crate::bridge::baton::Baton;
use crate::bridge::convert::{body_error, latin1};
use crate::bridge::fresh_bytes::{WORTH, receive};
use crate::http::{BodyEvent, Request, RequestHead, forwarded};
use crate::wake::lock;

/// A request. All of it may be read from any thread, also after the handler has ended.
#[pyclass(frozen, module = "gohttp._gohttp", name = "Request")]
pub(crate) struct NativeRequest {
    request: Request,
    route: Arc<Route>,
    baton: Arc<Baton>,
    headers: Mutex<Option<Py<Headers>>>,
    body: Mutex<Option<Py<PyBytes>>>,
}

impl NativeRequest {
    pub(super) fn new(request: Request, route: Arc<Route>, baton: Arc<Baton>) -> Self {
        Self { request, route, baton, headers: Mutex::default(), body: Mutex::default() }
    }

    pub(super) fn head(&self) -> &RequestHead {
        &self.request.head
    }

    fn receive(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        if let Some(length) = self.head().content_length().and_then(|n| usize::try_from(n).ok())
            && WORTH.contains(&length)
        {
            let poll = |sink: &mut _, cx: &mut Context<'_>| self.request.poll_body_into(sink, cx);
            return Ok(receive(py, &self.baton, &[], length, poll)?.unbind());
        }
        let mut received = Vec::new();
        loop {
            match self.baton.wait(py, |cx| self.request.poll_body(cx)) {
                BodyEvent::Data(data) => received.extend_from_slice(&data),
                BodyEvent::End => return Ok(PyBytes::new(py, &received).unbind()),
                BodyEvent::Failed(error) => return Err(body_error(py, error)),
            }
        }
    }
}

#[pymethods]
impl NativeRequest {
    /// The method: `'GET'`.
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

    /// The path, percent-decoded.
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
    fn path_values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let values = self.request.routed.as_ref().map(|routed| &routed.values[..]);
        let dict = PyDict::new(py);
        for (name, value) in self.route.names.iter().zip(values.unwrap_or_default()) {
            dict.set_item(name, value)?;
        }
        Ok(dict)
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
    /// it goes before the end, another `OSError` if the body is broken, too large or late.
    #[getter]
    pub(super) fn body(&self, py: Python<'_>) -> PyResult<Py<PyBytes>> {
        if let Some(body) = &*lock(&self.body) {
            return Ok(body.clone_ref(py));
        }
        let body = self.receive(py)?;
        *lock(&self.body) = Some(body.clone_ref(py));
        Ok(body)
    }

    /// Whether the client has gone.
    #[getter]
    fn cancelled(&self) -> bool {
        self.request.is_gone()
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
