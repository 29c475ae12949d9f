//! One connection, request after request: waiting for heads, refusing, closing.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::AsyncReadExt;

use super::encode::{Answering, encode_head};
use super::exchange::Exchange;
use super::parse::{self, Parsed, Reject};
use super::repeat::Heads;
use super::write_buf::WriteBuf;
use crate::http::{
    ConnInfo, Handover, LinkWaker, OwnLink, READ_ROOM, ResponseHead, Upgrade, Version, read_some,
    reason_phrase,
};
use crate::server::context::Context;
use crate::server::listener::Transport;
use crate::server::timeouts::{Date, Registered};

/// What an idle connection keeps for its next request.
const KEPT_ROOM: usize = 4 * 1024;
/// How long a stop waits on an idle connection for a request that may be on its way already.
const DRAIN_IDLE_GRACE: Duration = Duration::from_millis(500);
/// How long a connection is read after its end, so that the client sees our last words rather
/// than a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(5);
/// The same while the server stops.
const DRAIN_LINGER: Duration = Duration::from_millis(500);
/// How many bytes are read in that time.
const LINGER_BYTES: usize = 64 * 1024 * 1024;
/// What an HTTP/2 connection with prior knowledge begins with (RFC 9113 section 3.4).
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How a connection ended.
pub(crate) enum Ended<I> {
    /// It is closed.
    Closed,
    /// The client speaks HTTP/2: the transport and what has been read of it.
    Http2(I, Bytes, Registered),
}

/// What waiting for a request gave.
enum Next {
    Request(Parsed),
    Http2,
    Reject(Reject),
    Closed,
}

/// What follows after an exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next request.
    KeepAlive,
    /// A proper end.
    Close,
    /// A proper end although the client still has something to send.
    Refuse,
    /// Another protocol.
    Upgraded,
    /// An end of which the client must see that it is none.
    Abort,
}

/// A connection in HTTP/1.
pub(crate) struct Connection<I> {
    pub(crate) io: I,
    pub(crate) read: BytesMut,
    pub(crate) write: WriteBuf,
    pub(crate) cx: Arc<Context>,
    pub(crate) info: Arc<ConnInfo>,
    pub(crate) watch: Registered,
    pub(crate) link: OwnLink,
    pub(crate) date: Date,
    heads: Heads,
    /// What runs the connection from now on.
    pub(crate) upgraded: Option<Box<dyn Upgrade>>,
    /// The client has sent its last byte.
    pub(crate) read_closed: bool,
    /// The last read left something in the kernel, most likely.
    pub(crate) read_full: bool,
    /// The client has said that it sends no further request.
    pub(crate) client_ends: bool,
}

/// Serves a connection to its end.
pub(crate) async fn serve<I: Transport>(
    io: I,
    cx: Arc<Context>,
    info: Arc<ConnInfo>,
    watch: Registered,
) -> Ended<I> {
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    watch.0.set_task(&task);
    let link = OwnLink::new(info.clone(), LinkWaker { task, queue: cx.wake.clone() });
    let mut connection = Connection {
        io,
        read: BytesMut::new(),
        write: WriteBuf::default(),
        cx,
        info,
        watch,
        link,
        date: Date::default(),
        heads: Heads::default(),
        upgraded: None,
        read_closed: false,
        read_full: false,
        client_ends: false,
    };
    let mut first = true;
    loop {
        match connection.next(first).await {
            Next::Request(parsed) => match connection.exchange(parsed).await {
                After::KeepAlive => {}
                After::Close => {
                    connection.close(true).await;
                    return Ended::Closed;
                }
                After::Refuse => {
                    connection.close(false).await;
                    return Ended::Closed;
                }
                After::Upgraded => {
                    connection.upgrade().await;
                    return Ended::Closed;
                }
                After::Abort => return Ended::Closed,
            },
            Next::Http2 => {
                return Ended::Http2(connection.io, connection.read.freeze(), connection.watch);
            }
            Next::Reject(reject) => {
                connection.refuse(reject).await;
                return Ended::Closed;
            }
            Next::Closed => return Ended::Closed,
        }
        first = false;
    }
}

impl<I: Transport> Connection<I> {
    async fn next(&mut self, first: bool) -> Next {
        // Pipelined bytes may hold the next request already.
        let mut look = !self.read.is_empty();
        let mut granted = false;
        let config = &self.cx.config;
        self.watch.0.arm(if first || look { config.header_timeout } else { config.idle_timeout });
        if !look && self.read.capacity() > KEPT_ROOM {
            // An idle connection holds no more than a new one.
            self.read = BytesMut::new();
            self.write.shrink();
        } else if !look && self.read.capacity() == 0 {
            // Nothing is left of it but a hold on the room that it was read to.
            self.read = BytesMut::new();
        }
        loop {
            if look {
                if first
                    && H2_PREFACE.starts_with(&self.read[..self.read.len().min(H2_PREFACE.len())])
                {
                    if self.read.len() >= H2_PREFACE.len() {
                        return Next::Http2;
                    }
                } else {
                    match self.heads.parse(&self.read, &self.cx.config) {
                        Ok(Some(parsed)) => return Next::Request(parsed),
                        Ok(None) => {}
                        Err(reject) => return Next::Reject(reject),
                    }
                }
            }
            let was_empty = self.read.is_empty();
            if was_empty && self.cx.registry.draining() && !granted {
                granted = true;
                self.watch.0.arm(DRAIN_IDLE_GRACE);
            }
            let filled = poll_fn(|cx| {
                if let Poll::Ready(read) = self.poll_fill(cx) {
                    return Poll::Ready(Some(read));
                }
                if self.watch.0.expired() || (was_empty && self.cx.registry.draining() && !granted)
                {
                    return Poll::Ready(None);
                }
                Poll::Pending
            })
            .await;
            match filled {
                Some(Ok(n)) if n > 0 => {
                    if was_empty {
                        self.watch.0.arm(self.cx.config.header_timeout);
                        look = true;
                    } else {
                        // A head that trickles in is parsed again only when it may be whole.
                        look = self.may_be_whole(n);
                    }
                }
                Some(_) => return Next::Closed,
                None if !self.watch.0.expired() => {}
                None if self.read.is_empty() => return Next::Closed,
                None => {
                    return Next::Reject(Reject {
                        status: 408,
                        why: "the request head did not come within header_timeout",
                    });
                }
            }
        }
    }

    /// Whether the last `n` bytes read may complete a head, or break a limit.
    fn may_be_whole(&self, n: usize) -> bool {
        let len = self.read.len();
        let tail = &self.read[len - (n + 3).min(len)..];
        len < H2_PREFACE.len()
            || len > self.cx.config.max_target_size
            || memchr::memmem::find(tail, b"\n\r\n").is_some()
            || memchr::memmem::find(tail, b"\n\n").is_some()
    }

    /// Reads into the buffer. 0 is the end of what the client sends.
    pub(crate) fn poll_fill(&mut self, cx: &mut TaskContext<'_>) -> Poll<io::Result<usize>> {
        if self.read_closed {
            return Poll::Ready(Ok(0));
        }
        let read = read_some(&mut self.io, &mut self.read, cx);
        self.note_end(&read);
        self.read_full = matches!(read, Poll::Ready(Ok(READ_ROOM)));
        read
    }

    /// The same, for a body known to be large: it is read to where it stays.
    pub(crate) fn poll_fill_room(
        &mut self,
        room: usize,
        cx: &mut TaskContext<'_>,
    ) -> Poll<io::Result<usize>> {
        if self.read_closed {
            return Poll::Ready(Ok(0));
        }
        if self.read.capacity() - self.read.len() < room / 4 {
            self.read.reserve(room);
        }
        let read = pin!(self.io.read_buf(&mut self.read)).poll(cx);
        self.note_end(&read);
        self.read_full = self.read.len() == self.read.capacity();
        read
    }

    /// The same, to where the handler waits for it, if it does: up to `max` bytes of a body.
    pub(crate) fn poll_receive(
        &mut self,
        max: usize,
        cx: &mut TaskContext<'_>,
    ) -> Option<Poll<io::Result<usize>>> {
        if self.read_closed {
            return Some(Poll::Ready(Ok(0)));
        }
        let io = &mut self.io;
        let read =
            self.link.receive_into_sink(max, &mut |room| Pin::new(&mut *io).poll_read(cx, room))?;
        self.note_end(&read);
        Some(read)
    }

    fn note_end(&mut self, read: &Poll<io::Result<usize>>) {
        self.read_closed |= matches!(read, Poll::Ready(Ok(0) | Err(_)));
    }

    /// Answers a request that could not be understood, and ends.
    async fn refuse(&mut self, reject: Reject) {
        log::info!(
            target: "gohttp.request",
            "{} for a request from {}{}: {}",
            reject.status,
            if self.info.peer_host.is_empty() { "a Unix socket" } else { &self.info.peer_host },
            parse::method_of(&self.read).map(|m| format!(" ({m})")).unwrap_or_default(),
            reject.why
        );
        self.respond_plain(reject.status, None);
        self.close(false).await;
    }

    /// Puts a small answer of the server's own in the write buffer; the connection ends after it.
    /// `exchange`: in place of whose answer.
    pub(super) fn respond_plain(&mut self, status: u16, exchange: Option<&mut Exchange>) {
        let head_request = exchange.as_ref().is_some_and(|e| e.answering.head_request);
        let body = format!("{status} {}\n", reason_phrase(status));
        let answering = Answering { version: Version::Http11, head_request, keep_alive: false };
        let date = self.cx.registry.date_of(&mut self.date);
        let mut head = ResponseHead::text(status, body.len());
        if exchange.is_some() {
            self.link.refine(&mut head);
        }
        self.write.append(|out| {
            encode_head(out, &head, answering, date);
            if !head_request {
                out.extend_from_slice(body.as_bytes());
            }
        });
        if let Some(exchange) = exchange {
            exchange.status = status;
            exchange.sent = if head_request { 0 } else { body.len() as u64 };
            if let Some(access) = &mut exchange.access {
                access.note(&head);
            }
        }
    }

    /// Gives the connection to who has taken it over.
    async fn upgrade(mut self) {
        let Some(upgrade) = self.upgraded.take() else { return };
        let mut progress = 0;
        let patience = self.cx.config.write_timeout;
        let flushed = poll_fn(|cx| self.write.poll_flush(&mut self.io, cx, &mut progress));
        if let Ok(Ok(())) = tokio::time::timeout(patience, flushed).await {
            let connection = Handover {
                io: Box::new(self.io),
                read: self.read,
                stopping: Box::pin(self.cx.registry.clone().stopping()),
                write_timeout: patience,
            };
            upgrade.run(connection).await;
        }
    }

    /// Writes what is left, says goodbye, and reads what the client still sends for a while, so
    /// that it is not reset before it has read our answer. `clean`: it has sent all it announced.
    async fn close(&mut self, clean: bool) {
        self.watch.0.arm(self.cx.config.write_timeout);
        let flushed = poll_fn(|cx| {
            let mut progress = 0;
            let flushed = self.write.poll_flush(&mut self.io, cx, &mut progress);
            if progress > 0 {
                self.watch.0.arm(self.cx.config.write_timeout);
            }
            match flushed {
                Poll::Pending if self.watch.0.expired() => Poll::Ready(false),
                Poll::Pending => Poll::Pending,
                Poll::Ready(result) => Poll::Ready(result.is_ok()),
            }
        })
        .await;
        if flushed && clean && self.client_ends && self.read.is_empty() {
            // The client has said all it had to say: nothing of its can be answered by a reset,
            // and closing is goodbye enough.
            return;
        }
        if !flushed || poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await.is_err() {
            return;
        }
        self.watch.0.arm(LINGER);
        let mut left = LINGER_BYTES;
        let mut hurried = false;
        loop {
            self.read.clear();
            let read = poll_fn(|cx| {
                if self.cx.registry.draining() && !std::mem::replace(&mut hurried, true) {
                    self.watch.0.arm(DRAIN_LINGER);
                }
                match self.poll_fill(cx) {
                    Poll::Pending if self.watch.0.expired() => Poll::Ready(Ok(0)),
                    other => other,
                }
            })
            .await;
            match read {
                Ok(n) if n > 0 && left > n => left -= n,
                _ => return,
            }
        }
    }
}
