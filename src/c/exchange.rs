//! One request and its response, as C's handles stand for them.

use std::ffi::c_char;
use std::sync::{Arc, Mutex};

use bytes::{Buf, Bytes};

use super::call::Values;
use super::error::{Fault, gohttp_error as Code};
use super::handles::{Kind, Table};
use super::reply::Reply;
use super::texts::{Text, Texts};
use crate::crew::{next_piece, wait};
use crate::http::{BodyEvent, Request, RequestHead, ResponseWriter};
use crate::wake::lock;

/// Bytes of one write that are given to the connection before there has to be room for more.
const PIECE: usize = 256 * 1024;

static EXCHANGES: Table<Exchange> = Table::new(Kind::Exchange);

/// The exchange that a handle stands for.
pub(super) fn find(handle: u32) -> Result<Arc<Exchange>, Fault> {
    EXCHANGES.get(handle).ok_or_else(|| Code::GOHTTP_ERROR_HANDLE.into())
}

/// Who ends the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    /// The handler, by returning.
    Handler,
    /// Whoever calls gohttp_response_end.
    Caller,
    /// Nobody: it has ended.
    Nobody,
}

struct Outcome {
    reply: Reply,
    owner: Owner,
}

/// See the module's text.
pub(super) struct Exchange {
    request: Request,
    /// Names and values of the pattern's wildcards.
    values: Values,
    pattern: Arc<str>,
    texts: Mutex<Texts>,
    /// What is left of the last piece of the body.
    unread: Mutex<Bytes>,
    outcome: Mutex<Outcome>,
}

impl Exchange {
    pub(super) fn new(
        request: Request,
        writer: ResponseWriter,
        pattern: Arc<str>,
        values: Values,
    ) -> Self {
        Self {
            request,
            values,
            pattern,
            texts: Mutex::default(),
            unread: Mutex::default(),
            outcome: Mutex::new(Outcome { reply: Reply::new(writer), owner: Owner::Handler }),
        }
    }

    pub(super) fn request(&self) -> &Request {
        &self.request
    }

    pub(super) fn head(&self) -> &RequestHead {
        &self.request.head
    }

    pub(super) fn pattern(&self) -> &str {
        &self.pattern
    }

    /// Names and values of the pattern's wildcards.
    pub(super) fn values(&self) -> &[(Box<str>, Box<[u8]>)] {
        &self.values
    }

    /// The address and length of a text, good for as long as the exchange lives.
    pub(super) fn text<T: AsRef<[u8]>>(
        &self,
        which: Text,
        make: impl FnOnce() -> T,
    ) -> (*const c_char, usize) {
        lock(&self.texts).give(which, make)
    }

    /// Waits for some of the body, and gives up to `max` bytes of it; none at the end.
    pub(super) fn read(&self, max: usize) -> Result<Bytes, Fault> {
        if lock(&self.unread).is_empty() {
            match next_piece(&self.request) {
                BodyEvent::Data(data) => {
                    let mut unread = lock(&self.unread);
                    // Another thread may have come first: what is left of its piece stays.
                    *unread = match unread.is_empty() {
                        true => data,
                        false => Bytes::from([&unread[..], &data].concat()),
                    };
                }
                BodyEvent::End => {}
                BodyEvent::Failed(error) => return Err(error.into()),
            }
        }
        let mut unread = lock(&self.unread);
        let taken = unread.slice(..max.min(unread.remaining()));
        unread.advance(taken.len());
        Ok(taken)
    }

    /// Waits for the whole body and gives it with a NUL behind it. [`Self::read`] gives it, too.
    ///
    /// # Errors
    /// The status for the client, if it cannot be had or is longer than `max` bytes.
    pub(super) fn keep_all(&self, max: usize) -> Result<Bytes, u16> {
        let mut body =
            Vec::with_capacity(self.head().content_length().map_or(0, |length| {
                usize::try_from(length).map_or(0, |length| length.min(PIECE) + 1)
            }));
        loop {
            match next_piece(&self.request) {
                BodyEvent::Data(data) if data.len() > max - body.len() => return Err(413),
                BodyEvent::Data(data) => body.extend_from_slice(&data),
                BodyEvent::End => break,
                BodyEvent::Failed(error) => return Err(error.status()),
            }
        }
        body.push(0);
        let body = Bytes::from(body);
        *lock(&self.unread) = body.slice(..body.len() - 1);
        Ok(body)
    }

    /// Changes the response.
    pub(super) fn reply<T>(
        &self,
        change: impl FnOnce(&mut Reply) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        change(&mut lock(&self.outcome).reply)
    }

    /// Writes to the response, and waits while the client does not take it.
    pub(super) fn write(&self, data: &[u8]) -> Result<(), Fault> {
        // Even nothing settles the head.
        let mut pieces = data.chunks(PIECE);
        let mut piece = pieces.next().unwrap_or_default();
        loop {
            if self.reply(|reply| reply.write(piece))? {
                self.wait_for_room();
            }
            match pieces.next() {
                Some(next) => piece = next,
                None => return Ok(()),
            }
        }
    }

    /// Sends what has been written, and waits while the client does not take it.
    pub(super) fn flush(&self) -> Result<(), Fault> {
        self.reply(Reply::flush)?;
        self.wait_for_room();
        Ok(())
    }

    fn wait_for_room(&self) {
        wait(|cx| lock(&self.outcome).reply.writer().poll_room(cx));
    }

    /// From now on the response is the caller's to end.
    pub(super) fn detach(&self) -> Result<(), Fault> {
        let mut outcome = lock(&self.outcome);
        if outcome.owner == Owner::Nobody {
            return Err(Code::GOHTTP_ERROR_HANDLE.into());
        }
        outcome.owner = Owner::Caller;
        Ok(())
    }

    /// Ends the response by `how`. If it was detached, its handle is stale from now on.
    pub(super) fn end(
        &self,
        handle: u32,
        how: impl FnOnce(&mut Reply) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let (ended, over) = {
            let mut outcome = lock(&self.outcome);
            let over = outcome.owner == Owner::Caller;
            if over {
                outcome.owner = Owner::Nobody;
            }
            (how(&mut outcome.reply), over)
        };
        if over {
            drop(EXCHANGES.remove(handle));
        }
        ended
    }

    /// The handler has returned, or will never: ends the response, unless it was detached. Returns
    /// whether its handle is no good any more.
    fn after_handler(&self) -> bool {
        let mut outcome = lock(&self.outcome);
        if outcome.owner != Owner::Handler {
            return outcome.owner == Owner::Nobody;
        }
        outcome.owner = Owner::Nobody;
        if outcome.reply.ended() {
            return true;
        }
        if let Err(fault) = outcome.reply.end()
            && fault.code != Code::GOHTTP_ERROR_GONE
        {
            let head = self.head();
            log::warn!(
                target: "gohttp.response",
                "{} {}: {}",
                String::from_utf8_lossy(head.method()),
                String::from_utf8_lossy(head.path()).escape_default(),
                fault.text()
            );
        }
        true
    }
}

/// Has `run` handle an exchange; its handle is good until `run` returns, or, if the response was
/// detached, until that is ended.
pub(super) fn lend(exchange: &Arc<Exchange>, run: impl FnOnce(u32)) {
    let Some(handle) = EXCHANGES.insert(exchange.clone()) else {
        log::error!(target: "gohttp.server", "too many detached responses: a request was refused");
        return lock(&exchange.outcome).reply.fail(503);
    };
    let lease = Lease { exchange, handle };
    run(handle);
    drop(lease);
}

/// The time of a handler. A panic ends it too.
struct Lease<'a> {
    exchange: &'a Exchange,
    handle: u32,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        if self.exchange.after_handler() {
            // It may have been taken out by whoever ended it.
            drop(EXCHANGES.remove(self.handle));
        }
    }
}
