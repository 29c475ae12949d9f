//! Files compressed beforehand: `app.js.br` beside `app.js`, for who understands that.

use crate::http::{RequestHead, coding_weights};

/// A content coding, and what the names of files in it end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Coding {
    /// As `Content-Encoding` has it.
    pub(super) name: &'static [u8],
    /// With the dot.
    pub(super) suffix: &'static [u8],
}

/// Those that are looked for, the smallest results first.
pub(super) const CODINGS: [Coding; 3] = [
    Coding { name: b"br", suffix: b".br" },
    Coding { name: b"zstd", suffix: b".zst" },
    Coding { name: b"gzip", suffix: b".gz" },
];

/// How much a client wants each of [`CODINGS`], in thousandths. 0: not, or less than the file as it
/// is.
pub(super) fn weights(head: &RequestHead) -> [u16; CODINGS.len()] {
    coding_weights(head, CODINGS.map(|coding| coding.name))
}
