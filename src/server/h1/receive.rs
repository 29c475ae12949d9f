//! What the client sends of a request's body, on its way to the handler.

use std::future::poll_fn;
use std::io;
use std::task::{Context as TaskContext, Poll};

use super::connection::{After, Connection};
use super::exchange::{Exchange, SINK_ROOM, Waiting};
use crate::http::{BodyError, RequestHead};
use crate::server::listener::Transport;

/// Bytes of the next requests that are read while a response is made.
const PIPELINE_WINDOW: usize = 16 * 1024;
/// An unread body of up to this size is read and thrown away to keep the connection.
pub(super) const DISCARD_LIMIT: u64 = 256 * 1024;
/// Room for a read of a body that is known to be large.
const UPLOAD_ROOM: usize = 128 * 1024;

impl<I: Transport> Connection<I> {
    /// Reads a small body before the handler is called, so that it need not wait for it.
    pub(super) async fn prebuffer(
        &mut self,
        exchange: &mut Exchange,
        head: &RequestHead,
    ) -> Result<(), After> {
        if exchange.upload.ended() || exchange.expects {
            return Ok(());
        }
        let limits = self.cx.dispatch.prebuffer(head);
        if exchange.upload.missing().is_none_or(|n| n > limits.slow as u64) {
            return Ok(());
        }
        self.watch.0.arm(self.cx.config.body_timeout);
        loop {
            // A body of known length cannot be malformed, and its size has been checked.
            let _ = exchange.upload.take(&mut self.read, Some(&self.link));
            let missing = exchange.upload.missing().unwrap_or_default();
            if missing == 0 || (self.read_full && missing > limits.quick as u64) {
                self.watch.0.disarm();
                return Ok(());
            }
            let filled = poll_fn(|cx| match self.poll_fill_upload(exchange, cx) {
                Poll::Pending if self.watch.0.expired() => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
                Poll::Ready(read) => Poll::Ready(Some(read)),
            })
            .await;
            match filled {
                Some(Ok(n)) if n > 0 => self.watch.0.arm(self.cx.config.body_timeout),
                Some(_) => return Err(After::Abort),
                None => {
                    self.reject_upload(exchange, BodyError::TimedOut);
                    return Err(After::Refuse);
                }
            }
        }
    }

    /// Whether the body should be read now. The kernel keeps a large one until the handler says
    /// where it wants it: then it need not be copied once more.
    pub(super) fn reads_upload(&self, exchange: &Exchange) -> bool {
        let large = exchange.upload.missing().is_some_and(|n| n >= UPLOAD_ROOM as u64);
        exchange.discarding || self.link.wants_upload(large)
    }

    /// Reads some of a body into the buffer.
    fn poll_fill_upload(
        &mut self,
        exchange: &Exchange,
        cx: &mut TaskContext<'_>,
    ) -> Poll<io::Result<usize>> {
        let missing = exchange.upload.missing().unwrap_or(exchange.upload.taken());
        match usize::try_from(missing) {
            Ok(small) if small < UPLOAD_ROOM / 4 => self.poll_fill(cx),
            _ => self.poll_fill_room(UPLOAD_ROOM, cx),
        }
    }

    /// Reads some of a body to where the handler waits for it, if it does.
    fn poll_fill_sink(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut TaskContext<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        let missing = exchange.upload.missing().filter(|_| !exchange.discarding)?;
        let read = self.poll_receive(missing.min(SINK_ROOM) as usize, cx)?;
        if let Poll::Ready(Ok(n)) = read {
            exchange.upload.received(n as u64, &self.link);
        }
        Some(read)
    }

    /// Reads what the client sends. Returns whether anything was read that another look may need.
    pub(super) fn poll_upload(
        &mut self,
        exchange: &mut Exchange,
        cx: &mut TaskContext<'_>,
    ) -> Result<bool, After> {
        if exchange.upload.ended() {
            // Only to see that the client goes: what comes is kept for the next request.
            if !self.read_closed && self.read.len() < PIPELINE_WINDOW {
                match self.poll_fill(cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(n)) if n > 0 => return Ok(true),
                    // The client may only have finished sending: it is told to who asks, and the
                    // response is still written.
                    Poll::Ready(Ok(_)) => self.link.hang_up(),
                    Poll::Ready(Err(_)) => return Err(After::Abort),
                }
            }
            return Ok(false);
        }
        if !self.reads_upload(exchange) {
            return Ok(false);
        }
        let link = (!exchange.discarding).then_some(&*self.link);
        let before = exchange.upload.taken();
        // A client that sends without waiting for 100 does not get one.
        exchange.expects &= self.read.is_empty();
        if let Err(error) = exchange.upload.take(&mut self.read, link) {
            return Err(self.fail_upload(exchange, error));
        }
        if exchange.discarding && exchange.upload.taken() - exchange.discarded_from > DISCARD_LIMIT
        {
            return Err(After::Refuse);
        }
        if exchange.upload.ended() || exchange.upload.taken() != before {
            return Ok(true);
        }
        let filled = match self.poll_fill_sink(exchange, cx) {
            Some(filled) => filled,
            None => self.poll_fill_upload(exchange, cx),
        };
        match filled {
            Poll::Pending => Ok(false),
            Poll::Ready(Ok(n)) if n > 0 => {
                self.watch.0.arm(self.cx.config.body_timeout);
                exchange.waiting = Waiting::Upload;
                exchange.expects = false;
                Ok(true)
            }
            Poll::Ready(_) => {
                self.link.end_upload(Some(BodyError::Disconnected));
                self.link.close();
                Err(After::Abort)
            }
        }
    }

    /// The body cannot be had. If the response has not begun the client is told.
    pub(super) fn fail_upload(&mut self, exchange: &mut Exchange, error: BodyError) -> After {
        self.link.end_upload(Some(error));
        if exchange.framing.is_none() {
            self.reject_upload(exchange, error);
            return After::Refuse;
        }
        if exchange.done { After::Refuse } else { After::Abort }
    }

    fn reject_upload(&mut self, exchange: &mut Exchange, error: BodyError) {
        log::info!(target: "gohttp.request", "{} for a request from {}: {error}", error.status(), self.info.peer_host);
        self.respond_plain(error.status(), Some(exchange));
    }

    /// Whether an unread body is short enough to be thrown away; else the connection ends.
    pub(super) fn begin_discard(&mut self, exchange: &mut Exchange) -> bool {
        if exchange.discarding {
            return true;
        }
        // Whoever still reads the body is told that it is not to be had any more.
        self.link.end_upload(Some(BodyError::Answered));
        if exchange.expects || !exchange.answering.keep_alive {
            return false;
        }
        exchange.discarding = true;
        exchange.discarded_from = exchange.upload.taken();
        exchange.upload.missing().is_none_or(|n| n <= DISCARD_LIMIT)
    }
}
