//! `wsgi.input` (PEP 3333, "Input and Error Streams"): the request's body as a file, and no byte
//! beyond it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Poll;

use bytes::Bytes;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};
use smallvec::SmallVec;

use super::exchange::Exchange;
use crate::bridge::convert::body_error;
use crate::bridge::fresh_bytes::{WORTH, receive};
use crate::http::BodyEvent;

/// What has been received and not read.
#[derive(Default)]
pub(super) struct Buffer {
    chunks: VecDeque<Bytes>,
    len: usize,
    /// Bytes taken from the request so far.
    total: u64,
    /// Times that something was taken out: what was known of places in it is void then.
    takes: u64,
    ended: bool,
}

impl Buffer {
    /// Takes out `n` bytes, or all there are if they are fewer.
    fn take(&mut self, n: usize) -> SmallVec<[Bytes; 4]> {
        let mut left = n.min(self.len);
        self.len -= left;
        self.takes += 1;
        let mut taken = SmallVec::new();
        while left > 0 {
            let Some(mut first) = self.chunks.pop_front() else { break };
            if first.len() > left {
                taken.push(first.split_to(left));
                self.chunks.push_front(first);
                break;
            }
            left -= first.len();
            taken.push(first);
        }
        taken
    }
}

/// The body of one request. Reading waits for the client as long as it must; a client that goes
/// before the end raises `ConnectionResetError`, one that stalls `TimeoutError`, a broken body
/// `OSError`.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Input(pub(super) Arc<Exchange>);

impl Input {
    /// Receives one more piece. Returns whether there was one.
    fn receive(&self, py: Python<'_>) -> PyResult<bool> {
        if self.0.state().received.ended {
            return Ok(false);
        }
        let event = self.0.baton().wait(py, |cx| match &self.0.state().request {
            Some(request) => request.poll_body(cx),
            None => Poll::Ready(BodyEvent::End),
        });
        let mut state = self.0.state();
        let buffer = &mut state.received;
        match event {
            BodyEvent::Data(data) => {
                buffer.len += data.len();
                buffer.total += data.len() as u64;
                buffer.chunks.push_back(data);
                Ok(true)
            }
            BodyEvent::End => {
                buffer.ended = true;
                Ok(false)
            }
            BodyEvent::Failed(error) => {
                drop(state);
                Err(body_error(py, self.0.baton(), error))
            }
        }
    }

    /// Takes `n` bytes, or all there are if they are fewer.
    fn take<'py>(&self, py: Python<'py>, n: usize) -> PyResult<Bound<'py, PyBytes>> {
        // Python is asked for memory with nothing locked.
        let taken = self.0.state().received.take(n);
        if let [whole] = &taken[..] {
            return Ok(PyBytes::new(py, whole));
        }
        let len = taken.iter().map(Bytes::len).sum();
        PyBytes::new_with(py, len, |mut out| {
            for piece in &taken {
                let (head, tail) = out.split_at_mut(piece.len());
                head.copy_from_slice(piece);
                out = tail;
            }
            Ok(())
        })
    }

    /// How many bytes of those asked for have still to be received; 0 if that is not known.
    fn missing(&self, limit: usize) -> usize {
        let state = self.0.state();
        let length = state.request.as_ref().and_then(|request| request.head.content_length());
        let missing = length.unwrap_or(0).saturating_sub(state.received.total);
        let wanted = limit.saturating_sub(state.received.len);
        usize::try_from(missing).unwrap_or(usize::MAX).min(wanted)
    }

    /// Reads all that has been received and `missing` bytes more.
    fn read_missing<'py>(&self, py: Python<'py>, missing: usize) -> PyResult<Bound<'py, PyBytes>> {
        let before = self.0.state().received.take(usize::MAX);
        let read = receive(py, self.0.baton(), &before, missing, |sink, cx| {
            match &self.0.state().request {
                Some(request) => request.poll_body_into(sink, cx),
                None => Poll::Ready(Ok(())),
            }
        })?;
        let new = read.as_bytes().len() - before.iter().map(Bytes::len).sum::<usize>();
        let buffer = &mut self.0.state().received;
        buffer.total += new as u64;
        buffer.ended |= new < missing;
        Ok(read)
    }

    /// How far there is a line: its end, if that is here, and all that there is. What was looked at
    /// before is not looked at again.
    fn look_for_line(&self, looked: &mut Looked) -> (Option<usize>, usize) {
        let state = self.0.state();
        let buffer = &state.received;
        if looked.takes != buffer.takes {
            *looked = Looked { takes: buffer.takes, ..Looked::default() };
        }
        for chunk in buffer.chunks.range(looked.chunks..) {
            if let Some(at) = memchr::memchr(b'\n', chunk) {
                return (Some(looked.bytes + at), buffer.len);
            }
            looked.chunks += 1;
            looked.bytes += chunk.len();
        }
        (None, buffer.len)
    }

    fn line<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut looked = Looked::default();
        loop {
            match self.look_for_line(&mut looked) {
                (Some(at), _) => return self.take(py, (at + 1).min(limit)),
                (None, len) if len >= limit => return self.take(py, limit),
                (None, _) => {}
            }
            if !self.receive(py)? {
                return self.take(py, limit);
            }
        }
    }
}

/// How much of what was received holds no line feed.
#[derive(Default)]
struct Looked {
    takes: u64,
    chunks: usize,
    bytes: usize,
}

/// A size argument: `None` and negative numbers mean no limit.
fn limit_of(size: Option<i64>) -> usize {
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX)
}

#[pymethods]
impl Input {
    /// Reads up to `size` bytes, or to the end.
    #[pyo3(signature = (size=None, /))]
    fn read<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        let limit = limit_of(size);
        let missing = self.missing(limit);
        if WORTH.contains(&missing) {
            return self.read_missing(py, missing);
        }
        while self.0.state().received.len < limit && self.receive(py)? {}
        self.take(py, limit)
    }

    /// Reads a line with its line feed, at most `size` bytes of it.
    #[pyo3(signature = (size=None, /))]
    fn readline<'py>(&self, py: Python<'py>, size: Option<i64>) -> PyResult<Bound<'py, PyBytes>> {
        self.line(py, limit_of(size))
    }

    /// Reads the lines to the end, or until they are `hint` bytes together.
    #[pyo3(signature = (hint=None, /))]
    fn readlines<'py>(&self, py: Python<'py>, hint: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        let lines = PyList::empty(py);
        let limit = hint.filter(|&hint| hint > 0).map_or(usize::MAX, |hint| hint as usize);
        let mut total = 0;
        while total < limit {
            let line = self.line(py, usize::MAX)?;
            if line.as_bytes().is_empty() {
                break;
            }
            total += line.as_bytes().len();
            lines.append(line)?;
        }
        Ok(lines)
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let line = self.line(py, usize::MAX)?;
        Ok((!line.as_bytes().is_empty()).then_some(line))
    }
}
