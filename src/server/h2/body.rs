//! A response's body, and the transport, as hyper takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::Frame;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::CloseOnDrop;
use super::rest::Held;
use super::translate::fields_of;
use super::watch::cut_at;
use crate::http::{Due, Outgoing, Progress};

/// A response's body as hyper takes it.
pub(super) struct ResponseBody {
    ready: Held,
    trailers: Option<HeaderMap>,
    progress: Progress,
    due: Due,
    length: Option<u64>,
    /// How long the client may take nothing.
    write_timeout: Duration,
    /// None where the stream's end is not the body's.
    guard: Option<CloseOnDrop>,
}

impl ResponseBody {
    /// A body that begins with what there is of it.
    pub(super) fn new(
        out: Outgoing,
        length: Option<u64>,
        write_timeout: Duration,
        guard: CloseOnDrop,
    ) -> Self {
        let due = out.due;
        let mut body = Self { length, write_timeout, due, guard: Some(guard), ..Self::none() };
        body.take(out);
        body
    }

    /// No body: what follows the head on the stream is not one.
    pub(super) fn none() -> Self {
        Self {
            ready: Held::none(),
            trailers: None,
            progress: Progress::Complete,
            due: Due::Settings,
            length: None,
            write_timeout: Duration::MAX,
            guard: None,
        }
    }

    fn take(&mut self, out: Outgoing) {
        self.ready = Held::new(out.body, self.write_timeout);
        self.trailers = out.trailers.map(|head| fields_of(&head));
        self.progress = out.progress;
        if out.due != self.due {
            self.due = out.due;
            // One that watches for an earlier one finds it changed.
            if let (Due::At(at), Some(guard)) = (out.due, &self.guard) {
                tokio::spawn(cut_at(guard.link.clone(), at.into(), out.due));
            }
        }
        if self.progress != Progress::Open
            && let Some(guard) = &self.guard
        {
            guard.stream.0.note_answered(&guard.link);
        }
    }

    fn all_given(&self) -> bool {
        self.progress == Progress::Complete && self.ready.is_empty()
    }

    /// The next bytes of what is ready.
    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let next = self.ready.next()?;
        if let Some(guard) = &mut self.guard {
            match &next {
                Ok(data) => guard.note_sent(data.len() as u64),
                Err(error) => {
                    let client = &guard.link.conn().peer_host;
                    log::warn!(target: "gohttp.response", "a response to {client} was cut: {error}");
                }
            }
        }
        Some(next)
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
        if this.progress == Progress::Open
            && this.ready.is_empty()
            && let Some(guard) = &this.guard
        {
            let out = guard.link.take_outgoing();
            this.take(out);
        }
        let frame = match this.next() {
            Some(Ok(data)) => Some(Ok(Frame::data(data))),
            Some(Err(error)) => Some(Err(error)),
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
            Some(length) if self.progress == Progress::Open || !self.ready.is_empty() => {
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
