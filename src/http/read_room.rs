//! Where connections read to: room that all of a thread's connections share, so that one that
//! waits for its client holds none.

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll, ready};

use bytes::{BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much is read at once.
pub(crate) const READ_ROOM: usize = 32 * 1024;
/// From here on what came is handed over with the room it came to: a copy would cost more than
/// new room does. Less would keep too much room for too few bytes.
const HAND_OVER: usize = 8 * 1024;

thread_local! {
    static ROOM: RefCell<BytesMut> = RefCell::new(BytesMut::new());
}

/// Reads what is there, up to [`READ_ROOM`], behind `out`. A full read would need another to see
/// that there is no more, so the room is ample, and a little that came is copied to where it fits.
pub(crate) fn read_some<I: AsyncRead + Unpin + ?Sized>(
    io: &mut I,
    out: &mut BytesMut,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    ROOM.with_borrow_mut(|room| {
        room.reserve(READ_ROOM);
        let mut limited = (&mut *room).limit(READ_ROOM);
        let read = ready!(pin!(io.read_buf(&mut limited)).poll(cx));
        match read {
            Ok(n) if n >= HAND_OVER && out.is_empty() => *out = room.split(),
            _ => {
                out.extend_from_slice(room);
                room.clear();
            }
        }
        Poll::Ready(read)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(mut from: &[u8], out: &mut BytesMut) -> usize {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        match read_some(&mut from, out, &mut cx) {
            Poll::Ready(Ok(n)) => n,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn much_is_handed_over_and_little_is_copied_behind_what_is_there() {
        let mut out = BytesMut::new();
        let mut expected = Vec::new();
        for (i, len) in [9_000, 10, 40_000, 8 * 1024, 0, 1].into_iter().enumerate() {
            let data = vec![i as u8; len];
            let n = read(&data, &mut out);
            assert_eq!(n, len.min(READ_ROOM));
            expected.extend_from_slice(&data[..n]);
        }
        assert_eq!(out, expected);
    }

    #[test]
    fn what_was_handed_over_stays_while_others_read() {
        let bodies: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; 9_000 + i as usize]).collect();
        let outs: Vec<BytesMut> = bodies
            .iter()
            .map(|body| {
                let mut out = BytesMut::new();
                read(body, &mut out);
                out
            })
            .collect();
        assert!(outs.iter().zip(&bodies).all(|(out, body)| out == body));
    }

    #[test]
    fn little_takes_no_more_than_its_own_room() {
        let mut out = BytesMut::new();
        read(b"GET / HTTP/1.1\r\n\r\n", &mut out);
        assert!(out.capacity() < 4096, "{}", out.capacity());
    }
}
