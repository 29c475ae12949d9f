//! Several ranges in one answer (RFC 9110 section 14.6).

use std::hash::{BuildHasher, Hasher, RandomState};

use super::range::ByteRange;

/// The frame around several parts of a file.
#[derive(Debug)]
pub(super) struct Multipart {
    boundary: String,
    /// Before each part.
    heads: Vec<String>,
    tail: String,
}

impl Multipart {
    /// A frame for parts of a file of `total` bytes.
    pub(super) fn new(parts: &[ByteRange], content_type: &str, total: u64) -> Self {
        // It must not occur in the file, and whoever writes files does not know it.
        let random = || RandomState::new().build_hasher().finish();
        Self::with_boundary(
            format!("{:016x}{:016x}", random(), random()),
            parts,
            content_type,
            total,
        )
    }

    fn with_boundary(
        boundary: String,
        parts: &[ByteRange],
        content_type: &str,
        total: u64,
    ) -> Self {
        let head = |(at, part): (usize, &ByteRange)| {
            let before = if at == 0 { "" } else { "\r\n" };
            let range = part.content_range(total);
            format!(
                "{before}--{boundary}\r\ncontent-type: {content_type}\r\n\
                 content-range: {range}\r\n\r\n"
            )
        };
        let heads = parts.iter().enumerate().map(head).collect();
        let tail = format!("\r\n--{boundary}--\r\n");
        Self { boundary, heads, tail }
    }

    /// The media type of the whole.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of the frame itself.
    pub(super) fn len(&self) -> u64 {
        let heads: usize = self.heads.iter().map(String::len).sum();
        (heads + self.tail.len()) as u64
    }

    /// What stands before each part, and behind the last.
    pub(super) fn into_pieces(self) -> (Vec<String>, String) {
        (self.heads, self.tail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_stand_between_boundaries() {
        let parts = [ByteRange { start: 0, len: 2 }, ByteRange { start: 8, len: 1 }];
        let frame = Multipart::with_boundary("b".into(), &parts, "text/plain", 9);
        assert_eq!(frame.content_type(), "multipart/byteranges; boundary=b");
        let len = frame.len();
        let (heads, tail) = frame.into_pieces();
        let whole = format!("{}ab{}i{tail}", heads[0], heads[1]);
        assert_eq!(
            whole,
            "--b\r\ncontent-type: text/plain\r\ncontent-range: bytes 0-1/9\r\n\r\nab\r\n\
             --b\r\ncontent-type: text/plain\r\ncontent-range: bytes 8-8/9\r\n\r\ni\r\n--b--\r\n"
        );
        assert_eq!(len, whole.len() as u64 - 3);
    }

    #[test]
    fn boundaries_differ() {
        let parts = [ByteRange { start: 0, len: 1 }];
        let one = Multipart::new(&parts, "text/plain", 1);
        assert_ne!(one.content_type(), Multipart::new(&parts, "text/plain", 1).content_type());
    }
}
