//! What a reader of a request's body can meet.

use std::any::Any;
use std::fmt;
use std::io;
use std::task::Poll;

use bytes::Bytes;
use tokio::io::ReadBuf;

/// Why a request's body ended before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// The client went away.
    Disconnected,
    /// The framing is broken: a malformed chunk.
    Malformed,
    /// The body is larger than the server allows.
    TooLarge,
    /// Nothing came for the server's body time-out.
    TimedOut,
    /// The request's time was up.
    Deadline,
    /// The response is complete: the rest of the body is not read.
    Answered,
}

impl BodyError {
    /// The status that an unanswered request with this body gets.
    pub const fn status(self) -> u16 {
        match self {
            Self::Disconnected | Self::Malformed | Self::Answered => 400,
            Self::TooLarge => 413,
            Self::TimedOut => 408,
            Self::Deadline => 504,
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disconnected => "the client went away before it had sent the whole request body",
            Self::Malformed => "the request body is malformed: a broken chunk",
            Self::TooLarge => "the request body is larger than the server allows",
            Self::TimedOut => "the client sent no more of the request body in time",
            Self::Deadline => "request_timeout passed before the whole request body had come",
            Self::Answered => "the response was complete: the rest of the request body is not read",
        })
    }
}

impl std::error::Error for BodyError {}

/// What a client did, so that a handler's I/O error is no fault of the handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientFault {
    /// Its body cannot be had.
    Body(BodyError),
    /// Its connection has ended: it has left, or a stop did not wait for it any longer.
    Gone,
}

impl ClientFault {
    /// The status that an unanswered request gets.
    pub const fn status(self) -> u16 {
        match self {
            Self::Body(error) => error.status(),
            // Nobody is there to see it.
            Self::Gone => 400,
        }
    }
}

impl fmt::Display for ClientFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Body(error) => error.fmt(f),
            Self::Gone => f.write_str("its connection ended before the response was whole"),
        }
    }
}

/// What reading a body gives.
#[derive(Debug)]
pub enum BodyEvent {
    /// Some bytes, never none.
    Data(Bytes),
    /// The body is complete.
    End,
    /// The body will never be complete.
    Failed(BodyError),
}

/// Memory of a reader's that a body is received into, without being kept anywhere before.
pub trait BodySink: Any + Send {
    /// How many bytes still fit.
    fn room(&self) -> usize;

    /// Takes bytes, at most [`Self::room`] of them.
    fn put(&mut self, data: &[u8]);

    /// Has `read` fill up to `max` bytes. Returns how many it has filled.
    fn receive(
        &mut self,
        max: usize,
        read: &mut dyn FnMut(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Poll<io::Result<usize>>;
}
