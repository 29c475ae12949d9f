//! One request and its response on an HTTP/1 connection: both directions at once.

use std::future::poll_fn;
use std::io;
use std::task::{Context as TaskContext, Poll};
use std::time::Instant;

use super::connection::{After, Connection};
use super::encode::{Answering, BodyFraming, encode_interim};
use super::parse::Parsed;
use super::upload::Upload;
use crate::http::{self, BodyError, Due, Progress, ResponseHead};
use crate::server::access_log::AccessEntry;
use crate::server::listener::Transport;
use crate::words::count;
use bytes::Buf;

/// The most that is read at once to where the handler waits for it: others get their turn.
pub(super) const SINK_ROOM: u64 = 512 * 1024;

/// What the connection waits for, each with its own time-out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    Handler,
    Upload,
    Client,
}

/// The exchange in hand; its link is the connection's.
pub(super) struct Exchange {
    pub(super) upload: Upload,
    pub(super) answering: Answering,
    /// The client waits for `100 Continue` before it sends the body.
    pub(super) expects: bool,
    /// The handler has given something that has not been taken.
    pub(super) news: bool,
    /// How the response's body is framed, once its head has been encoded.
    pub(super) framing: Option<BodyFraming>,
    pub(super) done: bool,
    pub(super) discarding: bool,
    /// Bytes of the body that had been taken by then.
    pub(super) discarded_from: u64,
    pub(super) waiting: Waiting,
    /// The tick by which the response must be complete.
    pub(super) deadline: Option<u32>,
    /// Where that comes from.
    pub(super) due: Due,
    /// It has been changed since it was last waited for.
    pub(super) due_changed: bool,
    pub(super) status: u16,
    pub(super) sent: u64,
    pub(super) access: Option<AccessEntry>,
}

impl<I: Transport> Connection<I> {
    /// Has a request answered.
    pub(crate) async fn exchange(&mut self, parsed: Parsed) -> After {
        self.watch.0.disarm();
        self.client_ends = !parsed.keep_alive;
        self.read.advance(parsed.consumed);
        let upload = Upload::new(parsed.framing, self.cx.config.max_body_size);
        self.link.renew(!upload.ended());
        let mut exchange = Exchange {
            upload,
            answering: Answering {
                version: parsed.head.version(),
                head_request: parsed.head.is_head(),
                keep_alive: parsed.keep_alive,
            },
            expects: parsed.expect_continue && self.read.is_empty(),
            news: false,
            framing: None,
            done: false,
            discarding: false,
            discarded_from: 0,
            waiting: Waiting::Handler,
            deadline: None,
            due: Due::Settings,
            due_changed: false,
            status: 0,
            sent: 0,
            access: self.cx.access_log.map(|log| log.begin(&self.info, &parsed.head)),
        };
        if let Err(after) = self.prebuffer(&mut exchange, &parsed.head).await {
            if let Some(access) = exchange.access.take() {
                access.end(exchange.status, exchange.sent, false);
            }
            return after;
        }
        let (request, writer) = http::exchange(parsed.head, self.link.share());
        exchange.deadline = self.cx.config.request_timeout.map(|t| self.watch.0.tick_after(t));
        self.cx.dispatch(request, writer);
        let after = poll_fn(|cx| self.poll_exchange(&mut exchange, cx)).await;
        self.link.finish();
        if let Some(access) = exchange.access.take() {
            access.end(exchange.status, exchange.sent, after != After::Abort);
        }
        self.watch.0.disarm();
        after
    }

    fn poll_exchange(&mut self, exchange: &mut Exchange, cx: &mut TaskContext<'_>) -> Poll<After> {
        let mut progress = 0;
        let mut taken = 0;
        loop {
            exchange.news |= self.link.take_news();
            if exchange.news
                && let Some((head, upgrade)) = self.link.take_upgrade()
            {
                if let Some(head) = head {
                    self.write.append(|out| encode_interim(out, &head));
                }
                exchange.status = 101;
                self.upgraded = Some(upgrade);
                return Poll::Ready(After::Upgraded);
            }
            if exchange.news && !exchange.done && !self.write.is_full() {
                exchange.news = false;
                let out = self.link.take_outgoing();
                if out.due != exchange.due {
                    self.note_due(exchange, out.due);
                }
                if self.encode(exchange, out) == Progress::Aborted {
                    return self.abort(exchange, cx);
                }
                if exchange.expects && !exchange.done && self.link.asked_for_upload() {
                    exchange.expects = false;
                    if exchange.framing.is_none() {
                        self.write.append(|out| encode_interim(out, &ResponseHead::new(100)));
                    }
                }
            }
            let writing = !self.write.is_empty();
            let flushed = match self.write.poll_flush(&mut self.io, cx, &mut progress) {
                Poll::Ready(Ok(())) => true,
                Poll::Ready(Err(error)) => {
                    self.note_failed_write(exchange, &error);
                    return Poll::Ready(After::Abort);
                }
                Poll::Pending => false,
            };
            if exchange.done && flushed {
                if exchange.upload.ended() {
                    return Poll::Ready(self.after(exchange));
                }
                if !self.begin_discard(exchange) {
                    return Poll::Ready(After::Refuse);
                }
            }
            let before = exchange.upload.taken();
            let read = match self.poll_upload(exchange, cx) {
                Ok(read) => read,
                Err(after) => return Poll::Ready(after),
            };
            taken += exchange.upload.taken() - before;
            if read && taken >= SINK_ROOM {
                // A fast uploader may always have more: others get their turn.
                cx.waker().wake_by_ref();
                return self.wait(exchange, flushed, progress > 0);
            }
            if (writing && flushed) || read {
                continue;
            }
            return self.wait(exchange, flushed, progress > 0);
        }
    }

    /// Sets the time-out for what is waited for.
    fn wait(&mut self, exchange: &mut Exchange, flushed: bool, progress: bool) -> Poll<After> {
        let waiting = if !flushed {
            Waiting::Client
        } else if !exchange.upload.ended()
            && self.reads_upload(exchange)
            && (exchange.discarding || self.link.asked_for_upload())
            && !exchange.expects
        {
            Waiting::Upload
        } else {
            Waiting::Handler
        };
        if !exchange.done && exchange.deadline.is_some_and(|d| self.watch.0.reached(d)) {
            // News wait while much is to be written.
            self.note_due(exchange, self.link.due());
            if exchange.deadline.is_some_and(|d| self.watch.0.reached(d)) {
                return Poll::Ready(self.time_out(exchange));
            }
        }
        // Once the handler has ended, the client has the time that clients have.
        let relieved = std::mem::take(&mut exchange.due_changed)
            | (exchange.done && exchange.deadline.take().is_some());
        if self.watch.0.expired() && !progress && !relieved {
            match exchange.waiting {
                Waiting::Client => {
                    log::info!(target: "gohttp.request", "{}: connection cut: the client took nothing for write_timeout", self.info.peer_host);
                    return Poll::Ready(After::Abort);
                }
                Waiting::Upload => {
                    return Poll::Ready(self.fail_upload(exchange, BodyError::TimedOut));
                }
                Waiting::Handler => {}
            }
        }
        if waiting != exchange.waiting || progress || relieved {
            exchange.waiting = waiting;
            match waiting {
                Waiting::Client => self.watch.0.arm(self.cx.config.write_timeout),
                Waiting::Upload => self.watch.0.arm(self.cx.config.body_timeout),
                Waiting::Handler => self.watch.0.disarm(),
            }
        }
        if let Some(deadline) = exchange.deadline {
            self.watch.0.arm_by(deadline);
        }
        Poll::Pending
    }

    /// The handler may have said by when it will be done.
    fn note_due(&self, exchange: &mut Exchange, due: Due) {
        if due == exchange.due {
            return;
        }
        exchange.due = due;
        exchange.due_changed = true;
        exchange.deadline = match due {
            Due::At(at) => {
                Some(self.watch.0.tick_after(at.saturating_duration_since(Instant::now())))
            }
            Due::Never | Due::Settings => None,
        };
    }

    /// The response is not complete in time. If it has not begun the client is told.
    fn time_out(&mut self, exchange: &mut Exchange) -> After {
        let outcome = if exchange.framing.is_none() { "answered with 504" } else { "cut" };
        log::warn!(
            target: "gohttp.request",
            "a request from {} was {outcome}: its handler did not end within {}",
            if self.info.peer_host.is_empty() { "a Unix socket" } else { &self.info.peer_host },
            exchange.due.source(),
        );
        self.link.expire();
        if exchange.framing.is_some() {
            return After::Abort;
        }
        self.respond_plain(504, Some(exchange));
        After::Refuse
    }

    /// A client that goes is no news; a file that is not what it was is.
    fn note_failed_write(&self, exchange: &mut Exchange, error: &io::Error) {
        let missing = self.write.files_left();
        exchange.sent -= missing.min(exchange.sent);
        if error.kind() == io::ErrorKind::UnexpectedEof {
            log::warn!(
                target: "gohttp.response",
                "a response to {} was cut: the file that it is made of has become shorter, by {}",
                self.info.peer_host,
                count(missing, "byte")
            );
        }
    }

    fn after(&self, exchange: &Exchange) -> After {
        if exchange.answering.keep_alive { After::KeepAlive } else { After::Close }
    }

    /// Ends a response that is not whole: what has been given is sent, and no proper end.
    fn abort(&mut self, exchange: &mut Exchange, cx: &mut TaskContext<'_>) -> Poll<After> {
        exchange.done = true;
        exchange.answering.keep_alive = false;
        let mut progress = 0;
        let _ = self.write.poll_flush(&mut self.io, cx, &mut progress);
        if exchange.framing == Some(BodyFraming::UntilClose) {
            // A proper end would make the part pass for the whole.
            self.io.reset_on_close();
        }
        Poll::Ready(After::Abort)
    }
}
