//! A response's body, and the transport, as hyper takes them.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::Frame;
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::CloseOnDrop;
use super::file::SentFile;
use super::translate::fields_of;
use super::watch::cut_at;
use crate::http::{Due, Outgoing, Part, Progress};

/// A response's body as hyper takes it.
pub(super) struct ResponseBody {
    ready: smallvec::IntoIter<[Part; 1]>,
    /// The file in hand; it comes before what is ready.
    file: Option<SentFile>,
    trailers: Option<HeaderMap>,
    progress: Progress,
    due: Due,
    length: Option<u64>,
    /// How long the client may take nothing of a file.
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
            ready: SmallVec::new().into_iter(),
            file: None,
            trailers: None,
            progress: Progress::Complete,
            due: Due::Settings,
            length: None,
            write_timeout: Duration::MAX,
            guard: None,
        }
    }

    fn take(&mut self, out: Outgoing) {
        self.ready = out.body.into_iter();
        self.trailers = out.trailers.map(|head| fields_of(&head));
        self.progress = out.progress;
        if out.due != self.due {
            self.due = out.due;
            // One that watches for an earlier one finds it changed.
            if let (Due::At(at), Some(guard)) = (out.due, &self.guard) {
                tokio::spawn(cut_at(guard.link.clone(), at.into(), out.due));
            }
        }
    }

    fn all_given(&self) -> bool {
        self.nothing_ready() && self.progress == Progress::Complete
    }

    fn nothing_ready(&self) -> bool {
        self.ready.len() == 0 && self.file.is_none()
    }

    /// The next bytes of the file in hand.
    fn read_file(&mut self) -> Option<io::Result<Bytes>> {
        let read = self.file.as_ref()?.read();
        if !matches!(read, Ok((_, true))) {
            self.file = None;
        }
        if let Some(guard) = &self.guard {
            guard.link.note_progress();
            if let Err(error) = &read {
                let client = &guard.link.conn().peer_host;
                log::warn!(target: "gohttp.response", "a response to {client} was cut: {error}");
            }
        }
        Some(read.map(|(data, _)| data))
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
        if this.nothing_ready()
            && this.progress == Progress::Open
            && let Some(guard) = &this.guard
        {
            let out = guard.link.take_outgoing();
            this.take(out);
        }
        let data = match this.read_file() {
            Some(read) => Some(read),
            None => match this.ready.next() {
                Some(Part::Data(data)) => Some(Ok(data)),
                Some(Part::File(part)) => {
                    this.file = Some(SentFile::new(part, this.write_timeout));
                    this.read_file()
                }
                None => None,
            },
        };
        let frame = match data {
            Some(Ok(data)) => {
                if let Some(guard) = &mut this.guard {
                    guard.sent += data.len() as u64;
                }
                Some(Ok(Frame::data(data)))
            }
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
            Some(length) if !self.nothing_ready() || self.progress == Progress::Open => {
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
