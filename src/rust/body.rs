//! A response's body: whole, or as a stream.

use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{
    AtomicBool,
    Ordering::{Acquire, Release},
};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::mpsc;

use crate::http::WriteError;

/// Pieces that wait in a [`Sender`]'s channel, beside those that the connection keeps.
const WAITING: usize = 1;

pub(super) type BoxError = Box<dyn Error + Send + Sync>;
pub(super) type Stream = Pin<Box<dyn HttpBody<Data = Bytes, Error = BoxError> + Send>>;

/// The body of a [`Response`](super::Response).
pub struct Body(pub(super) Kind);

pub(super) enum Kind {
    Whole(Bytes),
    Stream(Stream),
}

impl Body {
    /// A body from any [`http_body::Body`]; its length is declared if it knows it. It is asked for more as
    /// the client takes it. If it gives an error the client sees that the response is not whole.
    pub fn stream<B>(body: B) -> Self
    where
        B: HttpBody<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Kind::Stream(Box::pin(Boxed(Box::pin(body)))))
    }

    /// A body, and what it is written with, from any task or thread. It ends when the sender is
    /// [finished](Sender::finish); if that is dropped before, the client sees that it is not whole.
    pub fn channel() -> (Sender, Self) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let whole = Arc::new(AtomicBool::new(false));
        let sender = Sender { pieces: sender, whole: whole.clone() };
        (sender, Self::stream(Channel { pieces: receiver, whole }))
    }
}

impl<B: Into<Bytes>> From<B> for Body {
    fn from(bytes: B) -> Self {
        Self(Kind::Whole(bytes.into()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream(_) => f.write_str("Body(stream)"),
        }
    }
}

/// A stream whose errors are of one type.
struct Boxed<B>(Pin<Box<B>>);

impl<B> HttpBody for Boxed<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.0.as_mut().poll_frame(cx).map_err(Into::into)
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// Writes a [`Body::channel`].
#[derive(Debug)]
pub struct Sender {
    pieces: mpsc::Sender<Bytes>,
    /// The end is the body's, and no accident.
    whole: Arc<AtomicBool>,
}

impl Sender {
    /// Gives a piece; waits while the client is behind.
    ///
    /// # Errors
    /// [`WriteError::Gone`] if the client has gone.
    pub async fn send(&mut self, data: impl Into<Bytes>) -> Result<(), WriteError> {
        self.pieces.send(data.into()).await.map_err(|_| WriteError::Gone)
    }

    /// The same for threads that may block.
    ///
    /// # Errors
    /// As [`Self::send`].
    ///
    /// # Panics
    /// On a thread that runs async tasks, as tokio's own `blocking_send` does.
    pub fn send_blocking(&mut self, data: impl Into<Bytes>) -> Result<(), WriteError> {
        self.pieces.blocking_send(data.into()).map_err(|_| WriteError::Gone)
    }

    /// Ends the body: what has been given is all of it.
    pub fn finish(self) {
        // Before the drop, which is what the other end sees.
        self.whole.store(true, Release);
    }
}

struct Channel {
    pieces: mpsc::Receiver<Bytes>,
    whole: Arc<AtomicBool>,
}

impl HttpBody for Channel {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.pieces.poll_recv(cx).map(|received| match received {
            Some(data) => Some(Ok(Frame::data(data))),
            None if self.whole.load(Acquire) => None,
            None => Some(Err("its sender was dropped before the end of the body".into())),
        })
    }
}
