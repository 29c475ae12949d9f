//! A response's body as an [`http_body::Body`], which hyper and others take.

use std::io;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use ::http::HeaderMap;
use bytes::Bytes;
use http_body::Body;
use hyper::body::Frame;

use super::rest::Held;
use super::translate::fields_of;
use crate::http::{Due, Link, Outgoing, Progress};

/// Who looks after an exchange while the response's body is taken. Dropped with it.
pub(crate) trait Keeper: Unpin {
    /// The exchange.
    fn link(&self) -> &Link;

    /// The body is asked for more, by the task of `cx`, which is to be woken when there is some.
    fn asked(&mut self, cx: &mut TaskContext<'_>);

    /// So many bytes more have been taken.
    fn sent(&mut self, bytes: u64);

    /// The handler has nothing more to give; what it gave may still have to be taken.
    fn given(&mut self);

    /// The handler has set another deadline.
    fn set_due(&mut self, due: Due);

    /// Whether all has been taken.
    fn set_whole(&mut self, whole: bool);
}

/// A response's body.
pub(crate) struct ResponseBody<K> {
    ready: Held,
    trailers: Option<HeaderMap>,
    progress: Progress,
    due: Due,
    length: Option<u64>,
    /// How long the client may take nothing; `Duration::MAX` is no time-out.
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
        let due = out.due;
        let mut body = Self { length, write_timeout, due, guard, ..Self::none() };
        body.take(out);
        body
    }

    /// No body: what follows the head on the stream is not one.
    pub(crate) fn none() -> Self {
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
            if let Some(guard) = &mut self.guard {
                guard.set_due(out.due);
            }
        }
        if self.progress != Progress::Open
            && let Some(guard) = &mut self.guard
        {
            guard.given();
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
                Ok(data) => guard.sent(data.len() as u64),
                Err(error) => {
                    let client = &guard.link().conn().peer_host;
                    log::warn!(target: "gohttp.response", "a response to {client} was cut: {error}");
                }
            }
        }
        Some(next)
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
        if this.progress == Progress::Open
            && this.ready.is_empty()
            && let Some(guard) = &this.guard
        {
            let out = guard.link().take_outgoing();
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
            guard.set_whole(whole);
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
