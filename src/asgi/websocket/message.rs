//! What `receive()` gives: messages for the application, as dictionaries.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyString};

use crate::websocket::{Closed, Message};

/// The first message of all.
pub(super) fn connect(py: Python<'_>) -> PyResult<Py<PyAny>> {
    typed(py, intern!(py, "websocket.connect")).map(into_any)
}

fn into_any(message: Bound<'_, PyDict>) -> Py<PyAny> {
    message.into_any().unbind()
}

fn typed<'py>(py: Python<'py>, kind: &Bound<'py, PyString>) -> PyResult<Bound<'py, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), kind)?;
    Ok(message)
}

/// What the client has sent.
pub(super) fn received(py: Python<'_>, received: &Message) -> PyResult<Py<PyAny>> {
    let message = typed(py, intern!(py, "websocket.receive"))?;
    match received {
        Message::Text(text) => message.set_item(intern!(py, "text"), text)?,
        Message::Binary(data) => message.set_item(intern!(py, "bytes"), PyBytes::new(py, data))?,
    }
    Ok(into_any(message))
}

/// The WebSocket has ended.
pub(super) fn disconnect(py: Python<'_>, closed: &Closed) -> PyResult<Py<PyAny>> {
    let message = typed(py, intern!(py, "websocket.disconnect"))?;
    message.set_item(intern!(py, "code"), closed.code)?;
    message.set_item(intern!(py, "reason"), &closed.reason)?;
    Ok(into_any(message))
}
