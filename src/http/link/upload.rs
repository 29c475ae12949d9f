//! The request's body on its way to the handler: pieces that wait, or memory of the reader's that
//! it is received into.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio::io::ReadBuf;

use super::Link;
use super::waiters::{register, register_waiter, wake_all};
use crate::http::body::{BodyError, BodyEvent, BodySink};
use crate::wake::lock;

/// Request bytes kept for a handler that does not read them, before the client has to wait.
const WINDOW: usize = 256 * 1024;
/// What a piece costs beside its bytes: many tiny ones are not free.
const ENTRY: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Open,
    Ended,
    Failed(BodyError),
}

/// How far the body is.
pub(super) struct Upload {
    stage: Stage,
    chunks: VecDeque<Bytes>,
    buffered: usize,
    /// Bytes that have come into this window.
    received: u64,
    /// How many may come, beside what the server allows.
    limit: u64,
    /// Where what comes goes, while a reader waits for that.
    sink: Option<Box<dyn BodySink>>,
    /// The handler has asked for the body: what `Expect: 100-continue` waits for.
    asked: bool,
    /// A task that waits for room, where it is not the connection's own.
    uploader: Option<Waker>,
    /// There is such a task: the connection has to be told what it finds.
    apart: bool,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("stage", &self.stage)
            .field("buffered", &self.buffered)
            .finish_non_exhaustive()
    }
}

impl Upload {
    pub(super) fn new(has_body: bool) -> Self {
        Self {
            stage: if has_body { Stage::Open } else { Stage::Ended },
            chunks: VecDeque::new(),
            buffered: 0,
            received: 0,
            limit: u64::MAX,
            sink: None,
            asked: false,
            uploader: None,
            apart: false,
        }
    }

    /// The client has gone. Returns who waits for room.
    pub(super) fn close(&mut self) -> Option<Waker> {
        if self.stage == Stage::Open {
            self.stage = Stage::Failed(BodyError::Disconnected);
        }
        self.uploader.take()
    }

    /// Whether a reader has something to see.
    fn readable(&self) -> bool {
        match &self.sink {
            Some(sink) => sink.room() == 0 || self.stage != Stage::Open,
            None => true,
        }
    }

    fn push(&mut self, mut data: Bytes) {
        if let Some(sink) = &mut self.sink {
            let n = sink.room().min(data.len());
            sink.put(&data[..n]);
            data.advance(n);
        }
        if !data.is_empty() {
            self.buffered += data.len() + ENTRY;
            self.chunks.push_back(data);
        }
    }

    /// Moves what waits into `sink`.
    fn drain_into(&mut self, sink: &mut dyn BodySink) {
        while let Some(first) = self.chunks.front_mut() {
            let n = sink.room().min(first.len());
            sink.put(&first[..n]);
            if n < first.len() {
                first.advance(n);
                self.buffered -= n;
                return;
            }
            self.buffered -= n + ENTRY;
            self.chunks.pop_front();
        }
    }
}

/// The connection's side.
impl Link {
    /// Whether more request bytes should be read from the client now; if `patient`, only once the
    /// handler has asked for them.
    pub fn wants_upload(&self, patient: bool) -> bool {
        let upload = &lock(&self.state).upload;
        upload.stage == Stage::Open && upload.buffered < WINDOW && (upload.asked || !patient)
    }

    /// Ready when more request bytes may be given. For a task of its own beside the
    /// connection's; woken as the handler reads.
    pub fn poll_upload_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        state.upload.apart = true;
        if self.gone() || state.upload.buffered < WINDOW {
            return Poll::Ready(());
        }
        register(&mut state.upload.uploader, cx);
        Poll::Pending
    }

    /// Whether the handler has asked for the body.
    pub fn asked_for_upload(&self) -> bool {
        lock(&self.state).upload.asked
    }

    /// Gives request bytes to the handler.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] beyond the limit that was set for this request.
    pub fn push_upload(&self, data: Bytes) -> Result<(), BodyError> {
        if data.is_empty() {
            return Ok(());
        }
        let readers = {
            let mut state = lock(&self.state);
            if self.gone() {
                return Ok(());
            }
            state.upload.received += data.len() as u64;
            if state.upload.received > state.upload.limit {
                return Err(BodyError::TooLarge);
            }
            state.upload.push(data);
            if !state.upload.readable() {
                return Ok(());
            }
            std::mem::take(&mut state.readers)
        };
        wake_all(readers);
        Ok(())
    }

    /// Has `read` put up to `max` bytes of the body where the reader wants them; `None` if there
    /// is no such place. Returns how many came.
    pub(crate) fn receive_into_sink(
        &self,
        max: usize,
        read: &mut dyn FnMut(&mut ReadBuf<'_>) -> Poll<io::Result<()>>,
    ) -> Option<Poll<io::Result<usize>>> {
        let (received, readers) = {
            let mut state = lock(&self.state);
            let sink = state.upload.sink.as_mut().filter(|sink| sink.room() > 0)?;
            let received = sink.receive(max, read);
            let readers = if state.upload.readable() {
                std::mem::take(&mut state.readers)
            } else {
                Vec::new()
            };
            (received, readers)
        };
        wake_all(readers);
        Some(received)
    }

    /// The request's body is complete, or will never be.
    pub fn end_upload(&self, error: Option<BodyError>) {
        let (readers, tell) = {
            let mut state = lock(&self.state);
            let open = state.upload.stage == Stage::Open;
            if open {
                state.upload.stage = error.map_or(Stage::Ended, Stage::Failed);
            }
            let tell = open && error.is_some() && state.upload.apart;
            (std::mem::take(&mut state.readers), tell)
        };
        if tell {
            self.wake_connection();
        }
        wake_all(readers);
    }

    /// Why the request's body cannot be had, if that is so.
    pub fn upload_error(&self) -> Option<BodyError> {
        match lock(&self.state).upload.stage {
            Stage::Failed(error) => Some(error),
            _ => None,
        }
    }
}

/// The handler's side.
impl Link {
    pub(in crate::http) fn poll_body(&self, cx: &mut Context<'_>) -> Poll<BodyEvent> {
        let mut state = lock(&self.state);
        if let Some(data) = state.upload.chunks.pop_front() {
            let was_full = state.upload.buffered >= WINDOW;
            state.upload.buffered -= data.len() + ENTRY;
            if was_full && state.upload.buffered < WINDOW {
                let uploader = state.upload.uploader.take();
                drop(state);
                self.ask_for_more(uploader);
            }
            return Poll::Ready(BodyEvent::Data(data));
        }
        match state.upload.stage {
            Stage::Ended => Poll::Ready(BodyEvent::End),
            Stage::Failed(error) => Poll::Ready(BodyEvent::Failed(error)),
            Stage::Open => {
                let first = !std::mem::replace(&mut state.upload.asked, true);
                let too_many = register_waiter(&mut state.readers, cx);
                drop(state);
                if first {
                    self.wake_connection();
                }
                wake_all(too_many);
                Poll::Pending
            }
        }
    }

    /// Ready when the sink is full, or nothing more will come. It is given away while it fills:
    /// `sink` is `None` from the first `Pending` to the `Ready`.
    pub(in crate::http) fn poll_body_into(
        &self,
        sink: &mut Option<Box<dyn BodySink>>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), BodyError>> {
        let mut state = lock(&self.state);
        let mut mine = match sink.take() {
            // Another reader is being served.
            Some(mine) if state.upload.sink.is_some() => {
                *sink = Some(mine);
                let too_many = register_waiter(&mut state.readers, cx);
                drop(state);
                wake_all(too_many);
                return Poll::Pending;
            }
            Some(mine) => mine,
            None => match state.upload.sink.take() {
                Some(mine) => mine,
                None => return Poll::Ready(Err(BodyError::Disconnected)),
            },
        };
        let was_full = state.upload.buffered >= WINDOW;
        state.upload.drain_into(&mut *mine);
        let has_room = was_full && state.upload.buffered < WINDOW;
        let uploader = if has_room { state.upload.uploader.take() } else { None };
        let ended = match state.upload.stage {
            _ if mine.room() == 0 => Some(Ok(())),
            Stage::Ended => Some(Ok(())),
            Stage::Failed(error) => Some(Err(error)),
            Stage::Open => None,
        };
        let mut first = false;
        let readers = if ended.is_some() {
            *sink = Some(mine);
            std::mem::take(&mut state.readers)
        } else {
            first = !std::mem::replace(&mut state.upload.asked, true);
            state.upload.sink = Some(mine);
            register_waiter(&mut state.readers, cx)
        };
        drop(state);
        if has_room {
            self.ask_for_more(uploader);
        }
        if first {
            self.wake_connection();
        }
        wake_all(readers);
        ended.map_or(Poll::Pending, Poll::Ready)
    }

    /// To be called with nothing locked.
    fn ask_for_more(&self, uploader: Option<Waker>) {
        match uploader {
            Some(uploader) => self.connection.queue.push(uploader),
            None => self.wake_connection(),
        }
    }

    /// Bytes beyond `limit` are not taken. Returns whether so many have come already.
    pub(in crate::http) fn limit_upload(&self, limit: u64) -> bool {
        let upload = &mut lock(&self.state).upload;
        upload.limit = upload.limit.min(limit);
        upload.received > upload.limit
    }

    /// Whether the whole body is here.
    pub(in crate::http) fn upload_complete(&self) -> bool {
        lock(&self.state).upload.stage == Stage::Ended
    }

    /// Whether the whole body is here and has been read.
    pub(in crate::http) fn upload_drained(&self) -> bool {
        let state = lock(&self.state);
        state.upload.stage == Stage::Ended && state.upload.chunks.is_empty()
    }
}
