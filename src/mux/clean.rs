//! Clean paths: without empty segments, `.` and `..`. Paths are as sent, percent signs kept; what
//! is encoded is left alone.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

/// All but what a path may hold (RFC 3986 section 3.3), its slashes and its percent signs. A
/// backslash must not stay: browsers read it as a slash.
const NOT_IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@')
    .remove(b'/')
    .remove(b'%');
/// The same with the percent sign: for text that is not encoded yet.
const NOT_IN_TEXT: &AsciiSet = &NOT_IN_PATH.add(b'%').add(b'/');

/// Whether [`clean`] would leave the path as it is. It begins with `/`.
pub(super) fn is_clean(path: &[u8]) -> bool {
    memchr::memchr_iter(b'/', path).all(|slash| match &path[slash + 1..] {
        [] => true,
        [b'/', ..] => false,
        [b'.', rest @ ..] => !matches!(rest, [] | [b'/', ..] | [b'.'] | [b'.', b'/', ..]),
        _ => true,
    })
}

/// The clean form of a path that begins with `/`. A slash at its end is kept.
pub(super) fn clean(path: &[u8]) -> Vec<u8> {
    let mut clean = Vec::with_capacity(path.len());
    for segment in path.split(|&b| b == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => clean.truncate(memchr::memrchr(b'/', &clean).unwrap_or(0)),
            segment => {
                clean.push(b'/');
                clean.extend_from_slice(segment);
            }
        }
    }
    if clean.is_empty() || path.ends_with(b"/") {
        clean.push(b'/');
    }
    clean
}

/// A path as a `Location` may have it: what may not stand in a path is percent-encoded.
pub(super) fn location(path: &[u8]) -> String {
    percent_encode(path, NOT_IN_PATH).to_string()
}

/// A decoded segment as it stands in a path.
pub(super) fn encode_segment(segment: &[u8]) -> String {
    percent_encode(segment, NOT_IN_TEXT).to_string()
}
