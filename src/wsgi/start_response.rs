//! `start_response` and `write` (PEP 3333, "The start_response() Callable").

use std::os::fd::IntoRawFd;
use std::sync::Arc;

use pyo3::exceptions::{PyAssertionError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString, PyTuple};

use super::body;
use super::exchange::Exchange;
use crate::bridge::convert::{bytes_of, from_latin1, type_name};
use crate::http::{FieldError, ResponseHead, WriteError};

/// Its method is the callable that an application begins its response with.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct StartResponse {
    pub(super) exchange: Arc<Exchange>,
    pub(super) write: Py<Write>,
}

#[pymethods]
impl StartResponse {
    #[pyo3(signature = (status, headers, /, exc_info=None))]
    fn start_response(
        &self,
        py: Python<'_>,
        status: &Bound<'_, PyString>,
        headers: &Bound<'_, PyAny>,
        exc_info: Option<&Bound<'_, PyTuple>>,
    ) -> PyResult<Py<Write>> {
        let head = head_of(status.to_str()?, headers)?;
        let begun = self.exchange.write(|writer| {
            if exc_info.is_none() && writer.started() {
                return Ok(false);
            }
            writer.start(head).map(|()| true)
        });
        match (begun, exc_info) {
            (Ok(true), _) => Ok(self.write.clone_ref(py)),
            (Ok(false), _) => Err(PyAssertionError::new_err(
                "start_response was called a second time without exc_info",
            )),
            // Too late for another head: the error goes on to the server.
            (Err(WriteError::Started | WriteError::Ended), Some(exc_info)) => {
                Err(PyErr::from_value(exc_info.get_item(1)?))
            }
            (Err(error), _) => Err(PyAssertionError::new_err(error.to_string())),
        }
    }

    /// `wsgi.early_hints`: sends `103 Early Hints` (RFC 8297) with these headers, now. Does nothing
    /// once the response has begun.
    #[pyo3(signature = (headers, /))]
    fn early_hints(&self, headers: &Bound<'_, PyAny>) -> PyResult<()> {
        let mut head = ResponseHead::new(103);
        headers.try_iter()?.try_for_each(|item| push(&mut head, &item?))?;
        // A hint that comes too late, or to nobody, is nobody's loss.
        let _ = self.exchange.write(|writer| writer.interim(head));
        Ok(())
    }

    /// Takes the connection over and returns the descriptor of a socket that speaks with the
    /// client; the caller owns it. Raises `OSError` if the response has begun or the client has
    /// gone.
    fn hijack(&self, py: Python<'_>) -> PyResult<i32> {
        let mut state = self.exchange.state();
        let taken = match &mut state.writer {
            Some(_) if !self.exchange.baton().may_set_aside() => Err(std::io::Error::new(
                std::io::ErrorKind::WouldBlock,
                "too many connections have been taken over: threads are needed for requests",
            )),
            Some(writer) => writer.hijack(),
            None => Err(std::io::ErrorKind::NotConnected.into()),
        };
        state.hijacked |= taken.is_ok();
        drop(state);
        let taken = taken?.into_raw_fd();
        self.exchange.baton().set_aside(py);
        Ok(taken)
    }
}

/// Parses `"200 OK"` and the list of fields.
fn head_of(status: &str, headers: &Bound<'_, PyAny>) -> PyResult<ResponseHead> {
    let (code, reason) = status.split_once(' ').unwrap_or((status, ""));
    let code = (code.len() == 3)
        .then(|| code.parse().ok())
        .flatten()
        .filter(|code| (200..=999).contains(code))
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "status must be like '200 OK', three digits from 200 up, not {status:?}"
            ))
        })?;
    let mut head = ResponseHead::new(code);
    let reason = from_latin1(reason.trim()).ok_or_else(|| {
        PyValueError::new_err(format!("status {status:?} holds characters beyond latin-1"))
    })?;
    head.set_reason(&reason).map_err(value_error)?;
    match headers.cast_exact::<PyList>() {
        Ok(list) => list.iter().try_for_each(|item| push(&mut head, &item))?,
        Err(_) => headers.try_iter()?.try_for_each(|item| push(&mut head, &item?))?,
    }
    Ok(head)
}

fn push(head: &mut ResponseHead, item: &Bound<'_, PyAny>) -> PyResult<()> {
    let pair = item.cast::<PyTuple>().ok().filter(|pair| pair.len() == 2).ok_or_else(|| {
        PyTypeError::new_err(format!(
            "each header must be a (name, value) tuple, not {}",
            type_name(item)
        ))
    })?;
    let (name, value) = (pair.get_borrowed_item(0)?, pair.get_borrowed_item(1)?);
    let name = text(&name, "name")?;
    let value = text(&value, "value")?;
    head.push(&name, value.trim_ascii()).map_err(value_error)?;
    Ok(())
}

fn text<'a>(object: &'a Bound<'_, PyAny>, what: &str) -> PyResult<std::borrow::Cow<'a, [u8]>> {
    let text = object.cast::<PyString>().map_err(|_| {
        PyTypeError::new_err(format!("header {what} must be str, not {}", type_name(object)))
    })?;
    from_latin1(text.to_str()?).ok_or_else(|| {
        PyValueError::new_err(format!("header {what} holds characters beyond latin-1"))
    })
}

fn value_error(error: FieldError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// The `write` that `start_response` returns, for applications that do not return an iterable.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Write(pub(super) Arc<Exchange>);

#[pymethods]
impl Write {
    #[pyo3(signature = (data, /))]
    fn __call__(&self, py: Python<'_>, data: &Bound<'_, PyBytes>) -> PyResult<()> {
        let data = bytes_of(data);
        let over = self.0.write(|writer| Ok(writer.would_exceed(data.len()))) == Ok(true);
        body::write(py, &self.0, data).map_err(|error| body::write_error(py, &self.0, error))?;
        if over {
            return Err(PyAssertionError::new_err(
                "write() of more than the declared Content-Length",
            ));
        }
        Ok(())
    }
}
