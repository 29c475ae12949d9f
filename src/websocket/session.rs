//! A WebSocket on its connection, from the answer to the handshake to the end.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncWrite;
use tokio::time::{Sleep, sleep};

use super::decoder::{Decoder, Incoming, Violation};
use super::frame::{self, OpCode};
use super::socket::{ABNORMAL, Closed, WebSocket};
use crate::config::WebSocketConfig;
use crate::http::{Duplex, Ending, Handover, Stopping, Upgrade, read_some};

/// How long a client has to answer a close frame.
const CLOSE_WAIT: Duration = Duration::from_secs(10);
/// How long a handler has to answer what came before a violation.
const FAIL_WAIT: Duration = Duration::from_secs(1);
/// How long a connection is read after its end, so that the client sees our last words rather
/// than a reset.
const LINGER: Duration = Duration::from_secs(2);
/// Bytes on their way out beyond which nothing is read: pings are answered.
const ROOM: usize = 64 * 1024;
/// What an idle connection may keep.
const KEPT: usize = 4 * 1024;

/// The connection's end of a WebSocket.
#[derive(Debug)]
pub struct Session {
    socket: Arc<WebSocket>,
    config: WebSocketConfig,
    deflate: bool,
}

impl Session {
    pub(super) fn new(socket: Arc<WebSocket>, config: &WebSocketConfig, deflate: bool) -> Self {
        Self { socket, config: config.clone(), deflate }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.socket.end(gone());
    }
}

impl Upgrade for Session {
    fn run(self: Box<Self>, connection: Handover) -> Ending {
        Box::pin(async move {
            let mut running = Running::new(&self, connection);
            if poll_fn(|cx| running.poll(cx)).await {
                running.say_goodbye().await;
            }
        })
    }
}

fn gone() -> Closed {
    Closed { code: ABNORMAL, reason: String::new() }
}

/// How far the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    /// We have sent a close frame, and wait for the client's.
    Closing,
    /// The client has broken the protocol, and is told when the handler has answered all that came
    /// before, or has had its time.
    Failing(Violation),
    /// There is nothing to wait for: what is left is sent, and that is all.
    Over,
    /// The client is not there any more.
    Gone,
}

/// A session at work.
struct Running<'a> {
    socket: &'a WebSocket,
    io: Box<dyn Duplex>,
    decoder: Decoder,
    read: BytesMut,
    write: Vec<u8>,
    /// Bytes of `write` that have been written.
    written: usize,
    stage: Stage,
    /// Ready once, when the server stops.
    stopping: Option<Stopping>,
    keep_alive: Option<KeepAlive>,
    /// When we stop to wait for the client's close frame, or for the handler.
    closing: Option<Pin<Box<Sleep>>>,
    /// How long the client may take nothing, and when that is over.
    write_timeout: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
    /// Nothing is read now: there is no room for it.
    paused: bool,
}

impl<'a> Running<'a> {
    fn new(session: &'a Session, connection: Handover) -> Self {
        let config = &session.config;
        Self {
            socket: &session.socket,
            io: connection.io,
            decoder: Decoder::new(config.max_message_size, session.deflate),
            read: connection.read,
            write: Vec::new(),
            written: 0,
            stage: Stage::Open,
            stopping: Some(connection.stopping),
            keep_alive: config
                .ping_interval
                .map(|every| KeepAlive::new(every, config.ping_timeout)),
            closing: None,
            write_timeout: connection.write_timeout,
            stuck: None,
            paused: false,
        }
    }

    /// Runs the connection to its end. Returns whether the client is there for a goodbye.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stopping.as_mut().is_some_and(|stopping| stopping.as_mut().poll(cx).is_ready()) {
            self.stopping = None;
            self.close(1001, "the server is stopping");
        }
        loop {
            let takes = self.write.len() - self.written < ROOM;
            let look = self.socket.look(&mut self.write, takes, cx);
            if let Some(closed) = look.closing.filter(|_| self.stage == Stage::Open) {
                self.socket.end(closed);
                self.stage = Stage::Closing;
            }
            if let Poll::Ready(Err(_)) = self.poll_flush(cx) {
                self.stage = Stage::Gone;
            }
            if !takes && self.write.len() - self.written < ROOM {
                // There is room now for what was left with the handler.
                continue;
            }
            if let Stage::Failing(violation) = self.stage
                && self.socket.fail()
            {
                self.close_for(violation);
                continue;
            }
            match self.stage {
                Stage::Failing(_) => break,
                Stage::Gone => {
                    self.socket.end(gone());
                    return Poll::Ready(false);
                }
                Stage::Over if self.write.is_empty() => return Poll::Ready(true),
                Stage::Over => break,
                Stage::Open | Stage::Closing => {}
            }
            if !self.take_in(look.room, cx) {
                break;
            }
        }
        self.poll_timers(cx)
    }

    fn poll_timers(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if self.stage == Stage::Closing && self.write.is_empty() && self.closing.is_none() {
            self.closing = Some(Box::pin(sleep(CLOSE_WAIT)));
        }
        if let Some(stuck) = &mut self.stuck
            && stuck.as_mut().poll(cx).is_ready()
        {
            log::info!(target: "gohttp.request", "WebSocket cut: its client took nothing for write_timeout");
            self.socket.end(gone());
            return Poll::Ready(false);
        }
        if let Some(closing) = &mut self.closing
            && closing.as_mut().poll(cx).is_ready()
        {
            self.closing = None;
            let Stage::Failing(violation) = self.stage else { return Poll::Ready(false) };
            self.close_for(violation);
            if matches!(self.poll_flush(cx), Poll::Ready(Err(_))) {
                return Poll::Ready(false);
            }
            if self.write.is_empty() {
                return Poll::Ready(true);
            }
            return self.poll_timers(cx);
        }
        if self.stage == Stage::Open
            && let Some(keep_alive) = &mut self.keep_alive
        {
            // What is not read cannot be missed.
            keep_alive.alive |= self.paused;
            match keep_alive.poll(cx) {
                Poll::Pending => {}
                Poll::Ready(true) => {
                    frame::append(&mut self.write, OpCode::Ping, false, b"");
                    if self.write.len() < ROOM && matches!(self.poll_flush(cx), Poll::Ready(Err(_)))
                    {
                        return Poll::Ready(false);
                    }
                    return self.poll_timers(cx);
                }
                Poll::Ready(false) => {
                    log::info!(target: "gohttp.request", "WebSocket cut: its client did not answer a ping");
                    let why = "no answer to a ping";
                    self.socket.close_from_here(&mut self.write, 1011, why, gone());
                    let _ = self.poll_flush(cx);
                    return Poll::Ready(false);
                }
            }
        }
        if self.write.is_empty() && self.read.is_empty() {
            self.shrink();
        }
        Poll::Pending
    }

    /// Reads what the client sends, as far as there is room for it. Returns whether another look
    /// is due.
    fn take_in(&mut self, mut room: bool, cx: &mut Context<'_>) -> bool {
        let mut any = false;
        self.paused = true;
        while (room || self.stage == Stage::Closing) && self.write.len() - self.written < ROOM {
            match self.decoder.next(&mut self.read) {
                Ok(Some(Incoming::Message(message))) => {
                    if self.stage == Stage::Open {
                        room = self.socket.give(message);
                    }
                }
                Ok(Some(Incoming::Ping(payload))) => {
                    frame::append(&mut self.write, OpCode::Pong, false, &payload);
                }
                Ok(Some(Incoming::Pong)) => {}
                Ok(Some(Incoming::Close(closed))) => {
                    let code = closed.code;
                    self.socket.close_from_here(&mut self.write, code, "", closed);
                    self.stage = Stage::Over;
                    return true;
                }
                Ok(None) => match read_some(&mut *self.io, &mut self.read, cx) {
                    Poll::Pending => {
                        self.paused = false;
                        return any;
                    }
                    Poll::Ready(Ok(n)) if n > 0 => {
                        if let Some(keep_alive) = &mut self.keep_alive {
                            keep_alive.heard = true;
                        }
                    }
                    Poll::Ready(_) => {
                        self.stage = Stage::Gone;
                        return true;
                    }
                },
                Err(violation) => {
                    if self.stage == Stage::Open {
                        self.stage = Stage::Failing(violation);
                        self.closing = Some(Box::pin(sleep(FAIL_WAIT)));
                    } else {
                        self.stage = Stage::Over;
                    }
                    return true;
                }
            }
            any = true;
        }
        any
    }

    /// Closes on a client that has broken the protocol, and does not wait for its answer.
    fn close_for(&mut self, violation: Violation) {
        log::info!(target: "gohttp.request", "WebSocket closed with {}: {}", violation.code, violation.why);
        self.close(violation.code, violation.why);
        self.stage = Stage::Over;
    }

    /// Closes from the server's side, behind what the handler has sent.
    fn close(&mut self, code: u16, reason: &str) {
        let closed = Closed { code, reason: reason.into() };
        self.socket.close_from_here(&mut self.write, code, reason, closed);
        if matches!(self.stage, Stage::Open | Stage::Failing(_)) {
            self.stage = Stage::Closing;
            self.closing = None;
        }
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.write.len() {
            let written = Pin::new(&mut self.io).poll_write(cx, &self.write[self.written..])?;
            let Poll::Ready(n) = written else {
                self.stuck.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
                return Poll::Pending;
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += n;
            if self.stuck.take().is_some()
                && let Some(keep_alive) = &mut self.keep_alive
            {
                // Somebody takes what waited.
                keep_alive.alive = true;
            }
            if self.written > self.write.len() / 2 && self.written > ROOM {
                self.write.drain(..self.written);
                self.written = 0;
            }
        }
        self.write.clear();
        self.written = 0;
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn shrink(&mut self) {
        if self.read.capacity() > KEPT {
            self.read = BytesMut::new();
        }
        if self.write.capacity() > KEPT {
            self.write = Vec::new();
            self.socket.shrink();
        }
    }

    /// Ends our direction, and reads what the client still sends for a while.
    async fn say_goodbye(&mut self) {
        let goodbye = async {
            if poll_fn(|cx| Pin::new(&mut self.io).poll_shutdown(cx)).await.is_ok() {
                loop {
                    self.read.clear();
                    match poll_fn(|cx| read_some(&mut *self.io, &mut self.read, cx)).await {
                        Ok(n) if n > 0 => {}
                        _ => break,
                    }
                }
            }
        };
        // A client that stays longer is left.
        let _ = tokio::time::timeout(LINGER, goodbye).await;
    }
}

/// Asks a silent client for a sign of life.
#[derive(Debug)]
struct KeepAlive {
    interval: Duration,
    timeout: Duration,
    timer: Pin<Box<Sleep>>,
    /// A ping is out.
    asked: bool,
    /// Something came since the last look.
    heard: bool,
    /// The client is known to be there by other signs.
    alive: bool,
}

impl KeepAlive {
    fn new(interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            timer: Box::pin(sleep(interval)),
            asked: false,
            heard: false,
            alive: false,
        }
    }

    /// Ready with whether a ping is due; if not, the client is taken for gone.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        loop {
            ready!(self.timer.as_mut().poll(cx));
            let heard = std::mem::take(&mut self.heard);
            let alive = std::mem::take(&mut self.alive);
            if self.asked && !heard && !alive {
                return Poll::Ready(false);
            }
            // Who speaks need not be asked.
            self.asked = !self.asked && !heard;
            let wait = if self.asked { self.timeout } else { self.interval };
            self.timer = Box::pin(sleep(wait));
            if self.asked {
                return Poll::Ready(true);
            }
        }
    }
}
