//! A response's body as an [`http_body::Body`], which hyper and others take.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use http_body::Body;
use hyper::body::Frame;
use smallvec::SmallVec;

use super::file::SentFile;
use super::translate::fields_of;
use crate::http::{Link, Outgoing, Part, Progress};

/// Who looks after an exchange while the response's body is taken. Dropped with it.
pub(crate) trait Keeper: Unpin {
    /// The exchange.
    fn link(&self) -> &Link;

    /// The body is asked for more, by the task of `cx`, which is to be woken when there is some.
    fn asked(&mut self, cx: &mut TaskContext<'_>);

    /// So many bytes more have been taken.
    fn sent(&mut self, bytes: u64);

    /// Whether all has been taken.
    fn set_whole(&mut self, whole: bool);
}

/// A response's body.
pub(crate) struct ResponseBody<K> {
    ready: smallvec::IntoIter<[Part; 1]>,
    /// The file in hand; it comes before what is ready.
    file: Option<SentFile>,
    trailers: Option<HeaderMap>,
    progress: Progress,
    length: Option<u64>,
    /// How long the client may take nothing of a file.
    write_timeout: Duration,
    /// None where nobody has to be told of the body's end.
    guard: Option<K>,
}

impl<K: Keeper> ResponseBody<K> {
    /// A body that begins with what there is of it.
    pub(crate) fn new(
        out: Outgoing,
        length: Option<u64>,
        write_timeout: Duration,
        guard: Option<K>,
    ) -> Self {
        let mut body = Self { length, write_timeout, guard, ..Self::none() };
        body.take(out);
        body
    }

    /// No body: what follows the head on the stream is not one.
    pub(crate) fn none() -> Self {
        Self {
            ready: SmallVec::new().into_iter(),
            file: None,
            trailers: None,
            progress: Progress::Complete,
            length: None,
            write_timeout: Duration::MAX,
            guard: None,
        }
    }

    fn take(&mut self, out: Outgoing) {
        self.ready = out.body.into_iter();
        self.trailers = out.trailers.map(|head| fields_of(&head));
        self.progress = out.progress;
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
            guard.link().note_progress();
            if let Err(error) = &read {
                let client = &guard.link().conn().peer_host;
                log::warn!(target: "gohttp.response", "a response to {client} was cut: {error}");
            }
        }
        Some(read.map(|(data, _)| data))
    }
}

impl<K: Keeper> Body for ResponseBody<K> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = self.get_mut();
        if let Some(guard) = &mut this.guard {
            guard.asked(cx);
        }
        if this.nothing_ready()
            && this.progress == Progress::Open
            && let Some(guard) = &this.guard
        {
            let out = guard.link().take_outgoing();
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
                    guard.sent(data.len() as u64);
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
            guard.set_whole(whole);
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
