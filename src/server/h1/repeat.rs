//! Header fields that the requests of a connection repeat.
//!
//! A client mostly sends the same fields with all its requests. Bytes that have been read once
//! mean the same again: then only the request line is read, and the fields are shared. A head is
//! taken for a repetition only if all that its fields stand in is the same to the byte, the blank
//! line that ends it included; whatever differs is read in full.

use std::sync::Arc;

use super::parse::{Framing, Parsed, Reject, parse};
use crate::config::EngineConfig;
use crate::http::{FieldBlock, RequestHead, Version};

/// Fields of more bytes are not kept: an idle connection should hold little.
const MOST: usize = 4 * 1024;
/// Heads in a row with other fields than those before, after which none are kept any more:
/// keeping costs too.
const MAX_MISSES: u32 = 4;

/// Fields as they came, and as they were understood.
struct Last {
    /// From the end of the request line to the end of the head.
    raw: Vec<u8>,
    fields: Arc<FieldBlock>,
    version: Version,
    framing: Framing,
    keep_alive: bool,
    expect_continue: bool,
}

/// Reads the heads of one connection.
#[derive(Default)]
pub(super) struct Heads {
    last: Option<Last>,
    misses: u32,
}

impl Heads {
    /// As [`parse`].
    pub(super) fn parse(
        &mut self,
        buf: &[u8],
        config: &EngineConfig,
    ) -> Result<Option<Parsed>, Reject> {
        if let Some(parsed) = self.last.as_ref().and_then(|last| last.repeated(buf, config)) {
            self.misses = 0;
            return Ok(Some(parsed));
        }
        let parsed = parse(buf, config)?;
        if let Some(parsed) = &parsed
            && self.misses < MAX_MISSES
        {
            self.misses += 1;
            self.keep(buf, parsed);
        }
        Ok(parsed)
    }

    fn keep(&mut self, buf: &[u8], parsed: &Parsed) {
        let mut raw = self.last.take().map(|last| last.raw).unwrap_or_default();
        if self.misses == MAX_MISSES {
            return;
        }
        let Some(line) = line_of(buf) else { return };
        let Some(block) = buf.get(line.len()..parsed.consumed) else { return };
        // Another form of target says what the host is, whatever the field says.
        let plain = line.split(|&b| b == b' ').nth(1).is_some_and(|t| t.first() == Some(&b'/'));
        if !plain || block.len() > MOST {
            return;
        }
        raw.clear();
        raw.extend_from_slice(block);
        self.last = Some(Last {
            raw,
            fields: parsed.head.field_block().clone(),
            version: parsed.head.version(),
            framing: parsed.framing,
            keep_alive: parsed.keep_alive,
            expect_continue: parsed.expect_continue,
        });
    }
}

impl Last {
    /// The head at the front of `buf`, if its fields are these and its request line is a plain
    /// one.
    fn repeated(&self, buf: &[u8], config: &EngineConfig) -> Option<Parsed> {
        let line = line_of(buf)?;
        if !buf[line.len()..].starts_with(&self.raw) {
            return None;
        }
        let mut request = httparse::Request::new(&mut []);
        // The line is no whole head, but read it is.
        let Ok(httparse::Status::Partial) = request.parse(line) else { return None };
        let (method, target) = (request.method?, request.path?.as_bytes());
        let version = if request.version? == 0 { Version::Http10 } else { Version::Http11 };
        let consumed = line.len() + self.raw.len();
        let usual = version == self.version
            && target.first() == Some(&b'/')
            && target.len() <= config.max_target_size
            && consumed <= config.max_head_size
            && method != "CONNECT";
        usual.then(|| Parsed {
            head: RequestHead::repeat(method.as_bytes(), version, target, self.fields.clone()),
            consumed,
            framing: self.framing,
            keep_alive: self.keep_alive,
            expect_continue: self.expect_continue,
        })
    }
}

/// The request line with its CRLF, if `buf` begins with one.
fn line_of(buf: &[u8]) -> Option<&[u8]> {
    let line = &buf[..=memchr::memchr(b'\n', buf)?];
    (line.len() > 2 && line.ends_with(b"\r\n")).then_some(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What one reader of heads gives for each input, beside what a fresh one gives.
    fn compare(heads: &mut Heads, input: &str) {
        let config = EngineConfig::default();
        let (one, fresh) =
            (heads.parse(input.as_bytes(), &config), parse(input.as_bytes(), &config));
        assert_eq!(format!("{:?}", facts(one)), format!("{:?}", facts(fresh)), "{input:?}");
    }

    type Facts = Result<Option<(String, Vec<u8>, usize, Framing, bool, bool)>, Reject>;

    fn facts(parsed: Result<Option<Parsed>, Reject>) -> Facts {
        parsed.map(|parsed| {
            parsed.map(|p| {
                let fields: Vec<_> = p.head.fields().collect();
                let (head, host, length) = (&p.head, p.head.host(), p.head.content_length());
                let all = format!("{:?} {fields:?} {host:?} {length:?}", head.version());
                let line = [head.method(), b" ", &head.target()].concat();
                (
                    all + if head.chunked() { " chunked" } else { "" },
                    line,
                    p.consumed,
                    p.framing,
                    p.keep_alive,
                    p.expect_continue,
                )
            })
        })
    }

    const FIELDS: &str = "Host: x:80\r\nAccept: */*\r\n\r\n";

    #[test]
    fn a_repetition_is_read_as_at_first() {
        let blocks = [
            FIELDS,
            "Host: x\r\nContent-Length: 3\r\n\r\nabc",
            "Host: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Host: x\r\nConnection: close\r\n\r\n",
            "Host: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n",
            "\r\n",
            "Host: x\r\nHost: y\r\n\r\n",
            "Host: x\r\nX: 1\n\r\n",
        ];
        let lines = [
            "GET / HTTP/1.1\r\n",
            "GET / HTTP/1.1\r\n",
            "POST /b?c#d HTTP/1.1\r\n",
            "GET / HTTP/1.0\r\n",
            "GET /a b HTTP/1.1\r\n",
            "GET  / HTTP/1.1\r\n",
            "GET / HTTP/1.1\n",
            "\r\nGET / HTTP/1.1\r\n",
            "GET / HTTP/2.0\r\n",
            "GET /\0 HTTP/1.1\r\n",
            "CONNECT / HTTP/1.1\r\n",
            "OPTIONS * HTTP/1.1\r\n",
            "GET http://y/ HTTP/1.1\r\n",
            "GET /x",
            "/ HTTP/1.1\r\n",
            "\r\n",
            "\n",
            "",
        ];
        for block in blocks {
            for first in lines {
                for line in lines {
                    let mut heads = Heads::default();
                    compare(&mut heads, &format!("{first}{block}"));
                    compare(&mut heads, &format!("{line}{block}"));
                    compare(&mut heads, &format!("{line}{block}GET / HTTP/1.1\r\n"));
                    compare(&mut heads, &format!("{line}X: 1\r\n{block}"));
                    compare(&mut heads, &format!("{line}{}", &block[..block.len() - 1]));
                }
            }
        }
    }

    #[test]
    fn the_longest_target_and_head_are_bounded_in_a_repetition_too() {
        let mut heads = Heads::default();
        compare(&mut heads, &format!("GET / HTTP/1.1\r\n{FIELDS}"));
        for len in [1, 16 * 1024 - 1, 16 * 1024, 64 * 1024] {
            compare(&mut heads, &format!("GET /{} HTTP/1.1\r\n{FIELDS}", "a".repeat(len)));
        }
    }

    #[test]
    fn what_is_repeated_is_shared_until_fields_keep_changing() {
        let config = EngineConfig::default();
        let mut heads = Heads::default();
        let mut read = |fields: &str| {
            let input = format!("GET / HTTP/1.1\r\nHost: x\r\n{fields}\r\n");
            let parsed = heads.parse(input.as_bytes(), &config).expect("good").expect("whole");
            parsed.head.field_block().clone()
        };
        assert!(!Arc::ptr_eq(&read(""), &read("A: 1\r\n")));
        assert!(Arc::ptr_eq(&read("A: 1\r\n"), &read("A: 1\r\n")));
        for i in 0..MAX_MISSES {
            read(&format!("A: {i}{i}\r\n"));
        }
        assert!(!Arc::ptr_eq(&read("A: 1\r\n"), &read("A: 1\r\n")));
    }
}
