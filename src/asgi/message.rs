//! Messages between application and server, as dictionaries.

use bytes::Bytes;
use pyo3::exceptions::{PyRuntimeError, PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString, PyTuple};

use super::extension;

use crate::bridge::convert::{bytes_like, bytes_of, type_name};
use crate::http::{FieldError, FilePart, ResponseHead};

/// What an application sends.
pub(super) enum Sent {
    /// `http.response.start`; whether trailers will follow the body
    Start(ResponseHead, bool),
    /// `http.response.body`
    Body { data: Bytes, more: bool },
    /// `http.response.trailers`
    Trailers { head: ResponseHead, more: bool },
    /// `http.response.early_hint`
    EarlyHint(ResponseHead),
    /// `http.response.pathsend` and `http.response.zerocopysend`
    File { part: FilePart, more: bool },
}

/// Reads a message of the application.
///
/// # Errors
/// `TypeError`, `ValueError` or `KeyError` naming what is wrong with it.
pub(super) fn parse(message: &Bound<'_, PyDict>) -> PyResult<Sent> {
    let py = message.py();
    let kind = message
        .get_item(intern!(py, "type"))?
        .ok_or_else(|| PyValueError::new_err("an ASGI message needs a 'type'"))?;
    match kind.extract::<&str>()? {
        "http.response.body" => {
            let (data, more) = body(message)?;
            Ok(Sent::Body { data, more })
        }
        "http.response.start" => {
            let trailers = truth(message, intern!(py, "trailers"))?;
            Ok(Sent::Start(start(message)?, trailers))
        }
        "http.response.trailers" => {
            let mut head = ResponseHead::new(200);
            fields(message, &mut head)?;
            Ok(Sent::Trailers { head, more: truth(message, intern!(py, "more_trailers"))? })
        }
        "http.response.early_hint" => early_hint(message).map(Sent::EarlyHint),
        "http.response.pathsend" => {
            Ok(Sent::File { part: extension::whole_file(message)?, more: false })
        }
        "http.response.zerocopysend" => {
            let more = truth(message, intern!(py, "more_body"))?;
            Ok(Sent::File { part: extension::open_file(message)?, more })
        }
        other => Err(PyRuntimeError::new_err(format!(
            "an HTTP response takes 'http.response.start' and 'http.response.body', not '{other}'"
        ))),
    }
}

fn truth(message: &Bound<'_, PyDict>, key: &Bound<'_, PyString>) -> PyResult<bool> {
    message.get_item(key)?.map_or(Ok(false), |value| value.is_truthy())
}

fn early_hint(message: &Bound<'_, PyDict>) -> PyResult<ResponseHead> {
    let mut head = ResponseHead::new(103);
    if let Some(links) = message.get_item(intern!(message.py(), "links"))? {
        for link in links.try_iter()? {
            head.push(b"link", field(&link?, "link")?).map_err(value_error)?;
        }
    }
    Ok(head)
}

/// What a message carries of a body, and whether more will follow.
pub(super) fn body(message: &Bound<'_, PyDict>) -> PyResult<(Bytes, bool)> {
    let py = message.py();
    let data = match message.get_item(intern!(py, "body"))? {
        Some(body) => match body.cast::<PyBytes>() {
            Ok(bytes) => bytes_of(bytes),
            Err(_) => bytes_like(&body)?,
        },
        None => Bytes::new(),
    };
    Ok((data, truth(message, intern!(py, "more_body"))?))
}

/// The head of a response.
pub(super) fn start(message: &Bound<'_, PyDict>) -> PyResult<ResponseHead> {
    let py = message.py();
    let status: u16 = message
        .get_item(intern!(py, "status"))?
        .ok_or_else(|| PyValueError::new_err("http.response.start needs a 'status'"))?
        .extract()?;
    if !(200..=999).contains(&status) {
        return Err(PyValueError::new_err(format!("status must be 200 to 999, not {status}")));
    }
    let mut head = ResponseHead::new(status);
    fields(message, &mut head)?;
    Ok(head)
}

fn fields(message: &Bound<'_, PyDict>, head: &mut ResponseHead) -> PyResult<()> {
    each_header(message, |name, value| head.push(name, value).map(drop).map_err(value_error))
}

fn value_error(error: FieldError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Gives the headers of a message to `take`.
pub(super) fn each_header(
    message: &Bound<'_, PyDict>,
    mut take: impl FnMut(&[u8], &[u8]) -> PyResult<()>,
) -> PyResult<()> {
    if let Some(headers) = message.get_item(intern!(message.py(), "headers"))? {
        // A list needs no iterator of Python's.
        if let Ok(list) = headers.cast_exact::<PyList>() {
            for pair in list {
                header(&pair, &mut take)?;
            }
        } else {
            for pair in headers.try_iter()? {
                header(&pair?, &mut take)?;
            }
        }
    }
    Ok(())
}

fn header(
    pair: &Bound<'_, PyAny>,
    take: &mut impl FnMut(&[u8], &[u8]) -> PyResult<()>,
) -> PyResult<()> {
    let (name, value) = name_and_value(pair)?;
    let name = field(&name, "name")?;
    let value = field(&value, "value")?;
    take(name, value.trim_ascii())
}

fn name_and_value<'py>(
    pair: &Bound<'py, PyAny>,
) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyAny>)> {
    if let Ok(tuple) = pair.cast_exact::<PyTuple>()
        && tuple.len() == 2
    {
        return Ok((tuple.get_item(0)?, tuple.get_item(1)?));
    }
    if let Ok(list) = pair.cast_exact::<PyList>()
        && list.len() == 2
    {
        return Ok((list.get_item(0)?, list.get_item(1)?));
    }
    let mut items = pair.try_iter()?;
    match (items.next(), items.next(), items.next()) {
        (Some(name), Some(value), None) => Ok((name?, value?)),
        _ => Err(PyTypeError::new_err("each header must be a (name, value) pair")),
    }
}

fn field<'a>(object: &'a Bound<'_, PyAny>, what: &str) -> PyResult<&'a [u8]> {
    match object.cast::<PyBytes>() {
        Ok(bytes) => Ok(bytes.as_bytes()),
        Err(_) => Err(PyTypeError::new_err(format!(
            "header {what} must be bytes, not {}",
            type_name(object)
        ))),
    }
}

/// `http.request`
pub(super) fn request<'py>(
    py: Python<'py>,
    data: &[u8],
    more: bool,
) -> PyResult<Bound<'py, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.request"))?;
    message.set_item(intern!(py, "body"), PyBytes::new(py, data))?;
    message.set_item(intern!(py, "more_body"), more)?;
    Ok(message)
}

/// `http.disconnect`
pub(super) fn disconnect(py: Python<'_>) -> PyResult<Bound<'_, PyDict>> {
    let message = PyDict::new(py);
    message.set_item(intern!(py, "type"), intern!(py, "http.disconnect"))?;
    Ok(message)
}
