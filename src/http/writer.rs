//! The handle that writes a response.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;

use super::body::ClientFault;
use super::file_part::{FilePart, Part};
use super::filter::Filter;
use super::link::{Link, Progress};
use super::outlet::Outlet;
use super::response::{RESET_CONTENT, ResponseHead, bodiless};
use super::upgrade::{Relay, Upgrade};
use super::write_error::WriteError;
use crate::wake::WakeQueue;
use crate::words::count;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Fresh,
    Started,
    /// The declared length has been given, and with it the end; the handler goes on.
    Satisfied,
    Ended,
}

/// Writes one response. Dropped before its end it answers 500, or cuts the connection if the head
/// is out, so that no client takes a part for the whole.
#[derive(Debug)]
pub struct ResponseWriter {
    outlet: Outlet,
    /// The head, held back until the first byte of the body or the end.
    head: Option<ResponseHead>,
    head_request: bool,
    /// No body is sent: what is given of one is dropped.
    bodiless: bool,
    /// Bytes still missing to the declared length.
    remaining: Option<u64>,
    stage: Stage,
}

impl ResponseWriter {
    /// Fewer bytes than these are coded sooner than a lock is handed over and back.
    pub const HEAVY: usize = 16 * 1024;

    pub(super) fn new(link: Arc<Link>, head_request: bool) -> Self {
        Self {
            outlet: Outlet::new(link, head_request),
            head: None,
            head_request,
            bodiless: false,
            remaining: None,
            stage: Stage::Fresh,
        }
    }

    /// Has `filter` change the response as it leaves; those that come later before those that are
    /// there. Without effect once the head has left, and on upgraded connections.
    pub fn add_filter(&mut self, filter: Arc<dyn Filter>) {
        if !self.committed() {
            self.outlet.add_filter(filter);
        }
    }

    /// Whether so many bytes may have to be coded when they are written, which takes its time:
    /// callers may want to let go of what others wait for.
    pub fn takes_time(&self, length: usize) -> bool {
        length >= Self::HEAVY && self.outlet.is_filtered()
    }

    /// Whether the head has been given.
    pub fn started(&self) -> bool {
        self.stage != Stage::Fresh
    }

    /// Whether the head has left, or is about to leave, towards the client.
    pub fn committed(&self) -> bool {
        self.stage != Stage::Fresh && self.head.is_none()
    }

    /// Whether the response has ended.
    pub fn ended(&self) -> bool {
        self.stage == Stage::Ended
    }

    /// Whether the client has gone.
    pub fn is_gone(&self) -> bool {
        self.outlet.link().gone()
    }

    /// Ready when the client has gone, or has sent its last byte and may still read: see
    /// [`Self::is_gone`].
    pub fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outlet.link().poll_gone(cx)
    }

    /// Ready when [`Self::is_gone`] is true, and not before.
    pub fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outlet.link().poll_closed(cx)
    }

    /// Whether the client has been told that its request took too long.
    pub fn is_expired(&self) -> bool {
        self.outlet.link().expired()
    }

    /// Whether the whole declared length has been given: nothing more will be sent.
    pub fn is_satisfied(&self) -> bool {
        self.stage == Stage::Satisfied
    }

    /// Whether `length` more bytes would go beyond the declared length.
    pub fn would_exceed(&self, length: usize) -> bool {
        !self.bodiless && self.remaining.is_some_and(|left| length as u64 > left)
    }

    /// What the client did wrong, if it has gone or its body cannot be had: an I/O error of the
    /// handler is then no fault of the handler.
    pub fn client_fault(&self) -> Option<ClientFault> {
        let gone = self.outlet.link().gone().then_some(ClientFault::Gone);
        self.outlet.link().upload_error().map(ClientFault::Body).or(gone)
    }

    /// The length that was declared for the body, until the head has left.
    pub fn declared_length(&self) -> Option<u64> {
        self.head.as_ref().and_then(ResponseHead::content_length)
    }

    /// Declares the length of the body, if none has been and the head has not left.
    pub fn declare_length(&mut self, length: u64) {
        if let Some(head) = &mut self.head
            && head.content_length().is_none()
            && !bodiless(false, head.status())
        {
            head.set_content_length(length);
            self.remaining = (!self.bodiless).then_some(length);
        }
    }

    /// Gives the head. It leaves with the first byte of the body, with [`Self::flush`] or at the
    /// end; until then another call replaces it.
    ///
    /// # Errors
    /// [`WriteError::Started`] once it has left, [`WriteError::Ended`] after the end.
    pub fn start(&mut self, mut head: ResponseHead) -> Result<(), WriteError> {
        match self.stage {
            Stage::Ended => return Err(WriteError::Ended),
            Stage::Started | Stage::Satisfied if self.head.is_none() => {
                return Err(WriteError::Started);
            }
            _ => {}
        }
        self.stage = Stage::Started;
        self.bodiless = bodiless(self.head_request, head.status());
        if head.status() == RESET_CONTENT {
            self.bodiless = true;
            head.set_content_length(0);
        }
        self.remaining = head.content_length().filter(|_| !self.bodiless);
        self.head = Some(head);
        Ok(())
    }

    /// An interim response (RFC 9110 section 15.2), sent at once.
    ///
    /// # Errors
    /// [`WriteError::Started`] if the head has left.
    pub fn interim(&mut self, head: ResponseHead) -> Result<(), WriteError> {
        if self.committed() {
            return Err(WriteError::Started);
        }
        self.outlet.link().push_interim(head);
        Ok(())
    }

    /// Takes the connection over, as WebSockets do (RFC 9110 section 7.8): what is returned is one
    /// end of a socket pair, whose other end the server joins with the client, bytes that it has
    /// read beyond the request first. HTTP/1 only; the response, head and all, is the caller's.
    ///
    /// # Errors
    /// `AlreadyExists` if the response has begun, `NotConnected` if the client has gone, and what
    /// the system says if it gives no sockets.
    pub fn hijack(&mut self) -> io::Result<UnixStream> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        match self.upgrade(None, Box::new(Relay(ours))) {
            Ok(()) => Ok(theirs),
            Err(error @ WriteError::Gone) => {
                Err(io::Error::new(io::ErrorKind::NotConnected, error.to_string()))
            }
            Err(error) => Err(io::Error::new(io::ErrorKind::AlreadyExists, error.to_string())),
        }
    }

    /// Where the connection is woken.
    pub(crate) fn wake_queue(&self) -> Arc<WakeQueue> {
        self.outlet.link().wake_queue()
    }

    /// Answers with `head`, unless the connection's new user does that itself, and gives the
    /// connection to `upgrade`.
    ///
    /// # Errors
    /// [`WriteError::Started`] if the response has begun, [`WriteError::Gone`] if the client has
    /// gone.
    pub fn upgrade(
        &mut self,
        head: Option<ResponseHead>,
        upgrade: Box<dyn Upgrade>,
    ) -> Result<(), WriteError> {
        if self.stage != Stage::Fresh {
            return Err(WriteError::Started);
        }
        if !self.outlet.link().upgrade(head, upgrade) {
            return Err(WriteError::Gone);
        }
        self.stage = Stage::Ended;
        Ok(())
    }

    /// Gives a piece of the body. Never blocks: see [`Self::poll_room`]. What goes beyond the
    /// declared length is cut and logged.
    ///
    /// # Errors
    /// [`WriteError`] if the response is not open, or the client has gone.
    pub fn write(&mut self, data: Bytes) -> Result<(), WriteError> {
        self.check_open()?;
        if data.is_empty() {
            return Ok(());
        }
        let data = self.admit(data);
        if self.stage == Stage::Started && self.remaining == Some(0) {
            // The client has all of it now, however long the handler takes to end.
            self.stage = Stage::Satisfied;
            return self.give(data, Progress::Complete);
        }
        if self.stage == Stage::Satisfied {
            return Ok(());
        }
        self.give(data, Progress::Open)
    }

    /// Sends the head now, if it has not left.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.check_open()?;
        if self.head.is_none() {
            return Ok(());
        }
        self.give(Bytes::new(), Progress::Open)
    }

    /// Ready when the client's side has taken enough that more may be written, or has gone.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.outlet.link().poll_room(cx)
    }

    /// Ends the response with a last piece of the body, which may be empty. A body shorter than
    /// declared cuts the connection.
    ///
    /// # Errors
    /// [`WriteError::Short`] for that; else as [`Self::write`].
    pub fn finish(&mut self, data: Bytes) -> Result<(), WriteError> {
        self.check_open()?;
        let data = self.admit(data);
        if self.stage == Stage::Satisfied {
            self.stage = Stage::Ended;
            return Ok(());
        }
        self.stage = Stage::Ended;
        if let Some(missing) = self.remaining.filter(|&n| n > 0) {
            let given = self.give(data, Progress::Aborted);
            // A client that has gone is the reason, not the application.
            return given.and(Err(WriteError::Short(missing)));
        }
        if let Some(head) = &mut self.head
            && head.content_length().is_none()
            && !self.bodiless
        {
            head.set_content_length(data.len() as u64);
        }
        self.give(data, Progress::Complete)
    }

    /// Gives a part of a file: the kernel sends it, or on HTTP/2 the server reads it as the client
    /// takes it. Else as [`Self::write`].
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn write_file(&mut self, mut file: FilePart) -> Result<(), WriteError> {
        self.check_open()?;
        if self.bodiless || file.is_empty() || self.stage == Stage::Satisfied {
            return Ok(());
        }
        file.truncate(self.remaining.unwrap_or(u64::MAX));
        if let Some(remaining) = &mut self.remaining {
            *remaining -= file.len();
        }
        let mut progress = Progress::Open;
        if self.remaining == Some(0) {
            self.stage = Stage::Satisfied;
            progress = Progress::Complete;
        }
        self.give_part(Some(Part::File(file)), progress)
    }

    /// Ends the response with a part of a file. Gives the part back if it is shorter than what was
    /// declared: then it is no good end.
    ///
    /// # Errors
    /// As [`Self::write`].
    pub fn finish_with_file(&mut self, file: FilePart) -> Result<Option<FilePart>, WriteError> {
        self.check_open()?;
        if self.remaining.is_some_and(|missing| file.len() < missing) {
            return Ok(Some(file));
        }
        self.declare_length(file.len());
        self.write_file(file)?;
        self.finish(Bytes::new()).map(|()| None)
    }

    /// Whether fields may follow the body: its length has not been declared, and it has one.
    pub fn takes_trailers(&self) -> bool {
        !self.bodiless && self.remaining.is_none() && self.stage != Stage::Satisfied
    }

    /// Ends the response with fields behind the body: the head's own fields are those. Where the
    /// framing has no place for them they are left out.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_with_trailers(&mut self, trailers: ResponseHead) -> Result<(), WriteError> {
        self.check_open()?;
        if !self.takes_trailers() {
            return self.finish(Bytes::new());
        }
        self.flush()?;
        let Ok(rest) = self.outlet.end_coding() else {
            self.abort();
            return Err(WriteError::Ended);
        };
        if let Some(rest) = rest {
            self.give(rest, Progress::Open)?;
        }
        self.stage = Stage::Ended;
        if self.outlet.link().give_trailers(trailers) { Ok(()) } else { Err(WriteError::Gone) }
    }

    /// Answers with a whole response.
    ///
    /// # Errors
    /// As [`Self::start`] and [`Self::finish`].
    pub fn respond(&mut self, head: ResponseHead, body: Bytes) -> Result<(), WriteError> {
        self.start(head)?;
        self.finish(body)
    }

    /// Answers with a status and its name as plain text, if the head has not left; else cuts the
    /// connection.
    pub fn fail(&mut self, status: u16) {
        if self.committed() {
            self.abort();
            return;
        }
        let body = format!("{status} {}\n", super::reason_phrase(status));
        // The only error here is a client gone, whom nothing can be told.
        let _ = self.respond(ResponseHead::text(status, body.len()), body.into());
    }

    /// Ends the response so that the client sees that it is not whole.
    pub fn abort(&mut self) {
        let before = std::mem::replace(&mut self.stage, Stage::Ended);
        if !matches!(before, Stage::Ended | Stage::Satisfied) {
            self.outlet.link().give(None, None, Progress::Aborted);
        }
    }

    fn check_open(&self) -> Result<(), WriteError> {
        match self.stage {
            Stage::Fresh => Err(WriteError::NotStarted),
            Stage::Started | Stage::Satisfied => Ok(()),
            Stage::Ended => Err(WriteError::Ended),
        }
    }

    /// What of `data` may be sent by the framing rules.
    fn admit(&mut self, mut data: Bytes) -> Bytes {
        if self.bodiless {
            return Bytes::new();
        }
        if let Some(remaining) = &mut self.remaining {
            if data.len() as u64 > *remaining {
                log::warn!(
                    target: "gohttp.response",
                    "the application sent more than its Content-Length: {} cut",
                    count(data.len() as u64 - *remaining, "byte")
                );
                data.truncate(*remaining as usize);
            }
            *remaining -= data.len() as u64;
        }
        data
    }

    fn give(&mut self, data: Bytes, progress: Progress) -> Result<(), WriteError> {
        self.give_part((!data.is_empty()).then_some(Part::Data(data)), progress)
    }

    fn give_part(&mut self, part: Option<Part>, progress: Progress) -> Result<(), WriteError> {
        let there = self.outlet.give(self.head.take(), part, progress);
        if there { Ok(()) } else { Err(WriteError::Gone) }
    }
}

impl Drop for ResponseWriter {
    fn drop(&mut self) {
        if self.stage != Stage::Ended {
            self.fail(500);
        }
    }
}
