//! What a handler and its connection share of a WebSocket.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use super::Session;
use super::deflate::Deflate;
use super::frame::{self, OpCode};
use crate::config::WebSocketConfig;
use crate::http::WriteError;
use crate::wake::{WakeQueue, lock};

/// Stands for a close frame without a code (RFC 6455 section 7.4.1).
pub(super) const NO_CODE: u16 = 1005;
/// Stands for an end without a close frame.
pub(super) const ABNORMAL: u16 = 1006;
/// Bytes of messages kept for a handler that does not take them, before the client has to wait.
const WINDOW: usize = 64 * 1024;
/// What a message costs beside its bytes.
const ENTRY: usize = 64;
/// Bytes kept for a client that does not take them, before the handler has to wait.
const ROOM: usize = 64 * 1024;

/// A message of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Vec<u8>),
}

impl Message {
    fn cost(&self) -> usize {
        ENTRY
            + match self {
                Self::Text(text) => text.len(),
                Self::Binary(data) => data.len(),
            }
    }
}

/// How a WebSocket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The code (RFC 6455 section 7.4.1): the client's, 1005 if it gave none, 1006 if it was gone
    /// without a word; else the one that the server has closed with.
    pub code: u16,
    /// The reason, empty if none was given.
    pub reason: String,
}

/// What receiving gives.
#[derive(Debug)]
pub enum Event {
    /// A message.
    Message(Message),
    /// There will be no more.
    Closed(Closed),
}

#[derive(Debug, Default)]
struct State {
    incoming: VecDeque<Message>,
    buffered: usize,
    /// The connection waits for the handler to take messages.
    full: bool,
    /// The connection waits for the handler to have taken all messages, and to ask for more.
    failing: bool,
    /// Set once; told when no message is left.
    closed: Option<Closed>,
    readers: Vec<Waker>,
    outgoing: Vec<u8>,
    writers: Vec<Waker>,
    /// The handler has sent its close frame: nothing may follow.
    closing: Option<Closed>,
    connection: Option<Waker>,
}

impl State {
    fn take_outgoing(&mut self, out: &mut Vec<u8>) {
        if out.is_empty() {
            // The emptied buffer serves the handler next.
            std::mem::swap(out, &mut self.outgoing);
        } else {
            out.append(&mut self.outgoing);
        }
    }

    fn check_open(&self) -> Result<(), WriteError> {
        match (&self.closing, &self.closed) {
            (Some(_), _) => Err(WriteError::Ended),
            (None, Some(_)) => Err(WriteError::Gone),
            (None, None) => Ok(()),
        }
    }
}

/// The handler's end.
#[derive(Debug)]
pub struct WebSocket {
    state: Mutex<State>,
    /// The handler has changed something since the connection looked, and has woken it. Set with
    /// the state locked.
    news: AtomicBool,
    queue: Arc<WakeQueue>,
    deflate: Option<Deflate>,
}

/// What the connection finds at a look.
pub(super) struct Look {
    /// Whether messages may be given.
    pub(super) room: bool,
    /// The close frame that the handler has put in, if it has been moved.
    pub(super) closing: Option<Closed>,
}

impl WebSocket {
    /// The two ends of a WebSocket to be.
    pub(super) fn open(
        deflate: Option<Deflate>,
        config: &WebSocketConfig,
        queue: Arc<WakeQueue>,
    ) -> (Arc<Self>, Session) {
        let state = Mutex::default();
        let socket = Arc::new(Self { state, news: AtomicBool::new(false), queue, deflate });
        let session = Session::new(socket.clone(), config, deflate.is_some());
        (socket, session)
    }

    /// Ready with the next message, or with the end.
    pub fn poll_event(&self, cx: &mut Context<'_>) -> Poll<Event> {
        let mut state = lock(&self.state);
        if let Some(message) = state.incoming.pop_front() {
            state.buffered -= message.cost();
            if state.full && state.buffered < WINDOW / 2 {
                state.full = false;
                self.wake_connection(&state);
            }
            return Poll::Ready(Event::Message(message));
        }
        if let Some(closed) = &state.closed {
            return Poll::Ready(Event::Closed(closed.clone()));
        }
        register(&mut state.readers, cx);
        if state.failing {
            self.wake_connection(&state);
        }
        Poll::Pending
    }

    /// Sends text. Never blocks: see [`Self::poll_room`].
    ///
    /// # Errors
    /// [`WriteError::Ended`] after the handler's close, [`WriteError::Gone`] after the client's.
    pub fn send_text(&self, text: &str) -> Result<(), WriteError> {
        self.send(OpCode::Text, text.as_bytes())
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// As [`Self::send_text`].
    pub fn send_binary(&self, data: &[u8]) -> Result<(), WriteError> {
        self.send(OpCode::Binary, data)
    }

    fn send(&self, code: OpCode, data: &[u8]) -> Result<(), WriteError> {
        let compressed = self.deflate.and_then(|deflate| deflate.compress(data));
        let mut state = lock(&self.state);
        state.check_open()?;
        match &compressed {
            Some(smaller) => frame::append(&mut state.outgoing, code, true, smaller),
            None => frame::append(&mut state.outgoing, code, false, data),
        }
        self.wake_connection(&state);
        Ok(())
    }

    /// Ready when more may be sent without much waiting in memory, or when the client has gone.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.closed.is_some() || state.outgoing.len() < ROOM {
            return Poll::Ready(());
        }
        register(&mut state.writers, cx);
        Poll::Pending
    }

    /// Closes with a code and a reason, which is cut to the 123 bytes that fit.
    ///
    /// # Errors
    /// As [`Self::send_text`].
    pub fn close(&self, code: u16, reason: &str) -> Result<(), WriteError> {
        let mut state = lock(&self.state);
        state.check_open()?;
        let fits = (0..=123).rev().find(|&n| reason.is_char_boundary(n)).unwrap_or(0);
        let reason = reason.get(..fits).unwrap_or(reason);
        frame::append_close(&mut state.outgoing, code, reason);
        state.closing = Some(Closed { code, reason: reason.into() });
        self.wake_connection(&state);
        Ok(())
    }

    /// Whether the WebSocket has ended, or has been closed from this side.
    pub fn is_closed(&self) -> bool {
        let state = lock(&self.state);
        state.closed.is_some() || state.closing.is_some()
    }

    /// How it has ended, once it has.
    pub fn closed(&self) -> Option<Closed> {
        lock(&self.state).closed.clone()
    }

    fn wake_connection(&self, state: &State) {
        if !self.news.swap(true, Relaxed)
            && let Some(connection) = &state.connection
        {
            self.queue.push(connection.clone());
        }
    }
}

/// The connection's side.
impl WebSocket {
    /// Moves what the handler has sent behind `out`, if that may take more. The connection is woken
    /// at the next change.
    pub(super) fn look(&self, out: &mut Vec<u8>, takes: bool, cx: &Context<'_>) -> Look {
        let (look, writers) = {
            let mut state = lock(&self.state);
            self.news.store(false, Relaxed);
            if !state.connection.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                state.connection = Some(cx.waker().clone());
            }
            let room = state.buffered < WINDOW;
            state.full = !room;
            if takes {
                state.take_outgoing(out);
                let look = Look { room, closing: state.closing.clone() };
                (look, std::mem::take(&mut state.writers))
            } else {
                (Look { room, closing: None }, Vec::new())
            }
        };
        writers.into_iter().for_each(Waker::wake);
        look
    }

    /// Gives a message to the handler. Returns whether there is room for another.
    pub(super) fn give(&self, message: Message) -> bool {
        let (room, readers) = {
            let mut state = lock(&self.state);
            if state.closed.is_some() {
                return true;
            }
            state.buffered += message.cost();
            state.incoming.push_back(message);
            let room = state.buffered < WINDOW;
            state.full = !room;
            (room, std::mem::take(&mut state.readers))
        };
        readers.into_iter().for_each(Waker::wake);
        room
    }

    /// The client has broken the protocol. Returns whether the handler has answered all that came
    /// before; if not, the connection is woken when it has.
    pub(super) fn fail(&self) -> bool {
        let mut state = lock(&self.state);
        let answered =
            state.closing.is_some() || (state.incoming.is_empty() && !state.readers.is_empty());
        state.failing = !answered && state.closed.is_none();
        !state.failing
    }

    /// Nothing more will come, nor go out. Said once; what is said later does not count.
    pub(super) fn end(&self, closed: Closed) {
        self.end_with(None, closed);
    }

    /// The same, with a last close frame behind all that the handler has sent, unless it has sent
    /// one itself.
    pub(super) fn close_from_here(&self, out: &mut Vec<u8>, code: u16, reason: &str, end: Closed) {
        self.end_with(Some((out, code, reason)), end);
    }

    fn end_with(&self, frame: Option<(&mut Vec<u8>, u16, &str)>, closed: Closed) {
        let (readers, writers) = {
            let mut state = lock(&self.state);
            if state.closed.is_some() {
                return;
            }
            if let Some((out, code, reason)) = frame {
                state.take_outgoing(out);
                if state.closing.is_none() {
                    frame::append_close(out, code, reason);
                }
            }
            state.closed = Some(closed);
            (std::mem::take(&mut state.readers), std::mem::take(&mut state.writers))
        };
        readers.into_iter().for_each(Waker::wake);
        writers.into_iter().for_each(Waker::wake);
    }

    /// Gives back memory that an idle connection need not hold.
    pub(super) fn shrink(&self) {
        let mut state = lock(&self.state);
        if state.outgoing.is_empty() && state.outgoing.capacity() > 4096 {
            state.outgoing = Vec::new();
        }
    }
}

fn register(waiters: &mut Vec<Waker>, cx: &Context<'_>) {
    if !waiters.iter().any(|known| known.will_wake(cx.waker())) {
        waiters.push(cx.waker().clone());
    }
}
