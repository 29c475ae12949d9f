//! Range requests (RFC 9110 section 14): which bytes of a file a client wants.

use smallvec::SmallVec;

use super::conditional::only;
use crate::http::RequestHead;

/// Ranges that are answered; who asks for more gets the whole file.
const MAX_RANGES: usize = 16;

/// Some bytes of a file, at least one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ByteRange {
    /// Offset of the first.
    pub(super) start: u64,
    /// How many.
    pub(super) len: u64,
}

impl ByteRange {
    /// As `Content-Range` has it, of a file of `total` bytes (RFC 9110 section 14.4).
    pub(super) fn content_range(self, total: u64) -> String {
        format!("bytes {}-{}/{total}", self.start, self.start + self.len - 1)
    }
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it.
    Whole,
    /// These, at least one.
    Parts(SmallVec<[ByteRange; 1]>),
    /// Nothing that is there: 416.
    Unsatisfiable,
}

/// What `Range` asks for of a file of `len` bytes. A field that is malformed, of an unknown unit or
/// asks for too much is ignored (RFC 9110 section 14.2).
pub(super) fn wanted(head: &RequestHead, len: u64) -> Wanted {
    // There are no bytes of an empty file to be had in part.
    if head.method() != b"GET" || len == 0 {
        return Wanted::Whole;
    }
    only(head, b"range").and_then(|value| parse(value, len)).unwrap_or(Wanted::Whole)
}

fn parse(value: &[u8], len: u64) -> Option<Wanted> {
    let equals = memchr::memchr(b'=', value)?;
    if !value[..equals].eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut parts: SmallVec<[ByteRange; 1]> = SmallVec::new();
    let mut asked = 0;
    for member in value[equals + 1..].split(|&b| b == b',') {
        let member = member.trim_ascii();
        if member.is_empty() {
            continue;
        }
        asked += 1;
        if asked > MAX_RANGES {
            return None;
        }
        parts.extend(resolve(member, len)?);
    }
    if asked == 0 {
        return None;
    }
    if parts.is_empty() {
        return Some(Wanted::Unsatisfiable);
    }
    // Overlapping ranges must not make more of a file than there is.
    let total = parts.iter().fold(0u64, |sum, part| sum.saturating_add(part.len));
    (total <= len).then_some(Wanted::Parts(parts))
}

/// One range: `first-last`, `first-` or `-count`. Malformed: `None`; not satisfiable: `Some(None)`.
fn resolve(member: &[u8], len: u64) -> Option<Option<ByteRange>> {
    let dash = memchr::memchr(b'-', member)?;
    let (first, last) = (&member[..dash], &member[dash + 1..]);
    if first.is_empty() {
        let count = number(last)?.min(len);
        return Some((count > 0).then_some(ByteRange { start: len - count, len: count }));
    }
    let start = number(first)?;
    let end = if last.is_empty() { u64::MAX } else { number(last)? };
    if end < start {
        return None;
    }
    Some((start < len).then(|| ByteRange { start, len: end.min(len - 1) - start + 1 }))
}

/// A decimal number; what is too large for a file's offset is the largest.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u64, |n, &b| {
        b.is_ascii_digit().then(|| n.saturating_mul(10).saturating_add(u64::from(b - b'0')))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    fn of(method: &str, values: &[&str], len: u64) -> Wanted {
        let mut builder = RequestHeadBuilder::new(method.as_bytes(), Version::Http11, 64);
        builder.target(b"/");
        for value in values {
            builder.field(b"range", value.as_bytes());
        }
        wanted(&builder.build(), len)
    }

    fn parts(parts: &[(u64, u64)]) -> Wanted {
        Wanted::Parts(parts.iter().map(|&(start, len)| ByteRange { start, len }).collect())
    }

    #[test]
    fn ranges_that_are_there() {
        for (value, expected) in [
            ("bytes=0-0", &[(0, 1)][..]),
            ("bytes=0-9", &[(0, 10)]),
            ("bytes=2-5", &[(2, 4)]),
            ("bytes=5-", &[(5, 5)]),
            ("bytes=9-", &[(9, 1)]),
            ("bytes=-3", &[(7, 3)]),
            ("bytes=-10", &[(0, 10)]),
            ("bytes=-99999999999999999999999", &[(0, 10)]),
            ("bytes=4-18446744073709551615", &[(4, 6)]),
            ("bytes=4-99999999999999999999999", &[(4, 6)]),
            ("BYTES=1-1", &[(1, 1)]),
            ("bytes= 0-1 ,, 5-6,", &[(0, 2), (5, 2)]),
            ("bytes=5-6,0-1", &[(5, 2), (0, 2)]),
            ("bytes=0-4,2-6", &[(0, 5), (2, 5)]),
            ("bytes=10-,0-0", &[(0, 1)]),
            ("bytes=-0,0-0", &[(0, 1)]),
        ] {
            assert_eq!(of("GET", &[value], 10), parts(expected), "{value}");
        }
    }

    #[test]
    fn ranges_that_are_not_there() {
        for value in [
            "bytes=10-",
            "bytes=10-10",
            "bytes=-0",
            "bytes=18446744073709551615-",
            "bytes=99999999999999999999999-",
            "bytes=10-,11-12",
        ] {
            assert_eq!(of("GET", &[value], 10), Wanted::Unsatisfiable, "{value}");
        }
    }

    #[test]
    fn what_cannot_be_obeyed_is_ignored() {
        for value in [
            "",
            "bytes",
            "bytes=",
            "bytes=,",
            "bytes=-",
            "bytes=5",
            "bytes=a-",
            "bytes=0-b",
            "bytes=5-4",
            "bytes=+1-2",
            "bytes=1--2",
            "bytes=0x1-",
            "bytes 0-1",
            "lines=0-1",
            "bytes=0-1,x",
            "bytes=0-9,0-0",
            "bytes=0-,0-,0-",
            "bytes =0-1",
        ] {
            assert_eq!(of("GET", &[value], 10), Wanted::Whole, "{value}");
        }
        assert_eq!(of("GET", &["bytes=0-0", "bytes=1-1"], 10), Wanted::Whole);
        assert_eq!(of("HEAD", &["bytes=0-0"], 10), Wanted::Whole);
        assert_eq!(of("GET", &["bytes=0-"], 0), Wanted::Whole);
        assert_eq!(of("GET", &["bytes=-1"], 0), Wanted::Whole);
    }

    #[test]
    fn at_most_sixteen_ranges_are_answered() {
        let ranges = |n: u64| {
            let members: Vec<String> = (0..n).map(|at| format!("{at}-{at}")).collect();
            of("GET", &[&format!("bytes={}", members.join(","))], 100)
        };
        assert!(matches!(ranges(16), Wanted::Parts(parts) if parts.len() == 16));
        assert_eq!(ranges(17), Wanted::Whole);
    }
}
