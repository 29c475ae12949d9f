//! The iterable that an application returns: sent piece by piece, closed once.

use std::task::Poll;

use bytes::Bytes;
use pyo3::exceptions::{PyAssertionError, PyConnectionResetError, PyTypeError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};

use super::FileWrapper;
use super::exchange::Exchange;
use crate::bridge::convert::{bytes_of, type_name};
use crate::bridge::{app, log_sink};
use crate::http::WriteError;

/// Sends what the application returned, and calls its `close` whatever happens.
pub(super) fn send(
    py: Python<'_>,
    exchange: &Exchange,
    iterable: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let sent = if let Ok(list) = iterable.cast_exact::<PyList>() {
        return send_known(py, exchange, list.iter());
    } else if let Ok(tuple) = iterable.cast_exact::<PyTuple>() {
        return send_known(py, exchange, tuple.iter());
    } else {
        match iterable.cast_exact::<FileWrapper>() {
            Ok(file) => send_file(py, exchange, file),
            Err(_) => send_each(py, exchange, iterable),
        }
    };
    if let Err(error) = &sent {
        exchange.fail(py, error);
    }
    exchange.baton().leave_in_peace(py, || exchange.is_expired());
    close(py, exchange, iterable);
    Ok(())
}

fn close(py: Python<'_>, exchange: &Exchange, iterable: &Bound<'_, PyAny>) {
    let closed = match iterable.getattr_opt(intern!(py, "close")) {
        Ok(Some(close)) => close.call0().map(drop),
        Ok(None) => Ok(()),
        Err(error) => Err(error),
    };
    if let Err(error) = closed {
        log_sink::app_error(
            py,
            &format!("Exception in close() of {}", exchange.describe()),
            &error,
        );
    }
}

/// A list or tuple: all of it is there, so its length is known.
fn send_known<'py>(
    py: Python<'py>,
    exchange: &Exchange,
    items: impl Iterator<Item = Bound<'py, PyAny>>,
) -> PyResult<()> {
    let mut pieces: smallvec::SmallVec<[Bytes; 2]> = smallvec::SmallVec::new();
    for item in items {
        pieces.push(piece(&item)?);
    }
    let length = pieces.iter().map(Bytes::len).sum();
    let ended = exchange.give(py, length, |writer| {
        if writer.started() {
            writer.declare_length(length as u64);
        }
        let last = pieces.pop().unwrap_or_default();
        for piece in pieces {
            writer.write(piece)?;
        }
        writer.finish(last)
    });
    concluded(exchange, ended)
}

/// A client that has gone is nobody's error; a body shorter than declared is logged.
fn concluded(exchange: &Exchange, ended: Result<(), WriteError>) -> PyResult<()> {
    if ended == Err(WriteError::NotStarted) {
        return Err(not_started());
    }
    app::note_end(|| exchange.describe(), ended);
    Ok(())
}

/// A file goes out by itself, and the thread is free at once.
fn send_file(
    py: Python<'_>,
    exchange: &Exchange,
    wrapper: &Bound<'_, FileWrapper>,
) -> PyResult<()> {
    // What cannot be found out about the file is tried again by reading it.
    let part = wrapper.get().part(py).ok().flatten();
    let Some(part) = part else { return send_each(py, exchange, wrapper) };
    match exchange.write(|writer| writer.finish_with_file(part)) {
        Ok(Some(_short)) => send_each(py, exchange, wrapper),
        ended => concluded(exchange, ended.map(drop)),
    }
}

fn send_each(py: Python<'_>, exchange: &Exchange, iterable: &Bound<'_, PyAny>) -> PyResult<()> {
    // `len() == 1` allows the length to be declared (PEP 3333, "Handling the Content-Length Header").
    let single = iterable.len().is_ok_and(|len| len == 1);
    let mut started = false;
    let mut streaming = None;
    let mut satisfied = false;
    for item in iterable.try_iter()? {
        let data = piece(&item?)?;
        if satisfied && !data.is_empty() {
            // "Stop iterating over the response when enough data has been sent." Only now it is
            // known that the application gives more; one that does not has run to its end.
            app::note_surplus(&exchange.describe());
            break;
        }
        if !started && (single || !data.is_empty()) {
            // `start_response` may be called as late as by the first piece.
            let begun = exchange.write(|writer| {
                if single {
                    writer.declare_length(data.len() as u64);
                }
                Ok(writer.started())
            });
            if begun == Ok(false) {
                return Err(not_started());
            }
            started = true;
        }
        if started && !single && streaming.is_none() {
            streaming = Some(exchange.baton().streaming());
        }
        match write(py, exchange, data) {
            Ok(all) => satisfied |= all,
            // The client has gone; nobody is left to tell.
            Err(WriteError::Gone) => return Ok(()),
            Err(error) => return Err(write_error(py, exchange, error)),
        }
    }
    concluded(exchange, exchange.write(|writer| writer.finish(Bytes::new())))
}

/// Gives a piece to the client and waits until there is room for another. Returns whether the
/// whole declared length has been given.
pub(super) fn write(py: Python<'_>, exchange: &Exchange, data: Bytes) -> Result<bool, WriteError> {
    if data.is_empty() {
        return Ok(false);
    }
    let all = exchange
        .give(py, data.len(), |writer| writer.write(data).map(|()| writer.is_satisfied()))?;
    exchange.baton().wait(py, |cx| match &exchange.state().writer {
        Some(writer) => writer.poll_room(cx),
        None => Poll::Ready(()),
    });
    Ok(all)
}

fn piece(item: &Bound<'_, PyAny>) -> PyResult<Bytes> {
    let bytes = item.cast::<PyBytes>().map_err(|_| {
        PyTypeError::new_err(format!(
            "a WSGI application must yield bytes, not {}",
            type_name(item)
        ))
    })?;
    Ok(bytes_of(bytes))
}

fn not_started() -> PyErr {
    PyAssertionError::new_err("the application gave a body without calling start_response")
}

/// The exception for a `write` that failed.
pub(super) fn write_error(py: Python<'_>, exchange: &Exchange, error: WriteError) -> PyErr {
    if exchange.is_expired()
        && let Some(error) = exchange.baton().time_out(py)
    {
        return error;
    }
    match error {
        WriteError::Gone => app::of_client(py, PyConnectionResetError::new_err(error.to_string())),
        other => PyAssertionError::new_err(other.to_string()),
    }
}
