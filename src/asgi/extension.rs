//! Files that the kernel sends (ASGI extensions "Path Send" and "Zero Copy Send"), and which
//! extensions a connection has.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use pyo3::exceptions::PyValueError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::bridge::descriptors::duplicate;
use crate::http::{FilePart, RequestHead, Version, list_has};

const PATH: &str = "http.response.pathsend";
const FILE: &str = "http.response.zerocopysend";
const HINT: &str = "http.response.early_hint";
const TRAILERS: &str = "http.response.trailers";

/// The `extensions` of scopes: what works on a connection.
pub(super) struct Extensions {
    path: Py<PyString>,
    file: Py<PyString>,
    hint: Py<PyString>,
    trailers: Py<PyString>,
}

impl Extensions {
    /// Makes the names, which all requests share.
    pub(super) fn new(py: Python<'_>) -> Self {
        let name = |name| PyString::intern(py, name).unbind();
        Self { path: name(PATH), file: name(FILE), hint: name(HINT), trailers: name(TRAILERS) }
    }

    /// Those of a request's scope, the application's own through and through.
    pub(super) fn of<'py>(
        &self,
        py: Python<'py>,
        head: &RequestHead,
    ) -> PyResult<Bound<'py, PyDict>> {
        let all = PyDict::new(py);
        let add = |name: &Py<PyString>| all.set_item(name, PyDict::new(py));
        add(&self.path)?;
        add(&self.file)?;
        // hyper sends no interim responses on HTTP/2. Who does not say that it wants trailers on
        // HTTP/1.1 may throw them away (RFC 9110 section 6.5.1).
        let (hints, trailers) = match head.version() {
            Version::Http10 => (false, false),
            Version::Http11 => (true, head.get(b"te").is_some_and(|te| list_has(te, b"trailers"))),
            Version::Http2 => (false, true),
        };
        if hints {
            add(&self.hint)?;
        }
        if trailers {
            add(&self.trailers)?;
        }
        Ok(all)
    }
}

fn needed<'py>(message: &Bound<'py, PyDict>, key: &str) -> PyResult<Bound<'py, PyAny>> {
    message
        .get_item(key)?
        .ok_or_else(|| PyValueError::new_err(format!("the message needs {key:?}")))
}

/// The file of `http.response.pathsend`.
pub(super) fn whole_file(message: &Bound<'_, PyDict>) -> PyResult<FilePart> {
    let path: PathBuf = needed(message, "path")?.extract()?;
    // A pipe would wait for somebody to write to it.
    let opened = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(&path);
    let file = opened.map_err(|error| {
        PyErr::from(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
    })?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(PyValueError::new_err(format!("{} is no plain file", path.display())));
    }
    Ok(FilePart::new(file, 0, found.len()))
}

/// The part of an open file that `http.response.zerocopysend` names.
pub(super) fn open_file(message: &Bound<'_, PyDict>) -> PyResult<FilePart> {
    let py = message.py();
    let os = py.import(intern!(py, "os"))?;
    let given = needed(message, "file")?;
    let descriptor = match given.extract::<i32>() {
        Ok(number) => number,
        Err(_) => given.call_method0(intern!(py, "fileno"))?.extract()?,
    };
    let file = duplicate(descriptor)?;
    let number = |key: &str| -> PyResult<Option<u64>> {
        match message.get_item(key)? {
            Some(value) if !value.is_none() => value.extract().map(Some),
            _ => Ok(None),
        }
    };
    let seek = |to: u64, whence: i32| -> PyResult<u64> {
        os.call_method1(intern!(py, "lseek"), (descriptor, to, whence))?.extract()
    };
    let (given, count) = (number("offset")?, number("count")?);
    let offset = match given {
        Some(offset) => offset,
        None => seek(0, 1)?,
    };
    let rest = file.metadata()?.len().saturating_sub(offset);
    let len = count.map_or(rest, |count| count.min(rest));
    if given.is_none() {
        // What is sent counts as read.
        seek(offset + len, 0)?;
    }
    Ok(FilePart::new(file, offset, len))
}
