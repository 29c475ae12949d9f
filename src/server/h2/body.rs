//! A response's body, and the transport, as hyper takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::Frame;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::CloseOnDrop;
use crate::http::Progress;

/// A response's body as hyper takes it.
pub(super) struct ResponseBody {
    pub(super) ready: SmallVec<[Bytes; 1]>,
    pub(super) next: usize,
    pub(super) progress: Progress,
    pub(super) length: Option<u64>,
    /// None where the stream's end is not the body's.
    pub(super) guard: Option<CloseOnDrop>,
}

impl ResponseBody {
    /// No body: what follows the head on the stream is not one.
    pub(super) fn none() -> Self {
        let progress = Progress::Complete;
        Self { ready: SmallVec::new(), next: 0, progress, length: None, guard: None }
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
        let Some(guard) = &mut this.guard else { return Poll::Ready(None) };
        // The link wakes the stream's own task, which is the one that polls this.
        if this.next == this.ready.len() && this.progress == Progress::Open {
            let out = guard.link.take_outgoing();
            this.ready = out.body;
            this.next = 0;
            this.progress = out.progress;
        }
        if this.next < this.ready.len() {
            let at = this.next;
            this.next += 1;
            let data = std::mem::take(&mut this.ready[at]);
            guard.sent += data.len() as u64;
            guard.whole = this.next == this.ready.len() && this.progress == Progress::Complete;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match this.progress {
            Progress::Open => Poll::Pending,
            Progress::Complete => {
                guard.whole = true;
                Poll::Ready(None)
            }
            Progress::Aborted => {
                Poll::Ready(Some(Err(io::Error::other("the response is not whole"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.ready.len() && self.progress == Progress::Complete
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.length {
            Some(length) if self.next < self.ready.len() || self.progress == Progress::Open => {
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
