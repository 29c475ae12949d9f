//! What all faces say when an application fails.

use pyo3::prelude::*;

use super::log_sink;
use crate::http::{RequestHead, ResponseWriter, WriteError};

/// A request in a log line: `GET /path`.
pub(crate) fn describe(head: &RequestHead) -> String {
    format!(
        "{} {}",
        String::from_utf8_lossy(head.method()),
        String::from_utf8_lossy(head.path()).escape_default()
    )
}

/// Logs an application's exception, and answers 500 or cuts the response.
pub(crate) fn fail(py: Python<'_>, what: &str, error: &PyErr, writer: &mut ResponseWriter) {
    let outcome = if writer.committed() {
        "the response was cut, since its head had been sent"
    } else {
        "answered with 500"
    };
    log_sink::app_error(py, &format!("Exception in {what}; {outcome}"), error);
    writer.fail(500);
}

/// Logs an end that the application got wrong; a client gone is nobody's error.
pub(crate) fn note_end(what: &str, ended: Result<(), WriteError>) {
    if let Err(error @ WriteError::Short(_)) = ended {
        log::error!(target: "gohttp.error", "{what}: {error}; the connection was closed");
    }
}
