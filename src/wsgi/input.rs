//! `wsgi.input` (PEP 3333, "Input and Error Streams"): the request's body as a file, and no byte
//! beyond it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::bridge::baton::Baton;
use crate::bridge::convert::body_error;
use crate::http::{BodyEvent, Request};
use crate::wake::lock;

/// What has been received and not read.
#[derive(Default)]
struct Buffer {
    chunks: VecDeque<Bytes>,
    len: usize,
    ended: bool,
}

/// The body of one request. Reading waits for the client as long as it must; a client that goes
/// before the end raises `ConnectionResetError`, one that stalls `TimeoutError`, a broken body
/// `OSError`.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Input {
    request: Arc<Request>,
    baton: Arc<Baton>,
    buffer: Mutex<Buffer>,
}

impl Input {
    pub(super) fn new(request: Arc<Request>, baton: Arc<Baton>) -> Self {
        Self { request, baton, buffer: Mutex::default() }
    }

    /// Receives one more piece. Returns whether there was one.
    fn receive(&self, py: Python<'_>) -> PyResult<bool> {
        if lock(&self.buffer).ended {
            return Ok(false);
        }
        let event = self.baton.wait(py, |cx| self.request.poll_body(cx));
        let mut buffer = lock(&self.buffer);
        match event {
            BodyEvent::Data(data) => {
                buffer.len += data.len();
                buffer.chunks.push_back(data);
                Ok(true)
            }
            BodyEvent::End => {
                buffer.ended = true;
                Ok(false)
            }
            BodyEvent::Failed(error) => Err(body_error(py, error)),
        }
    }

    /// Takes `n` bytes, or all there are if they are fewer.
    fn take<'py>(&self, py: Python<'py>, n: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut buffer = lock(&self.buffer);
        let n = n.min(buffer.len);
        buffer.len -= n;
        PyBytes::new_with(py, n, |mut out| {
            while !out.is_empty() {
                let Some(first) = buffer.chunks.front_mut() else { break };
                let part = first.len().min(out.len());
                let (head, tail) = out.split_at_mut(part);
                head.copy_from_slice(&first[..part]);
                first.advance(part);
                if first.is_empty() {
                    buffer.chunks.pop_front();
                }
                out = tail;
            }
            Ok(())
        })
    }

    /// Where the first line feed is, looking from byte `from` on.
    fn find_line_feed(&self, from: usize) -> Option<usize> {
        let buffer = lock(&self.buffer);
        let mut start = 0;
        for chunk in &buffer.chunks {
            let skip = from.saturating_sub(start).min(chunk.len());
            if let Some(at) = memchr::memchr(b'\n', &chunk[skip..]) {
                return Some(start + skip + at);
            }
            start += chunk.len();
        }
        None
    }

    fn line<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Bound<'py, PyBytes>> {
        let mut looked = 0;
        loop {
            let len = lock(&self.buffer).len;
            if let Some(at) = self.find_line_feed(looked) {
                return self.take(py, (at + 1).min(limit));
            }
            looked = len;
            if len >= limit || !self.receive(py)? {
                return self.take(py, limit);
            }
        }
    }
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
        while lock(&self.buffer).len < limit && self.receive(py)? {}
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
