//! The request's body, from the host to the application.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http_body::Body as HttpBody;

use crate::http::{BodyError, Link};

/// What moves a request's body. It is moved by whoever polls the response.
pub(super) struct Upload<B> {
    /// Dropped at its end, and when nobody wants it any more.
    body: Option<Pin<Box<B>>>,
    taken: u64,
    max: Option<u64>,
    /// The client waits to be asked for it (RFC 9110 section 10.1.1): hyper does that when the
    /// body is first polled.
    expects: bool,
}

impl<B: HttpBody> Upload<B> {
    pub(super) fn new(body: B, max: Option<u64>, expects: bool) -> Self {
        let body = (!body.is_end_stream()).then(|| Box::pin(body));
        Self { body, taken: 0, max, expects }
    }

    /// Whether there may be more.
    pub(super) fn is_open(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn expects(&self) -> bool {
        self.expects
    }

    /// Nobody wants it any more.
    pub(super) fn close(&mut self) {
        self.body = None;
    }

    /// Moves what there is; `ahead`: whether the application wants it or not. Wakes the task of
    /// `cx` when there is more to move.
    pub(super) fn advance(&mut self, link: &Link, ahead: bool, cx: &mut Context<'_>) {
        while let Some(body) = &mut self.body {
            if link.is_closed() {
                return self.close();
            }
            if !ahead {
                if self.expects && !link.asked_for_upload() {
                    // Being asked wakes the task.
                    return;
                }
                if link.poll_upload_room(cx).is_pending() {
                    return;
                }
            }
            match body.as_mut().poll_frame(cx) {
                Poll::Pending => return,
                Poll::Ready(None) => self.end(link, None),
                Poll::Ready(Some(Err(_))) => self.end(link, Some(BodyError::Disconnected)),
                Poll::Ready(Some(Ok(frame))) => {
                    // What is no data is trailers, of which the faces know nothing.
                    let Ok(mut data) = frame.into_data() else { continue };
                    self.taken += data.remaining() as u64;
                    if self.max.is_some_and(|max| self.taken > max) {
                        self.end(link, Some(BodyError::TooLarge));
                    } else if let Err(error) =
                        link.push_upload(data.copy_to_bytes(data.remaining()))
                    {
                        self.end(link, Some(error));
                    }
                }
            }
        }
    }

    fn end(&mut self, link: &Link, error: Option<BodyError>) {
        link.end_upload(error);
        self.close();
    }
}
