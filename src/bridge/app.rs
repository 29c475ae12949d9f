//! What all faces say when an application fails.

use pyo3::exceptions::PyOSError;
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

/// Logs an application's exception, and answers 500 or cuts the response. What the application
/// could not read or write because of the client is the client's fault.
pub(crate) fn fail(py: Python<'_>, what: &str, error: &PyErr, writer: &mut ResponseWriter) {
    if let Some(fault) = writer.client_fault()
        && error.is_instance_of::<PyOSError>(py)
    {
        log::info!(target: "gohttp.request", "{what} was given up: {fault}");
        if writer.committed() {
            writer.abort();
        } else {
            writer.fail(fault.status());
        }
        return;
    }
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
