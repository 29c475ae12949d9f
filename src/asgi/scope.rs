//! The scope of a request (ASGI HTTP specification, "HTTP Connection Scope").

use std::cell::RefCell;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};
use rustc_hash::FxHashMap;

use super::extension::Extensions;
use crate::bridge::last_request::{Describe, describe};
use crate::bridge::mount::Mount;
use crate::http::{ConnInfo, Peer, Request, RequestHead, forwarded};

/// Header names kept per thread; clients can invent more.
const NAMES: usize = 256;

/// Makes scopes.
pub(super) struct ScopeMaker {
    template: Py<PyDict>,
    /// Each request has a copy.
    asgi: Py<PyDict>,
    extensions: Extensions,
    root_path: String,
    app: u32,
    state: Option<Py<PyDict>>,
}

thread_local! {
    static NAME_CACHE: RefCell<FxHashMap<Vec<u8>, Py<PyBytes>>> = RefCell::default();
}

impl ScopeMaker {
    /// `state`: what the lifespan left for requests, if the app takes part in it.
    pub(super) fn new(
        py: Python<'_>,
        root_path: &str,
        mount: &Mount,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let asgi = PyDict::new(py);
        asgi.set_item("version", "3.0")?;
        asgi.set_item("spec_version", "2.5")?;
        let template = PyDict::new(py);
        template.set_item("type", "http")?;
        template.set_item("asgi", &asgi)?;
        template.set_item("scheme", "http")?;
        let root_path = root_path.trim_end_matches('/').to_owned();
        template.set_item("root_path", format!("{root_path}{}", mount.prefix))?;
        let asgi = asgi.unbind();
        Ok(Self {
            template: template.unbind(),
            asgi,
            extensions: Extensions::new(py),
            root_path,
            app: mount.number,
            state,
        })
    }

    /// Shows the collector what an application can have put something in.
    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.state)
    }

    /// The scope of an HTTP request.
    pub(super) fn http<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
    ) -> PyResult<Bound<'py, PyDict>> {
        let scope = describe(py, self, request)?;
        // Middleware changes the list in place, so each request has its own.
        if let Some(headers) = scope.get_item(intern!(py, "headers"))?
            && let Ok(headers) = headers.cast_into::<PyList>()
        {
            let own = headers.get_slice(0, headers.len());
            scope.set_item(intern!(py, "headers"), own)?;
        }
        scope.set_item(intern!(py, "extensions"), self.extensions.of(py, &request.head)?)?;
        scope.set_item(intern!(py, "asgi"), self.asgi.bind(py).copy()?)?;
        if let Some(state) = &self.state {
            // Shallow: what a request puts in stays its own, what the lifespan put in is shared.
            scope.set_item(intern!(py, "state"), state.bind(py).copy()?)?;
        }
        Ok(scope)
    }

    /// The scope of a WebSocket (ASGI WebSocket specification, "WebSocket Connection Scope").
    pub(super) fn websocket<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
        protocols: &[String],
    ) -> PyResult<Bound<'py, PyDict>> {
        let (conn, head) = (request.conn(), &*request.head);
        let scope = self.of_connection(py, conn)?;
        scope.set_item(intern!(py, "asgi"), self.asgi.bind(py).copy()?)?;
        self.set_request_line(&scope, head, None)?;
        self.set_fields(&scope, head, conn)?;
        scope.del_item(intern!(py, "method"))?;
        scope.set_item(intern!(py, "type"), intern!(py, "websocket"))?;
        let secure = scope
            .get_item(intern!(py, "scheme"))?
            .is_some_and(|scheme| scheme.eq(intern!(py, "https")).unwrap_or(false));
        let scheme = if secure { intern!(py, "wss") } else { intern!(py, "ws") };
        scope.set_item(intern!(py, "scheme"), scheme)?;
        scope.set_item(intern!(py, "subprotocols"), protocols)?;
        let extensions = PyDict::new(py);
        extensions.set_item("websocket.http.response", PyDict::new(py))?;
        scope.set_item(intern!(py, "extensions"), extensions)?;
        if let Some(state) = &self.state {
            scope.set_item(intern!(py, "state"), state.bind(py).copy()?)?;
        }
        Ok(scope)
    }

    fn set_path(&self, scope: &Bound<'_, PyDict>, head: &RequestHead) -> PyResult<()> {
        let py = scope.py();
        let raw = head.path();
        scope.set_item(intern!(py, "raw_path"), PyBytes::new(py, raw))?;
        let decoded = percent_encoding::percent_decode(raw).decode_utf8_lossy();
        let root = &*self.root_path;
        // `path` includes the root path: a proxy that took it away gets it put back.
        let within = |path: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        if root.is_empty() || within(&decoded) {
            scope.set_item(intern!(py, "path"), &*decoded)
        } else {
            scope.set_item(intern!(py, "path"), format!("{root}{decoded}"))
        }
    }
}

impl Describe for ScopeMaker {
    fn app(&self) -> u32 {
        self.app
    }

    fn of_connection<'py>(&self, py: Python<'py>, conn: &ConnInfo) -> PyResult<Bound<'py, PyDict>> {
        let scope = self.template.bind(py).copy()?;
        scope.set_item(intern!(py, "client"), client(py, conn)?)?;
        scope.set_item(intern!(py, "server"), server(py, conn)?)?;
        scope.set_item(intern!(py, "scheme"), conn.scheme)?;
        Ok(scope)
    }

    fn set_request_line(
        &self,
        scope: &Bound<'_, PyDict>,
        head: &RequestHead,
        last: Option<&RequestHead>,
    ) -> PyResult<()> {
        let py = scope.py();
        if last.is_none_or(|last| last.version() != head.version()) {
            scope.set_item(intern!(py, "http_version"), version(py, head))?;
        }
        if last.is_none_or(|last| last.method() != head.method()) {
            scope.set_item(intern!(py, "method"), method(py, head))?;
        }
        if last.is_none_or(|last| last.path() != head.path()) {
            self.set_path(scope, head)?;
        }
        if last.is_none_or(|last| last.query() != head.query()) {
            scope.set_item(intern!(py, "query_string"), PyBytes::new(py, head.query()))?;
        }
        Ok(())
    }

    fn set_fields(
        &self,
        scope: &Bound<'_, PyDict>,
        head: &RequestHead,
        conn: &ConnInfo,
    ) -> PyResult<()> {
        let py = scope.py();
        scope.set_item(intern!(py, "headers"), headers(py, head)?)?;
        let forwarded = forwarded(head, conn);
        if let Some(client) = forwarded.client {
            // Its port is not known.
            scope.set_item(intern!(py, "client"), (client.to_string(), 0))?;
        }
        if let Some(scheme) = forwarded.scheme {
            scope.set_item(intern!(py, "scheme"), scheme)?;
        }
        Ok(())
    }
}

fn version<'py>(py: Python<'py>, head: &RequestHead) -> Bound<'py, PyString> {
    use crate::http::Version;
    match head.version() {
        Version::Http10 => intern!(py, "1.0"),
        Version::Http11 => intern!(py, "1.1"),
        Version::Http2 => intern!(py, "2"),
    }
    .clone()
}

fn method<'py>(py: Python<'py>, head: &RequestHead) -> Bound<'py, PyString> {
    match head.method() {
        b"GET" => intern!(py, "GET").clone(),
        b"POST" => intern!(py, "POST").clone(),
        // A method is a token, so it is ASCII; the specification wants it in upper case.
        other => PyString::new(py, &String::from_utf8_lossy(other).to_ascii_uppercase()),
    }
}

fn headers<'py>(py: Python<'py>, head: &RequestHead) -> PyResult<Bound<'py, PyList>> {
    NAME_CACHE.with_borrow_mut(|cache| {
        let pairs = head.fields().map(|field| {
            let name = match cache.get(field.name) {
                Some(name) => name.bind(py).clone(),
                None => {
                    if cache.len() >= NAMES {
                        cache.clear();
                    }
                    let name = PyBytes::new(py, field.name);
                    cache.insert(field.name.to_vec(), name.clone().unbind());
                    name
                }
            };
            (name, PyBytes::new(py, field.value))
        });
        let pairs: smallvec::SmallVec<[_; 16]> = pairs.collect();
        PyList::new(py, pairs)
    })
}

fn client<'py>(py: Python<'py>, conn: &ConnInfo) -> PyResult<Option<Bound<'py, PyTuple>>> {
    match &conn.peer {
        Peer::Tcp(_) => (&conn.peer_host, conn.peer_port).into_pyobject(py).map(Some),
        Peer::Unix(_) => Ok(None),
    }
}

fn server<'py>(py: Python<'py>, conn: &ConnInfo) -> PyResult<Bound<'py, PyTuple>> {
    match &conn.local {
        Peer::Tcp(address) => {
            (address.ip().to_canonical().to_string(), address.port()).into_pyobject(py)
        }
        Peer::Unix(path) => {
            let path = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
            (path, py.None()).into_pyobject(py)
        }
    }
}
