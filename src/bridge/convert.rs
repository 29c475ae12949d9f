//! Text and bytes across the boundary.

use std::io;
use std::path::Path;

use bytes::Bytes;
use pyo3::exceptions::{PyConnectionResetError, PyOSError, PyTimeoutError, PyTypeError};
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedBytes;
use pyo3::types::{PyByteArray, PyBytes, PyMemoryView, PyString};

use super::baton::Baton;
use crate::http::BodyError;

/// Python `bytes` larger than this are sent from where they are; smaller ones are copied, which
/// costs less than keeping them alive.
const SHARE_FROM: usize = 8 * 1024;

/// A `str` with one character per byte (latin-1), as PEP 3333 has it.
pub(crate) fn latin1<'py>(py: Python<'py>, bytes: &[u8]) -> Bound<'py, PyString> {
    match std::str::from_utf8(bytes) {
        Ok(text) if bytes.is_ascii() => PyString::new(py, text),
        _ => PyString::new(py, &bytes.iter().map(|&b| char::from(b)).collect::<String>()),
    }
}

/// The bytes of a latin-1 `str`; `None` if it holds a character beyond.
pub(crate) fn from_latin1(text: &str) -> Option<std::borrow::Cow<'_, [u8]>> {
    if text.is_ascii() {
        return Some(text.as_bytes().into());
    }
    text.chars().map(|c| u8::try_from(c).ok()).collect::<Option<Vec<u8>>>().map(Into::into)
}

/// The content of a `bytes` object, copied if small, kept alive if large: no memory is owned by
/// two runtimes.
pub(crate) fn bytes_of(object: &Bound<'_, PyBytes>) -> Bytes {
    let data = object.as_bytes();
    if data.len() < SHARE_FROM {
        Bytes::copy_from_slice(data)
    } else {
        Bytes::from_owner(PyBackedBytes::from(object.clone()))
    }
}

/// The content of any bytes-like object.
///
/// # Errors
/// `TypeError` if it is none.
pub(crate) fn bytes_like(object: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    if let Ok(bytes) = object.cast::<PyBytes>() {
        return Ok(bytes_of(bytes));
    }
    if let Ok(array) = object.cast::<PyByteArray>() {
        // Others may change it at any time, so it is copied.
        return Ok(Bytes::from(array.to_vec()));
    }
    let py = object.py();
    let view = PyMemoryView::from(object).map_err(|_| {
        PyTypeError::new_err(format!("a bytes-like object is required, not {}", type_name(object)))
    })?;
    let bytes = view.call_method0(pyo3::intern!(py, "tobytes"))?;
    Ok(bytes_of(bytes.cast::<PyBytes>()?))
}

/// What the system says of a file, as `open` raises it: with the file's name, and of the class that
/// belongs to the number.
pub(crate) fn os_error(py: Python<'_>, error: io::Error, path: &Path) -> PyErr {
    // Without a number it was not the system that refused.
    let Some(number) = error.raw_os_error() else { return error.into() };
    let text = py.import("os").and_then(|os| os.call_method1("strerror", (number,)));
    let text = text.map_or_else(|_| error.to_string(), |text| text.to_string());
    PyOSError::new_err((number, text, path.as_os_str().to_owned()))
}

/// An object's type, for messages.
pub(crate) fn type_name(object: &Bound<'_, PyAny>) -> String {
    object.get_type().name().map_or_else(|_| "an unknown type".into(), |name| name.to_string())
}

/// The exception for a request body that cannot be had: an `OSError`, as frameworks expect, and
/// known as the client's; `RequestTimeout` in a handler that is over its time.
pub(crate) fn body_error(py: Python<'_>, baton: &Baton, error: BodyError) -> PyErr {
    if error == BodyError::Deadline
        && let Some(error) = baton.time_out(py)
    {
        return error;
    }
    let text = error.to_string();
    super::app::of_client(
        py,
        match error {
            BodyError::Disconnected => PyConnectionResetError::new_err(text),
            BodyError::TimedOut | BodyError::Deadline => PyTimeoutError::new_err(text),
            BodyError::Malformed | BodyError::TooLarge | BodyError::Answered => {
                PyOSError::new_err(text)
            }
        },
    )
}
