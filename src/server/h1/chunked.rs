//! The chunked transfer coding of request bodies (RFC 9112 section 7.1), read strictly: what two
//! readers could read in two ways is an error.

use bytes::{Buf, Bytes, BytesMut};

/// Longest chunk line with its extensions, and longest trailer section.
const LINE_LIMIT: usize = 8 * 1024;
const TRAILER_LIMIT: usize = 16 * 1024;
/// Extensions of all chunks together; beyond it someone is wasting our time.
const EXTENSION_LIMIT: usize = 64 * 1024;
const MAX_TRAILERS: usize = 64;

/// The body breaks the coding.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Size,
    Data(u64),
    DataEnd,
    Trailers,
    End,
}

/// What one step gave.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Bytes of the body, never none.
    Data(Bytes),
    /// More bytes are needed.
    More,
    /// The body is complete.
    End,
}

/// Decodes one body.
#[derive(Debug)]
pub(crate) struct Decoder {
    state: State,
    extensions: usize,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { state: State::Size, extensions: 0 }
    }

    /// Takes what it can from the front of `buf`.
    pub(crate) fn step(&mut self, buf: &mut BytesMut) -> Result<Step, Malformed> {
        loop {
            match self.state {
                State::Size => match self.size_line(buf)? {
                    None => return Ok(Step::More),
                    Some(0) => self.state = State::Trailers,
                    Some(size) => self.state = State::Data(size),
                },
                State::Data(left) => {
                    if buf.is_empty() {
                        return Ok(Step::More);
                    }
                    let n = left.min(buf.len() as u64);
                    self.state = if n == left { State::DataEnd } else { State::Data(left - n) };
                    return Ok(Step::Data(buf.split_to(n as usize).freeze()));
                }
                State::DataEnd => {
                    if !b"\r\n".starts_with(&buf[..buf.len().min(2)]) {
                        return Err(Malformed);
                    }
                    if buf.len() < 2 {
                        return Ok(Step::More);
                    }
                    buf.advance(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    if !Self::trailers(buf)? {
                        return Ok(Step::More);
                    }
                    self.state = State::End;
                }
                State::End => return Ok(Step::End),
            }
        }
    }

    /// `chunk-size [chunk-ext] CRLF`
    fn size_line(&mut self, buf: &mut BytesMut) -> Result<Option<u64>, Malformed> {
        let end = memchr::memchr(b'\n', buf);
        let line = &buf[..end.unwrap_or(buf.len())];
        let digits = line.iter().take_while(|b| b.is_ascii_hexdigit()).count();
        if digits > 15 || (digits == 0 && !line.is_empty()) || line.len() > LINE_LIMIT {
            return Err(Malformed);
        }
        let rest = &line[digits..];
        // Behind the size only an extension or the line's end may stand, no space.
        if !matches!(rest.first(), None | Some(b';' | b'\r')) {
            return Err(Malformed);
        }
        let Some(end) = end else {
            // A CR may only be the last byte so far.
            return if memchr::memchr(b'\r', rest).is_some_and(|at| at + 1 < rest.len()) {
                Err(Malformed)
            } else {
                Ok(None)
            };
        };
        let Some(extension) = rest.strip_suffix(b"\r") else { return Err(Malformed) };
        if digits == 0 || !is_extension(extension) {
            return Err(Malformed);
        }
        self.extensions += extension.len();
        if self.extensions > EXTENSION_LIMIT {
            return Err(Malformed);
        }
        let size = line[..digits].iter().fold(0u64, |n, &b| n * 16 + u64::from(hex(b)));
        buf.advance(end + 1);
        Ok(Some(size))
    }

    /// Reads trailer fields to their end; they are checked and dropped. Returns whether they are
    /// complete.
    fn trailers(buf: &mut BytesMut) -> Result<bool, Malformed> {
        let mut fields = [httparse::EMPTY_HEADER; MAX_TRAILERS];
        match httparse::parse_headers(buf, &mut fields) {
            Ok(httparse::Status::Complete((consumed, _))) => {
                let section = &buf[..consumed];
                if memchr::memchr_iter(b'\n', section).any(|at| at == 0 || section[at - 1] != b'\r')
                {
                    return Err(Malformed);
                }
                buf.advance(consumed);
                Ok(true)
            }
            Ok(httparse::Status::Partial) if buf.len() <= TRAILER_LIMIT => Ok(false),
            _ => Err(Malformed),
        }
    }
}

/// Whether these bytes may stand behind a chunk's size: no control characters, quotes in pairs,
/// no extension without a name.
fn is_extension(bytes: &[u8]) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    for &b in bytes {
        if (b < 0x20 && b != b'\t') || b == 0x7f {
            return false;
        }
        match b {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ => {}
        }
    }
    !quoted && !bytes.ends_with(b";")
}

fn hex(b: u8) -> u8 {
    match b {
        b'0'..=b'9' => b - b'0',
        b'a'..=b'f' => b - b'a' + 10,
        _ => b - b'A' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(input: &[u8], at_once: bool) -> Result<(Vec<u8>, bool, usize), Malformed> {
        let mut decoder = Decoder::new();
        let mut buf = BytesMut::new();
        let mut body = Vec::new();
        let pieces: Vec<&[u8]> = if at_once { vec![input] } else { input.chunks(1).collect() };
        let mut ended = false;
        for piece in pieces {
            buf.extend_from_slice(piece);
            loop {
                match decoder.step(&mut buf)? {
                    Step::Data(data) => body.extend_from_slice(&data),
                    Step::More => break,
                    Step::End => {
                        ended = true;
                        break;
                    }
                }
            }
        }
        Ok((body, ended, buf.len()))
    }

    #[test]
    fn chunks_are_joined_however_they_arrive() {
        let input = b"4\r\nWiki\r\n6;a=b\r\npedia \r\nE\r\nin \r\n\r\nchunks.\r\n0\r\nX: y\r\n\r\n";
        for at_once in [true, false] {
            let (body, ended, _) = decode(input, at_once).expect("well-formed");
            assert_eq!(body, b"Wikipedia in \r\n\r\nchunks.");
            assert!(ended);
        }
    }

    #[test]
    fn what_follows_the_body_is_left() {
        let (_, ended, left) = decode(b"0\r\n\r\nGET /", true).expect("well-formed");
        assert!(ended);
        assert_eq!(left, 5);
    }

    #[test]
    fn ambiguous_chunks_are_malformed() {
        for bad in [
            &b"5\nhello\r\n0\r\n\r\n"[..],
            b"5\r\nhello\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b"5;a\0b\r\nhello\r\n0\r\n\r\n",
            b"5;a=\"b\r\nhello\r\n0\r\n\r\n",
            b"5\rx\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"fffffffffffffffff\r\n",
            b"0\r\nbad name: x\r\n\r\n",
            b"0\r\nX: y\n\r\n",
        ] {
            for at_once in [true, false] {
                assert_eq!(
                    decode(bad, at_once),
                    Err(Malformed),
                    "{:?}",
                    String::from_utf8_lossy(bad)
                );
            }
        }
    }
}
