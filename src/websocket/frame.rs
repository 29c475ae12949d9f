//! Frames on the wire (RFC 6455 section 5).

/// What a frame is (RFC 6455 section 5.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OpCode {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

impl OpCode {
    pub(super) fn of(bits: u8) -> Option<Self> {
        Some(match bits {
            0 => Self::Continuation,
            1 => Self::Text,
            2 => Self::Binary,
            8 => Self::Close,
            9 => Self::Ping,
            10 => Self::Pong,
            _ => return None,
        })
    }

    pub(super) fn is_control(self) -> bool {
        self as u8 >= 8
    }
}

/// Room that a frame of the server needs before its payload, at most.
const HEAD: usize = 10;

/// Appends a whole message, or a control frame, as one frame of a server: not masked.
pub(super) fn append(out: &mut Vec<u8>, code: OpCode, compressed: bool, payload: &[u8]) {
    out.reserve(HEAD + payload.len());
    out.push(0x80 | u8::from(compressed) << 6 | code as u8);
    match payload.len() {
        len @ 0..=125 => out.push(len as u8),
        len @ 126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(127);
            out.extend_from_slice(&(len as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
}

/// Appends a close frame. Code 1005 stands for none.
pub(super) fn append_close(out: &mut Vec<u8>, code: u16, reason: &str) {
    let mut payload = Vec::with_capacity(2 + reason.len());
    if code != super::socket::NO_CODE {
        payload.extend_from_slice(&code.to_be_bytes());
        payload.extend_from_slice(reason.as_bytes());
    }
    append(out, OpCode::Close, false, &payload);
}

/// Masks or unmasks (RFC 6455 section 5.3). Returns the key for what follows.
pub(super) fn mask(data: &mut [u8], key: [u8; 4]) -> [u8; 4] {
    let wide = u64::from(u32::from_ne_bytes(key)) * 0x1_0000_0001;
    let (words, rest) = data.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
    let mut next = key;
    next.rotate_left(rest.len() % 4);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masking_in_pieces_is_masking_at_once() {
        let plain: Vec<u8> = (0..=255).collect();
        let key = [1, 77, 200, 9];
        let mut whole = plain.clone();
        mask(&mut whole, key);
        for cut in 0..plain.len() {
            let mut pieces = plain.clone();
            let (a, b) = pieces.split_at_mut(cut);
            let next = mask(a, key);
            mask(b, next);
            assert_eq!(pieces, whole, "cut at {cut}");
        }
    }

    #[test]
    fn lengths_are_encoded_in_the_fewest_bytes() {
        for (len, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let mut out = Vec::new();
            append(&mut out, OpCode::Binary, false, &vec![0; len]);
            assert_eq!(out.len(), head + len);
        }
    }
}
