//! The environ dictionary (PEP 3333, "environ Variables").
//!
//! Most of it is the same for every request of a connection: see [`describe`]. Names of header
//! variables, and their last values, are kept per thread, so that a usual request makes few
//! strings.

use std::cell::RefCell;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};
use rustc_hash::FxHashMap;

use crate::bridge::convert::latin1;
use crate::bridge::last_request::{Describe, describe};
use crate::bridge::mount::Mount;
use crate::bridge::settings::Settings;
use crate::http::{ConnInfo, Field, Peer, Request, RequestHead, forwarded};

/// Header names kept per thread; clients can invent more.
const MAX_NAMES: usize = 256;
/// Values longer than this are not compared with the last one.
const LONG_VALUE: usize = 160;

/// Makes environ dictionaries.
pub(super) struct Environ {
    template: Py<PyDict>,
    root_path: Vec<u8>,
    mount: Mount,
}

struct Name {
    variable: Py<PyString>,
    last: Vec<u8>,
    value: Option<Py<PyString>>,
}

type Names = FxHashMap<Vec<u8>, Name>;

thread_local! {
    static NAMES: RefCell<Names> = RefCell::default();
}

impl Environ {
    pub(super) fn new(py: Python<'_>, settings: &Settings, mount: Mount) -> PyResult<Self> {
        let template = PyDict::new(py);
        let root_path = settings.root_path.trim_end_matches('/').as_bytes().to_vec();
        let script_name = [&root_path, mount.prefix.as_bytes()].concat();
        template.set_item("SCRIPT_NAME", latin1(py, &script_name))?;
        template.set_item("SERVER_SOFTWARE", concat!("gohttp/", env!("CARGO_PKG_VERSION")))?;
        template.set_item("GATEWAY_INTERFACE", "CGI/1.1")?;
        template.set_item("wsgi.version", (1, 0))?;
        template.set_item("wsgi.errors", py.import("sys")?.getattr("stderr")?)?;
        template.set_item("wsgi.multithread", settings.threads > 1)?;
        template.set_item("wsgi.multiprocess", settings.multiprocess())?;
        template.set_item("wsgi.run_once", false)?;
        template.set_item("wsgi.file_wrapper", py.get_type::<super::FileWrapper>())?;
        // The input ends by itself, also where no length was declared.
        template.set_item("wsgi.input_terminated", true)?;
        Ok(Self { template: template.unbind(), root_path, mount })
    }

    /// The environ of one request, all but `wsgi.input`.
    pub(super) fn build<'py>(
        &self,
        py: Python<'py>,
        request: &Request,
    ) -> PyResult<Bound<'py, PyDict>> {
        describe(py, self, request)
    }

    fn path_info<'py>(&self, py: Python<'py>, path: &[u8]) -> Bound<'py, PyString> {
        let decoded: std::borrow::Cow<'_, [u8]> = if memchr::memchr(b'%', path).is_some() {
            percent_encoding::percent_decode(path).into()
        } else {
            path.into()
        };
        // A proxy that has not taken the prefix away leaves that to us.
        let inner = below(&decoded, &self.root_path).unwrap_or(&decoded);
        latin1(py, below(inner, self.mount.prefix.as_bytes()).unwrap_or(inner))
    }
}

/// What comes after `prefix`, if `path` is that or lies below it.
fn below<'a>(path: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest[0] == b'/')
}

impl Describe for Environ {
    fn app(&self) -> u32 {
        self.mount.number
    }

    fn of_connection<'py>(&self, py: Python<'py>, conn: &ConnInfo) -> PyResult<Bound<'py, PyDict>> {
        let environ = self.template.bind(py).copy()?;
        let (name, port) = match &conn.local {
            Peer::Tcp(address) => {
                (address.ip().to_canonical().to_string(), address.port().to_string())
            }
            // Neither may be empty (PEP 3333); a URL made of them must be one.
            Peer::Unix(_) => ("localhost".to_owned(), "80".to_owned()),
        };
        environ.set_item(intern!(py, "SERVER_NAME"), name)?;
        environ.set_item(intern!(py, "SERVER_PORT"), port)?;
        environ.set_item(intern!(py, "REMOTE_ADDR"), &conn.peer_host)?;
        if conn.peer_port != 0 {
            environ.set_item(intern!(py, "REMOTE_PORT"), conn.peer_port.to_string())?;
        }
        environ.set_item(intern!(py, "wsgi.url_scheme"), conn.scheme)?;
        // Set for each request; here so that the dictionary need not grow then.
        environ.set_item(intern!(py, "wsgi.input"), py.None())?;
        Ok(environ)
    }

    fn set_request_line(
        &self,
        environ: &Bound<'_, PyDict>,
        head: &RequestHead,
        last: Option<&RequestHead>,
    ) -> PyResult<()> {
        let py = environ.py();
        if last.is_none_or(|last| last.method() != head.method()) {
            environ.set_item(intern!(py, "REQUEST_METHOD"), method(py, head))?;
        }
        if last.is_none_or(|last| last.path() != head.path()) {
            environ.set_item(intern!(py, "PATH_INFO"), self.path_info(py, head.path()))?;
        }
        if last.is_none_or(|last| last.query() != head.query()) {
            environ.set_item(intern!(py, "QUERY_STRING"), latin1(py, head.query()))?;
        }
        if last.is_none_or(|last| (last.path(), last.query()) != (head.path(), head.query())) {
            // As it was sent; the two names that servers have given it.
            let target = latin1(py, &head.target());
            environ.set_item(intern!(py, "RAW_URI"), &target)?;
            environ.set_item(intern!(py, "REQUEST_URI"), target)?;
        }
        if last.is_none_or(|last| last.version() != head.version()) {
            environ.set_item(intern!(py, "SERVER_PROTOCOL"), protocol(py, head))?;
        }
        Ok(())
    }

    fn set_fields(
        &self,
        environ: &Bound<'_, PyDict>,
        head: &RequestHead,
        conn: &ConnInfo,
    ) -> PyResult<()> {
        let py = environ.py();
        NAMES.with_borrow_mut(|names| set_fields(py, environ, head, names))?;
        let forwarded = forwarded(head, conn);
        if let Some(client) = forwarded.client {
            environ.set_item(intern!(py, "REMOTE_ADDR"), client.to_string())?;
            if conn.peer_port != 0 {
                environ.del_item(intern!(py, "REMOTE_PORT"))?;
            }
        }
        if let Some(scheme) = forwarded.scheme {
            environ.set_item(intern!(py, "wsgi.url_scheme"), scheme)?;
        }
        Ok(())
    }
}

fn method<'py>(py: Python<'py>, head: &RequestHead) -> Bound<'py, PyString> {
    match head.method() {
        b"GET" => intern!(py, "GET").clone(),
        b"POST" => intern!(py, "POST").clone(),
        other => latin1(py, other),
    }
}

fn protocol<'py>(py: Python<'py>, head: &RequestHead) -> Bound<'py, PyString> {
    use crate::http::Version;
    match head.version() {
        Version::Http10 => intern!(py, "HTTP/1.0"),
        Version::Http11 => intern!(py, "HTTP/1.1"),
        Version::Http2 => intern!(py, "HTTP/2"),
    }
    .clone()
}

fn set_fields(
    py: Python<'_>,
    environ: &Bound<'_, PyDict>,
    head: &RequestHead,
    names: &mut Names,
) -> PyResult<()> {
    let before = environ.len();
    let mut set = 0;
    let mut dropped = None;
    for field in head.fields() {
        // `X_Foo` and `X-Foo` would be one variable: whoever checks the one would be fooled by
        // the other.
        if memchr::memchr(b'_', field.name).is_some() {
            dropped.get_or_insert(field.name);
            continue;
        }
        set_field(py, environ, field, names)?;
        set += 1;
    }
    if let Some(name) = dropped {
        log::info!(
            target: "gohttp.request",
            "header {:?} dropped: with '_' it could pass for another one in environ",
            String::from_utf8_lossy(&name[..name.len().min(64)])
        );
    }
    if environ.len() != before + set {
        join_repeated(py, environ, head)?;
    }
    Ok(())
}

fn set_field(
    py: Python<'_>,
    environ: &Bound<'_, PyDict>,
    field: Field<'_>,
    names: &mut Names,
) -> PyResult<()> {
    if !names.contains_key(field.name) {
        if names.len() >= MAX_NAMES {
            names.clear();
        }
        let variable = PyString::intern(py, &variable(field.name)).unbind();
        names.insert(field.name.to_vec(), Name { variable, last: Vec::new(), value: None });
    }
    let Some(name) = names.get_mut(field.name) else { return Ok(()) };
    if field.value.len() > LONG_VALUE {
        return environ.set_item(&name.variable, latin1(py, field.value));
    }
    match &name.value {
        Some(value) if name.last == field.value => environ.set_item(&name.variable, value),
        _ => {
            let value = latin1(py, field.value);
            environ.set_item(&name.variable, &value)?;
            name.last.clear();
            name.last.extend_from_slice(field.value);
            name.value = Some(value.unbind());
            Ok(())
        }
    }
}

/// `content-type` → `CONTENT_TYPE`, `x-y` → `HTTP_X_Y`.
fn variable(name: &[u8]) -> String {
    let upper: String = name
        .iter()
        .map(|&b| if b == b'-' { '_' } else { char::from(b.to_ascii_uppercase()) })
        .collect();
    if matches!(name, b"content-type" | b"content-length") {
        upper
    } else {
        format!("HTTP_{upper}")
    }
}

/// Repeated fields are one variable: joined by commas, cookies by semicolons.
fn join_repeated(py: Python<'_>, environ: &Bound<'_, PyDict>, head: &RequestHead) -> PyResult<()> {
    for (at, field) in head.fields().enumerate() {
        let same = || head.fields().filter(|other| other.name == field.name);
        let first = head.fields().take(at).all(|other| other.name != field.name);
        if !first || same().count() < 2 || memchr::memchr(b'_', field.name).is_some() {
            continue;
        }
        let separator: &[u8] = if field.name == b"cookie" { b"; " } else { b"," };
        let joined = same().map(|other| other.value).collect::<Vec<_>>().join(separator);
        environ.set_item(variable(field.name), latin1(py, &joined))?;
    }
    Ok(())
}
