//! What all faces say when an application fails.

use pyo3::intern;
use pyo3::prelude::*;

use super::interrupt::is_timeout;
use super::log_sink;
use crate::http::{RequestHead, ResponseWriter, WriteError};

/// A request in a log line: `GET /path`, and its name if it has one.
pub(crate) fn describe(head: &RequestHead) -> String {
    let name = head.id().map(|id| format!(" ({})", String::from_utf8_lossy(id)));
    format!(
        "{} {}{}",
        String::from_utf8_lossy(head.method()),
        String::from_utf8_lossy(head.path()).escape_default(),
        name.unwrap_or_default()
    )
}

/// Marks an exception as caused by the client, so that it is not taken for the application's
/// fault if the application lets it pass.
pub(crate) fn of_client(py: Python<'_>, error: PyErr) -> PyErr {
    // Built-in exceptions take attributes; if not, the error is merely logged louder.
    let _ = error.value(py).setattr(intern!(py, "_gohttp_client"), true);
    error
}

/// Whether an exception is the client's, or was raised because of one that is.
pub(crate) fn is_of_client(py: Python<'_>, error: &PyErr) -> bool {
    fn search(error: &Bound<'_, PyAny>, depth: u32) -> bool {
        let py = error.py();
        if depth == 0 || error.is_none() {
            return false;
        }
        if error.hasattr(intern!(py, "_gohttp_client")).unwrap_or(false) {
            return true;
        }
        let caused = |name: &str| {
            error.getattr_opt(name).ok().flatten().is_some_and(|cause| search(&cause, depth - 1))
        };
        if caused("__cause__") || caused("__context__") {
            return true;
        }
        let members = error.getattr_opt("exceptions").ok().flatten();
        members.and_then(|members| members.try_iter().ok()).is_some_and(|mut members| {
            members.any(|member| member.is_ok_and(|member| search(&member, depth - 1)))
        })
    }
    search(error.value(py).as_any(), 16)
}

/// What `gohttp.BadRequest` is to be answered with.
fn status_of(py: Python<'_>, error: &PyErr) -> Option<u16> {
    let status = error.value(py).getattr_opt(intern!(py, "_gohttp_status")).ok().flatten()?;
    status.extract().ok().filter(|status| (400..600).contains(status))
}

/// Logs an application's exception, and answers 500 or cuts the response. What the application
/// could not read or write because of the client is the client's fault.
///
/// `with_writer` runs what it is given on the response's writer: logging calls Python, which must
/// not happen while the writer is locked.
pub(crate) fn fail(
    py: Python<'_>,
    what: &str,
    error: &PyErr,
    with_writer: impl Fn(&mut dyn FnMut(&mut ResponseWriter)),
) {
    if is_timeout(py, error) {
        log::info!(target: "gohttp.request", "{what} was ended by its time-out");
        return with_writer(&mut |writer| writer.fail(504));
    }
    if let Some(status) = status_of(py, error) {
        log::info!(target: "gohttp.request", "{what}: {}", error.value(py));
        return with_writer(&mut |writer| {
            if !writer.ended() {
                writer.fail(status);
            }
        });
    }
    let mut fault = None;
    let (mut committed, mut ended) = (false, false);
    with_writer(&mut |writer| {
        fault = writer.client_fault();
        committed = writer.committed();
        ended = writer.ended();
    });
    let status = match fault {
        Some(fault) if is_of_client(py, error) => {
            log::info!(target: "gohttp.request", "{what} was given up: {fault}");
            fault.status()
        }
        _ => {
            let outcome = match (ended, committed) {
                (true, _) => "its response had been sent",
                (_, true) => "the response was cut, since its head had been sent",
                _ => "answered with 500",
            };
            log_sink::app_error(py, &format!("Exception in {what}; {outcome}"), error);
            500
        }
    };
    with_writer(&mut |writer| {
        if !writer.ended() {
            writer.fail(status);
        }
    });
}

/// Logs that the application gives more than it declared, none of which is sent.
pub(crate) fn note_surplus(what: &str) {
    log::warn!(
        target: "gohttp.response",
        "{what}: the application sent more than its Content-Length: the rest was cut"
    );
}

/// Logs an end that the application got wrong; a client gone is nobody's error.
pub(crate) fn note_end(what: impl FnOnce() -> String, ended: Result<(), WriteError>) {
    if let Err(error @ WriteError::Short(_)) = ended {
        log::error!(target: "gohttp.error", "{}: {error}; the connection was closed", what());
    }
}
