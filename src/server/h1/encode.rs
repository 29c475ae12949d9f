//! A response's head on the wire, and the framing of its body (RFC 9112 sections 6 and 7).

use crate::http::{ResponseHead, Version, bodiless};

/// How a response's body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyFraming {
    /// As declared, or none.
    Plain,
    /// In chunks, since its length is not known.
    Chunked,
    /// Up to the end of the connection: HTTP/1.0 and an unknown length.
    UntilClose,
}

/// What the connection knows of the request that is answered.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Answering {
    pub(crate) version: Version,
    pub(crate) head_request: bool,
    /// Whether the connection may go on after this response.
    pub(crate) keep_alive: bool,
}

/// Appends the head to `out`. Returns the framing of the body, and whether the connection goes on.
pub(crate) fn encode_head(
    out: &mut Vec<u8>,
    head: &ResponseHead,
    answering: Answering,
    date: &[u8; 29],
) -> (BodyFraming, bool) {
    let no_body = bodiless(answering.head_request, head.status());
    let framing = match (head.content_length(), answering.version) {
        (Some(_), _) => BodyFraming::Plain,
        _ if no_body => BodyFraming::Plain,
        (None, Version::Http10) => BodyFraming::UntilClose,
        (None, _) => BodyFraming::Chunked,
    };
    let keep_alive = answering.keep_alive && !head.close() && framing != BodyFraming::UntilClose;

    out.reserve(head.lines().len() + 160);
    status_line(out, head);
    out.extend_from_slice(head.lines());
    // 1xx and 204 never carry a length (RFC 9110 section 8.6).
    if let Some(length) =
        head.content_length().filter(|_| !matches!(head.status(), 100..=199 | 204))
    {
        out.extend_from_slice(b"content-length: ");
        out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if framing == BodyFraming::Chunked {
        out.extend_from_slice(b"transfer-encoding: chunked\r\n");
    }
    if !head.has_date() {
        out.extend_from_slice(b"date: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
    }
    match (answering.version, keep_alive) {
        (Version::Http10, true) => out.extend_from_slice(b"connection: keep-alive\r\n"),
        (Version::Http11, false) => out.extend_from_slice(b"connection: close\r\n"),
        _ => {}
    }
    out.extend_from_slice(b"\r\n");
    (framing, keep_alive)
}

/// Appends an interim response (1xx).
pub(crate) fn encode_interim(out: &mut Vec<u8>, head: &ResponseHead) {
    status_line(out, head);
    out.extend_from_slice(head.lines());
    out.extend_from_slice(b"\r\n");
}

fn status_line(out: &mut Vec<u8>, head: &ResponseHead) {
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(itoa::Buffer::new().format(head.status()).as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.reason());
    out.extend_from_slice(b"\r\n");
}

/// Appends the end of a chunked body, with what follows it (RFC 9112 section 7.1.2).
pub(crate) fn encode_end(out: &mut Vec<u8>, trailers: Option<&ResponseHead>) {
    out.extend_from_slice(b"0\r\n");
    if let Some(trailers) = trailers {
        out.extend_from_slice(trailers.lines());
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that opens a chunk of `len` bytes.
pub(crate) fn encode_chunk_size(out: &mut Vec<u8>, len: u64) {
    let mut digits = [0; 16];
    let mut at = digits.len();
    let mut left = len;
    loop {
        at -= 1;
        digits[at] = b"0123456789abcdef"[(left % 16) as usize];
        left /= 16;
        if left == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(
        head: &ResponseHead,
        version: Version,
        head_request: bool,
    ) -> (String, BodyFraming, bool) {
        let mut out = Vec::new();
        let answering = Answering { version, head_request, keep_alive: true };
        let (framing, keep) =
            encode_head(&mut out, head, answering, b"Sun, 06 Nov 1994 08:49:37 GMT");
        (String::from_utf8(out).expect("ascii"), framing, keep)
    }

    #[test]
    fn unknown_lengths_are_chunked_or_end_the_connection() {
        let head = ResponseHead::new(200);
        assert_eq!(encoded(&head, Version::Http11, false).1, BodyFraming::Chunked);
        let (text, framing, keep) = encoded(&head, Version::Http10, false);
        assert_eq!((framing, keep), (BodyFraming::UntilClose, false));
        assert!(!text.contains("chunked"));
    }

    #[test]
    fn bodiless_responses_have_no_framing() {
        for (status, head_request) in [(204, false), (304, false), (200, true)] {
            let (text, framing, keep) =
                encoded(&ResponseHead::new(status), Version::Http11, head_request);
            assert_eq!((framing, keep), (BodyFraming::Plain, true));
            assert!(!text.contains("chunked") && !text.contains("content-length"), "{text}");
        }
    }

    #[test]
    fn chunk_sizes_are_hexadecimal() {
        let mut out = Vec::new();
        encode_chunk_size(&mut out, 0x1a2f);
        encode_chunk_size(&mut out, 0);
        assert_eq!(out, b"1a2f\r\n0\r\n");
    }
}
