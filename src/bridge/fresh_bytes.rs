//! A `bytes` object that is filled before anybody sees it: a request's body is received into it,
//! so that it is copied once, by the kernel.

use std::any::Any;
use std::io;
use std::mem::MaybeUninit;
use std::ops::RangeInclusive;
use std::task::{Context, Poll};

use bytes::Bytes;
use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use tokio::io::ReadBuf;

use super::baton::Baton;
use super::convert::body_error;
use crate::http::{BodyError, BodySink};

/// How many missing bytes are received into the object that Python gets. Fewer come with the head
/// or are not worth it; for more the client's word is not enough to ask for the memory at once.
pub(crate) const WORTH: RangeInclusive<usize> = 64 * 1024..=64 * 1024 * 1024;

struct FreshBytes {
    object: Py<PyBytes>,
    len: usize,
    filled: usize,
}

impl FreshBytes {
    /// An object of `len` bytes, none of which is set.
    #[expect(unsafe_code, reason = "pyo3 makes bytes objects of what is there already, or zeroed")]
    fn new(py: Python<'_>, len: usize) -> PyResult<Self> {
        let size = ffi::Py_ssize_t::try_from(len).unwrap_or(ffi::Py_ssize_t::MAX);
        // SAFETY: the thread is attached; null stands for content to be set later; the result is
        // a new reference to a bytes object, or null with an exception set.
        let object = unsafe {
            Bound::from_owned_ptr_or_err(py, ffi::PyBytes_FromStringAndSize(std::ptr::null(), size))
        }?;
        Ok(Self { object: object.cast_into::<PyBytes>()?.unbind(), len, filled: 0 })
    }

    #[expect(unsafe_code, reason = "the content of a bytes object that is not complete")]
    fn unfilled(&mut self) -> &mut [MaybeUninit<u8>] {
        // SAFETY: the object is alive and has room for `len` bytes; `filled` is never more. It was
        // made here and has been given to nobody, so that nothing else reads or writes it: neither
        // attached nor detached threads. `MaybeUninit` has no invalid values. `PyBytes_AsString`
        // only computes an address; it does not touch the count of references.
        unsafe {
            let content = ffi::PyBytes_AsString(self.object.as_ptr()).cast::<MaybeUninit<u8>>();
            std::slice::from_raw_parts_mut(content.add(self.filled), self.len - self.filled)
        }
    }

    #[expect(unsafe_code, reason = "the content of a bytes object that is not complete")]
    fn filled(&self) -> &[u8] {
        // SAFETY: as in `unfilled`; the first `filled` bytes have been set.
        unsafe {
            let content = ffi::PyBytes_AsString(self.object.as_ptr()).cast::<u8>();
            std::slice::from_raw_parts(content, self.filled)
        }
    }

    /// The object, cut to what has been filled.
    fn finish(self, py: Python<'_>) -> Bound<'_, PyBytes> {
        if self.filled == self.len {
            return self.object.into_bound(py);
        }
        PyBytes::new(py, self.filled())
    }
}

impl BodySink for FreshBytes {
    fn room(&self) -> usize {
        self.len - self.filled
    }

    fn put(&mut self, data: &[u8]) {
        ReadBuf::uninit(self.unfilled()).put_slice(data);
        self.filled += data.len();
    }

    fn receive(
        &mut self,
        max: usize,
        read: &mut dyn FnMut(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<usize>> {
        let unfilled = self.unfilled();
        let max = max.min(unfilled.len());
        let place = unfilled.as_ptr().cast::<u8>();
        let mut buffer = ReadBuf::uninit(&mut unfilled[..max]);
        std::task::ready!(read(&mut buffer))?;
        // The buffer counts what has been set; that it is still ours is checked.
        let filled = buffer.filled();
        if !std::ptr::eq(filled.as_ptr(), place) {
            return Poll::Ready(Err(io::ErrorKind::InvalidInput.into()));
        }
        let n = filled.len();
        self.filled += n;
        Poll::Ready(Ok(n))
    }
}

/// Receives `missing` bytes behind those in `before`, or fewer if the body ends. Waits for the
/// client as long as it must, by `poll`.
///
/// # Errors
/// `MemoryError`; what [`body_error`] makes of a body that cannot be had.
pub(crate) fn receive<'py>(
    py: Python<'py>,
    baton: &std::sync::Arc<Baton>,
    before: &[Bytes],
    missing: usize,
    mut poll: impl FnMut(
        &mut Option<Box<dyn BodySink>>,
        &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>>
    + Send,
) -> PyResult<Bound<'py, PyBytes>> {
    let len = before.iter().map(Bytes::len).sum::<usize>() + missing;
    let mut fresh = FreshBytes::new(py, len)?;
    for piece in before {
        fresh.put(piece);
    }
    let mut sink: Option<Box<dyn BodySink>> = Some(Box::new(fresh));
    baton.wait(py, |cx| poll(&mut sink, cx)).map_err(|error| body_error(py, baton, error))?;
    let fresh: Option<Box<dyn Any>> = sink.map(|sink| sink as Box<dyn Any>);
    match fresh.and_then(|fresh| fresh.downcast::<FreshBytes>().ok()) {
        Some(fresh) => Ok(fresh.finish(py)),
        // It comes back with every end.
        None => Err(body_error(py, baton, BodyError::Disconnected)),
    }
}
