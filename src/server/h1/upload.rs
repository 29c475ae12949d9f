//! The body of the request in hand: out of the read buffer, into the link.

use bytes::BytesMut;

use super::chunked::{Decoder, Step};
use super::parse::Framing;
use crate::http::{BodyError, Link};

#[derive(Debug)]
enum Left {
    Length(u64),
    Chunks(Decoder),
    Nothing,
}

/// Reads one request's body.
#[derive(Debug)]
pub(crate) struct Upload {
    left: Left,
    taken: u64,
    limit: Option<u64>,
}

impl Upload {
    pub(crate) fn new(framing: Framing, limit: Option<u64>) -> Self {
        let left = match framing {
            Framing::Length(0) => Left::Nothing,
            Framing::Length(n) => Left::Length(n),
            Framing::Chunked => Left::Chunks(Decoder::new()),
        };
        Self { left, taken: 0, limit }
    }

    /// Whether the whole body has been taken from the connection.
    pub(crate) fn ended(&self) -> bool {
        matches!(self.left, Left::Nothing)
    }

    /// How many bytes are still to come, if that is known.
    pub(crate) fn missing(&self) -> Option<u64> {
        match self.left {
            Left::Length(n) => Some(n),
            Left::Chunks(_) => None,
            Left::Nothing => Some(0),
        }
    }

    /// Bytes of the body taken so far.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Counts bytes of a body of known length that have gone to the handler already.
    pub(crate) fn received(&mut self, n: u64, link: &Link) {
        self.taken += n;
        if let Left::Length(left) = &mut self.left {
            *left -= n;
            if *left == 0 {
                self.left = Left::Nothing;
                link.end_upload(None);
            }
        }
    }

    /// Moves what `buf` holds of the body to `link`, which may be `None` to throw it away.
    pub(crate) fn take(
        &mut self,
        buf: &mut BytesMut,
        link: Option<&Link>,
    ) -> Result<(), BodyError> {
        let result = self.take_inner(buf, link);
        if let (Err(error), Some(link)) = (result, link) {
            link.end_upload(Some(error));
        }
        result
    }

    fn take_inner(&mut self, buf: &mut BytesMut, link: Option<&Link>) -> Result<(), BodyError> {
        loop {
            let data = match &mut self.left {
                Left::Nothing => return Ok(()),
                Left::Length(_) if buf.is_empty() => return Ok(()),
                Left::Length(n) => {
                    let take = (*n).min(buf.len() as u64);
                    *n -= take;
                    if *n == 0 {
                        self.left = Left::Nothing;
                    }
                    if take == buf.len() as u64 {
                        // All of it, room and all: an empty rest would hold the room.
                        std::mem::take(buf).freeze()
                    } else {
                        buf.split_to(take as usize).freeze()
                    }
                }
                Left::Chunks(decoder) => {
                    match decoder.step(buf).map_err(|_| BodyError::Malformed)? {
                        Step::Data(data) => data,
                        Step::More => return Ok(()),
                        Step::End => {
                            self.left = Left::Nothing;
                            if let Some(link) = link {
                                link.end_upload(None);
                            }
                            return Ok(());
                        }
                    }
                }
            };
            self.taken += data.len() as u64;
            if self.limit.is_some_and(|limit| self.taken > limit) {
                return Err(BodyError::TooLarge);
            }
            if let Some(link) = link {
                link.push_upload(data)?;
                if self.ended() {
                    link.end_upload(None);
                }
            }
        }
    }
}
