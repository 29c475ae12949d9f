//! From bytes to messages: frames, fragments, masks, compression, text.

use bytes::{Buf, BytesMut};

use super::deflate;
use super::frame::{OpCode, mask};
use super::socket::{Closed, Message, NO_CODE};

/// Why a connection is failed: the code that says so (RFC 6455 section 7.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u16,
    pub(super) why: &'static str,
}

pub(super) const TOO_BIG: Violation =
    Violation { code: 1009, why: "the message is larger than the server allows" };

const fn broken(why: &'static str) -> Violation {
    Violation { code: 1002, why }
}

const NOT_UTF8: Violation = Violation { code: 1007, why: "a text message is not UTF-8" };

/// What came.
#[derive(Debug)]
pub(super) enum Incoming {
    Message(Message),
    Ping(Vec<u8>),
    Pong,
    Close(Closed),
}

/// The frame whose payload is being read.
#[derive(Debug, Clone, Copy)]
struct Frame {
    code: OpCode,
    last: bool,
    key: [u8; 4],
    left: usize,
}

/// The message whose frames are being read.
#[derive(Debug)]
struct Partial {
    text: bool,
    compressed: bool,
    data: Vec<u8>,
    /// Bytes known to be UTF-8.
    checked: usize,
}

/// Reads one connection.
#[derive(Debug)]
pub(super) struct Decoder {
    max: usize,
    deflate: bool,
    frame: Option<Frame>,
    message: Option<Partial>,
    control: Vec<u8>,
}

impl Decoder {
    /// `max`: bytes of a message; `deflate`: whether messages may be compressed.
    pub(super) fn new(max: usize, deflate: bool) -> Self {
        Self { max, deflate, frame: None, message: None, control: Vec::new() }
    }

    /// What comes next out of `buf`; `None` if more has to be read.
    pub(super) fn next(&mut self, buf: &mut BytesMut) -> Result<Option<Incoming>, Violation> {
        loop {
            let mut frame = match self.frame {
                Some(frame) => frame,
                None => match self.head(buf)? {
                    Some(frame) => frame,
                    None => return Ok(None),
                },
            };
            let take = frame.left.min(buf.len());
            let whole = take == frame.left;
            let payload = &mut buf[..take];
            frame.key = mask(payload, frame.key);
            frame.left -= take;
            match &mut self.message {
                _ if frame.code.is_control() => self.control.extend_from_slice(payload),
                Some(message) => {
                    message.data.extend_from_slice(payload);
                    if !(whole && frame.last) {
                        // What comes in one piece is looked at once, in the end.
                        message.check()?;
                    }
                }
                None => {}
            }
            buf.advance(take);
            self.frame = (!whole).then_some(frame);
            if !whole {
                return Ok(None);
            }
            if frame.code.is_control() {
                return control(frame.code, std::mem::take(&mut self.control)).map(Some);
            }
            if frame.last
                && let Some(message) = self.message.take()
            {
                return message.finish(self.max).map(|message| Some(Incoming::Message(message)));
            }
        }
    }

    /// Reads a frame's head, and takes it out of `buf`.
    fn head(&mut self, buf: &mut BytesMut) -> Result<Option<Frame>, Violation> {
        let &[first, second, ..] = &buf[..] else { return Ok(None) };
        let code = OpCode::of(first & 0x0f).ok_or(broken("a frame has a reserved opcode"))?;
        let (last, compressed) = (first & 0x80 != 0, first & 0x40 != 0);
        let begins = matches!(code, OpCode::Text | OpCode::Binary);
        if first & 0x30 != 0 || (compressed && !(self.deflate && begins)) {
            return Err(broken("a frame has a reserved bit set"));
        }
        if second & 0x80 == 0 {
            return Err(broken("a frame of the client is not masked"));
        }
        let short = usize::from(second & 0x7f);
        if code.is_control() && (!last || short > 125) {
            return Err(broken("a control frame is fragmented or too long"));
        }
        let size = match short {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(key) = buf.get(2 + size..6 + size) else { return Ok(None) };
        let key = [key[0], key[1], key[2], key[3]];
        let left = match short {
            126 | 127 => buf[2..2 + size].iter().fold(0u64, |n, &b| n << 8 | u64::from(b)),
            _ => short as u64,
        };
        if left >> 63 != 0 {
            return Err(broken("a frame's length is not one"));
        }
        let left = usize::try_from(left).map_err(|_| TOO_BIG)?;
        if !code.is_control() {
            self.begin(code, compressed, left)?;
        }
        buf.advance(6 + size);
        Ok(Some(Frame { code, last, key, left }))
    }

    /// A data frame begins: of a new message, or of that in hand.
    fn begin(&mut self, code: OpCode, compressed: bool, len: usize) -> Result<(), Violation> {
        let had = match (&self.message, code) {
            (Some(message), OpCode::Continuation) => message.data.len(),
            (Some(_), _) => return Err(broken("a message begins within another")),
            (None, OpCode::Continuation) => return Err(broken("a frame continues no message")),
            (None, _) => 0,
        };
        if had.checked_add(len).is_none_or(|len| len > self.max) {
            return Err(TOO_BIG);
        }
        if code != OpCode::Continuation {
            // Room as it comes: the client's word is not enough.
            let data = Vec::with_capacity(len.min(64 * 1024));
            let text = code == OpCode::Text;
            self.message = Some(Partial { text, compressed, data, checked: 0 });
        }
        Ok(())
    }
}

impl Partial {
    /// Looks at text as it comes, so that a client that sends something else hears of it soon.
    fn check(&mut self) -> Result<(), Violation> {
        if !self.text || self.compressed {
            return Ok(());
        }
        match std::str::from_utf8(&self.data[self.checked..]) {
            Ok(_) => self.checked = self.data.len(),
            Err(error) if error.error_len().is_none() => self.checked += error.valid_up_to(),
            Err(_) => return Err(NOT_UTF8),
        }
        Ok(())
    }

    fn finish(self, max: usize) -> Result<Message, Violation> {
        let data = if self.compressed { deflate::inflate(self.data, max)? } else { self.data };
        if self.text {
            String::from_utf8(data).map(Message::Text).map_err(|_| NOT_UTF8)
        } else {
            Ok(Message::Binary(data))
        }
    }
}

fn control(code: OpCode, payload: Vec<u8>) -> Result<Incoming, Violation> {
    match code {
        OpCode::Ping => Ok(Incoming::Ping(payload)),
        OpCode::Pong => Ok(Incoming::Pong),
        _ => close(&payload).map(Incoming::Close),
    }
}

fn close(payload: &[u8]) -> Result<Closed, Violation> {
    let (code, reason) = match payload {
        [] => return Ok(Closed { code: NO_CODE, reason: String::new() }),
        [_] => return Err(broken("a close frame holds half a code")),
        [a, b, reason @ ..] => (u16::from_be_bytes([*a, *b]), reason),
    };
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(broken("a close frame has a code that may not be sent"));
    }
    let reason = std::str::from_utf8(reason)
        .map_err(|_| Violation { code: 1007, why: "the reason of a close frame is not UTF-8" })?;
    Ok(Closed { code, reason: reason.into() })
}
