//! A response's body, and the transport, as hyper takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use ::http::HeaderMap;
use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::Frame;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::CloseOnDrop;
use super::translate::fields_of;
use crate::http::{Outgoing, Part, Progress};

/// A response's body as hyper takes it.
pub(super) struct ResponseBody {
    ready: smallvec::IntoIter<[Part; 1]>,
    trailers: Option<HeaderMap>,
    progress: Progress,
    length: Option<u64>,
    /// None where the stream's end is not the body's.
    guard: Option<CloseOnDrop>,
}

impl ResponseBody {
    /// A body that begins with what there is of it.
    pub(super) fn new(out: Outgoing, length: Option<u64>, guard: CloseOnDrop) -> Self {
        let mut body = Self::none();
        (body.length, body.guard) = (length, Some(guard));
        body.take(out);
        body
    }

    /// No body: what follows the head on the stream is not one.
    pub(super) fn none() -> Self {
        Self {
            ready: SmallVec::new().into_iter(),
            trailers: None,
            progress: Progress::Complete,
            length: None,
            guard: None,
        }
    }

    fn take(&mut self, out: Outgoing) {
        self.ready = out.body.into_iter();
        self.trailers = out.trailers.map(|head| fields_of(&head));
        self.progress = out.progress;
    }

    fn all_given(&self) -> bool {
        self.ready.len() == 0 && self.progress == Progress::Complete
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        // The link wakes the stream's own task, which is the one that polls this.
        if this.ready.len() == 0
            && this.progress == Progress::Open
            && let Some(guard) = &this.guard
        {
            let out = guard.link.take_outgoing();
            this.take(out);
        }
        let frame = match this.ready.next() {
            Some(Part::Data(data)) => {
                if let Some(guard) = &mut this.guard {
                    guard.sent += data.len() as u64;
                }
                Some(Ok(Frame::data(data)))
            }
            Some(Part::File(_)) => Some(Err(io::Error::other("HTTP/2 sends no files by itself"))),
            None => match this.progress {
                Progress::Open => return Poll::Pending,
                Progress::Complete => {
                    this.trailers.take().map(|trailers| Ok(Frame::trailers(trailers)))
                }
                Progress::Aborted => Some(Err(io::Error::other("the response is not whole"))),
            },
        };
        let whole = this.all_given();
        if let Some(guard) = &mut this.guard {
            guard.whole = whole;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.all_given() && self.trailers.is_none()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.length {
            Some(length) if self.ready.len() > 0 || self.progress == Progress::Open => {
                http_body::SizeHint::with_exact(length)
            }
            _ => http_body::SizeHint::default(),
        }
    }
}

/// A transport with what has been read of it put back in front.
pub(super) struct Rewind<I> {
    pub(super) begun: Bytes,
    pub(super) io: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewind<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.begun.len().min(buf.remaining());
        buf.put_slice(&self.begun[..n]);
        self.begun.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewind<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
