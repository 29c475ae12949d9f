//! permessage-deflate (RFC 7692).
//!
//! Agreed on without context takeover on either side: each message is compressed by itself, so
//! that a connection needs no window of its own (some 300 KB with zlib's defaults) and those of a
//! thread share one.

use std::cell::RefCell;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::decoder::Violation;

/// What each compressed message ends with, which is not sent (RFC 7692 section 7.2.1).
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The largest window, and the usual one.
const MAX_BITS: u8 = 15;
/// The smallest window that zlib makes raw streams with.
const MIN_BITS: u8 = 9;
/// Messages below this many bytes do not get smaller.
const WORTH: usize = 64;

/// What was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Deflate {
    /// The window that the client can hold.
    bits: u8,
    /// The client has limited it, and is to be told that it is respected.
    limited: bool,
}

/// Accepts the first offer of the client that can be accepted.
pub(super) fn agree<'a>(offers: impl Iterator<Item = &'a [u8]>) -> Option<Deflate> {
    offers.flat_map(|value| value.split(|&b| b == b',')).find_map(accept)
}

fn accept(offer: &[u8]) -> Option<Deflate> {
    let mut parts = offer.split(|&b| b == b';').map(<[u8]>::trim_ascii);
    if !parts.next()?.eq_ignore_ascii_case(b"permessage-deflate") {
        return None;
    }
    let mut seen = [false; 4];
    let mut deflate = Deflate { bits: MAX_BITS, limited: false };
    for part in parts {
        let mut halves = part.splitn(2, |&b| b == b'=').map(<[u8]>::trim_ascii);
        let (name, value) = (halves.next()?, halves.next());
        let (at, value) = match (name, value) {
            (b"server_no_context_takeover", None) => (0, None),
            (b"client_no_context_takeover", None) => (1, None),
            (b"server_max_window_bits", Some(bits)) => (2, Some(window(bits)?)),
            (b"client_max_window_bits", bits) => {
                if let Some(bits) = bits {
                    window(bits)?;
                }
                (3, None)
            }
            _ => return None,
        };
        if std::mem::replace(&mut seen[at], true) {
            return None;
        }
        if let Some(bits) = value {
            if bits < MIN_BITS {
                return None;
            }
            deflate = Deflate { bits, limited: true };
        }
    }
    Some(deflate)
}

/// A number of window bits, 8 to 15, which may stand in quotes.
fn window(value: &[u8]) -> Option<u8> {
    let value = value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value);
    match value {
        [b'8'] => Some(8),
        [b'9'] => Some(9),
        [b'1', digit @ b'0'..=b'5'] => Some(10 + digit - b'0'),
        _ => None,
    }
}

impl Deflate {
    /// `Sec-WebSocket-Extensions` of the answer.
    pub(super) fn answer(self) -> String {
        let mut answer = String::from(
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        );
        if self.limited {
            answer += &format!("; server_max_window_bits={}", self.bits);
        }
        answer
    }
}

thread_local! {
    static DEFLATERS: RefCell<[Option<Compress>; MAX_BITS as usize + 1]> =
        const { RefCell::new([const { None }; MAX_BITS as usize + 1]) };
    static INFLATER: RefCell<Option<Decompress>> = const { RefCell::new(None) };
}

impl Deflate {
    /// The message compressed; `None` if that does not make it smaller.
    pub(super) fn compress(self, message: &[u8]) -> Option<Vec<u8>> {
        if message.len() < WORTH {
            return None;
        }
        DEFLATERS.with_borrow_mut(|all| {
            let deflater = all.get_mut(usize::from(self.bits))?.get_or_insert_with(|| {
                Compress::new_with_window_bits(Compression::fast(), false, self.bits)
            });
            deflater.reset();
            let mut out = Vec::with_capacity(message.len() / 2 + 64);
            let mut left = message;
            loop {
                let before = deflater.total_in();
                let status = deflater.compress_vec(left, &mut out, FlushCompress::Sync).ok()?;
                left = left.get((deflater.total_in() - before) as usize..).unwrap_or_default();
                if out.len() >= message.len() {
                    return None;
                }
                // All is out when room was left over.
                if left.is_empty() && out.len() < out.capacity() && status != Status::BufError {
                    break;
                }
                if left.is_empty() && status == Status::BufError && out.ends_with(&TAIL) {
                    break;
                }
                out.reserve(message.len() / 2 + 64);
            }
            out.ends_with(&TAIL).then(|| {
                out.truncate(out.len() - TAIL.len());
                out
            })
        })
    }
}

/// The message behind `data`, of at most `max` bytes.
pub(super) fn inflate(mut data: Vec<u8>, max: usize) -> Result<Vec<u8>, Violation> {
    data.extend_from_slice(&TAIL);
    INFLATER.with_borrow_mut(|inflater| {
        let inflater = inflater.get_or_insert_with(|| Decompress::new(false));
        inflater.reset(false);
        let mut out = Vec::with_capacity((data.len() * 3).min(max.saturating_add(1)));
        let mut left = &data[..];
        loop {
            let (before, had) = (inflater.total_in(), out.len());
            let status = inflater
                .decompress_vec(left, &mut out, FlushDecompress::Sync)
                .map_err(|_| Violation { code: 1007, why: "a compressed message is broken" })?;
            let used = (inflater.total_in() - before) as usize;
            left = &left[used.min(left.len())..];
            if out.len() > max {
                return Err(super::decoder::TOO_BIG);
            }
            if status == Status::StreamEnd || (left.is_empty() && out.len() < out.capacity()) {
                return Ok(out);
            }
            if used == 0 && out.len() == had && out.len() < out.capacity() {
                return Err(Violation { code: 1007, why: "a compressed message is broken" });
            }
            let more = out.capacity().max(1024).min(max.saturating_add(1) - out.len());
            out.reserve(more);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Deflate = Deflate { bits: 15, limited: false };

    #[test]
    fn offers_are_accepted_or_declined_by_their_parameters() {
        let agreed = |offer: &str| agree(std::iter::once(offer.as_bytes()));
        assert_eq!(agreed("permessage-deflate"), Some(PLAIN));
        assert_eq!(agreed("permessage-deflate; client_max_window_bits"), Some(PLAIN));
        assert_eq!(
            agreed("permessage-deflate; server_max_window_bits=10; server_no_context_takeover"),
            Some(Deflate { bits: 10, limited: true })
        );
        assert_eq!(
            agreed("permessage-deflate; server_max_window_bits=8, permessage-deflate"),
            Some(PLAIN)
        );
        for bad in [
            "x-webkit-deflate-frame",
            "permessage-deflate; unknown",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; server_max_window_bits=16",
            "permessage-deflate; server_max_window_bits=010",
            "permessage-deflate; server_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits=9; client_max_window_bits=9",
        ] {
            assert_eq!(agreed(bad), None, "{bad}");
        }
    }

    #[test]
    fn what_is_compressed_comes_back() {
        for bits in MIN_BITS..=MAX_BITS {
            let deflate = Deflate { bits, limited: true };
            for len in [64, 1000, 70_000, 3_000_000] {
                let message: Vec<u8> = (0..len).map(|i| (i / 7 % 64) as u8).collect();
                let compressed = deflate.compress(&message).expect("it gets smaller");
                assert!(compressed.len() < message.len());
                assert_eq!(inflate(compressed, len).expect("it is whole"), message);
            }
        }
    }

    #[test]
    fn noise_is_not_compressed_and_leaves_nothing_behind() {
        let mut seed = 1u64;
        let mut noise = |len: usize| -> Vec<u8> {
            let next = || {
                seed ^= seed << 13;
                seed ^= seed >> 7;
                seed ^= seed << 17;
                seed as u8
            };
            std::iter::repeat_with(next).take(len).collect()
        };
        for len in [64, 100, 1000, 4096, 8192, 16_384, 70_000, 300_000] {
            for _ in 0..20 {
                assert_eq!(PLAIN.compress(&noise(len)), None);
                let text = b"as it was ".repeat(len / 5);
                let compressed = PLAIN.compress(&text).expect("it gets smaller");
                assert_eq!(inflate(compressed, text.len()).expect("it is whole"), text);
            }
        }
    }

    #[test]
    fn a_bomb_is_too_big_and_garbage_is_broken() {
        let bomb = PLAIN.compress(&vec![0; 10_000_000]).expect("it gets smaller");
        assert_eq!(inflate(bomb, 1_000_000).expect_err("too big").code, 1009);
        assert_eq!(inflate(vec![0xff; 100], 1000).expect_err("broken").code, 1007);
    }
}
