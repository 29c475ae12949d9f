//! The handle of a request: its head at once, its body as it comes.

use std::any::Any;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::body::{BodyError, BodyEvent, BodySink};
use super::dispatch::ConnInfo;
use super::head::RequestHead;
use super::link::{Due, Link};
use super::writer::ResponseWriter;

/// Where a router sends a request.
#[derive(Debug, Clone)]
pub struct Routed {
    /// What the route leads to, of a type that the router and the handler know.
    pub target: Arc<dyn Any + Send + Sync>,
    /// The decoded values of the pattern's wildcards, in its order.
    pub values: Vec<String>,
}

/// A request: its head at once, its body as it comes.
#[derive(Debug)]
pub struct Request {
    /// Method, target, version, fields.
    pub head: Box<RequestHead>,
    /// Set by a router before it gives the request on.
    pub routed: Option<Routed>,
    link: Arc<Link>,
}

impl Request {
    /// The connection that it came on.
    pub fn conn(&self) -> &ConnInfo {
        self.link.conn()
    }

    /// Ready with the next part of the body. Asking for it is what sends `100 Continue`.
    /// Several may wait; all are woken, and the first to look has the bytes.
    pub fn poll_body(&self, cx: &mut Context<'_>) -> Poll<BodyEvent> {
        self.link.poll_body(cx)
    }

    /// Ready when `sink` is full, or with the body's end or failure. While it fills, the sink is
    /// away: call again with the same `None`. One waiter is served at a time.
    ///
    /// # Errors
    /// Why there will be no more of the body.
    pub fn poll_body_into(
        &self,
        sink: &mut Option<Box<dyn BodySink>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        self.link.poll_body_into(sink, cx)
    }

    /// Allows the body `limit` bytes, if it has not been allowed less. One that turns out to be
    /// longer fails with [`BodyError::TooLarge`], and the client gets 413 if the response has not
    /// begun. Returns whether it is longer already, by what it declares or what has come.
    #[must_use]
    pub fn limit_body(&self, limit: u64) -> bool {
        // What is asked for by another protocol's name is followed by no body.
        self.head.protocol().is_none()
            && (self.link.limit_upload(limit)
                || self.head.content_length().is_some_and(|length| length > limit))
    }

    /// Whether the whole body has been received, so that reading it never waits.
    pub fn body_complete(&self) -> bool {
        self.link.upload_complete()
    }

    /// Whether the whole body has been received and read.
    pub fn body_drained(&self) -> bool {
        self.link.upload_drained()
    }

    /// The response has ended: whoever still waits for the client's going is told now.
    pub fn conclude(&self) {
        self.link.hang_up();
    }

    /// Ready when the client has gone.
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_gone(cx)
    }

    /// Ready when the client has left. What comes of the body does not wake who waits here.
    pub fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.link.poll_left(cx)
    }

    /// Whether the client has left, or its time was up, before it had a whole response. One that has
    /// only sent its last byte counts as having left, as it does for [`Self::poll_gone`].
    pub fn left_early(&self) -> bool {
        self.link.left_early()
    }

    /// By when the response must be complete.
    pub fn due(&self) -> Due {
        self.link.due()
    }

    /// Says by when the response must be complete, in place of the settings.
    pub fn set_due(&self, due: Due) {
        self.link.set_due(due);
    }

    /// Whether the client has gone.
    pub fn is_gone(&self) -> bool {
        self.link.gone()
    }
}

/// Makes the two handles of a request.
pub(crate) fn exchange(head: Box<RequestHead>, link: Arc<Link>) -> (Request, ResponseWriter) {
    let writer = ResponseWriter::new(link.clone(), head.is_head());
    (Request { head, routed: None, link }, writer)
}
