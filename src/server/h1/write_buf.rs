//! What waits to be written to a connection: small pieces gathered, large ones by reference.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;

use crate::http::FilePart;
use crate::server::listener::Transport;

/// A piece up to this size is copied behind the one before it; a larger one is sent as it is.
const COPY_UP_TO: usize = 8 * 1024;
/// Bytes beyond which no more should be put in.
const WINDOW: usize = 64 * 1024;
/// Slices given to one vectored write.
const SLICES: usize = 16;

#[derive(Debug)]
enum Piece {
    Flat(Vec<u8>),
    Shared(Bytes),
    File(FilePart),
}

impl Piece {
    /// What is in memory of it.
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Flat(v) => v,
            Self::Shared(b) => b,
            Self::File(_) => &[],
        }
    }
}

/// Bytes on their way out.
#[derive(Debug, Default)]
pub(crate) struct WriteBuf {
    pieces: VecDeque<Piece>,
    /// Bytes of the first piece that have been written.
    written: usize,
    len: usize,
    /// How many of the pieces are files.
    files: usize,
    /// A used flat buffer, kept for the next response.
    spare: Vec<u8>,
}

impl WriteBuf {
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0 && self.files == 0
    }

    /// Whether no more should be put in before some is written.
    pub(crate) fn is_full(&self) -> bool {
        self.len >= WINDOW || self.files > 0
    }

    /// Bytes of files not written yet.
    pub(crate) fn files_left(&self) -> u64 {
        let files = self.pieces.iter().map(|piece| match piece {
            Piece::File(file) => file.len(),
            _ => 0,
        });
        files.sum()
    }

    /// Appends a part of a file.
    pub(crate) fn push_file(&mut self, file: FilePart) {
        self.files += 1;
        self.pieces.push_back(Piece::File(file));
    }

    /// Gives a flat buffer to append to, whose growth is counted.
    pub(crate) fn append(&mut self, fill: impl FnOnce(&mut Vec<u8>)) {
        if !matches!(self.pieces.back(), Some(Piece::Flat(_))) {
            let spare = std::mem::take(&mut self.spare);
            self.pieces.push_back(Piece::Flat(spare));
        }
        if let Some(Piece::Flat(flat)) = self.pieces.back_mut() {
            let before = flat.len();
            fill(flat);
            self.len += flat.len() - before;
        }
    }

    /// Appends bytes, by copy or by reference.
    pub(crate) fn push(&mut self, data: Bytes) {
        if data.len() <= COPY_UP_TO {
            self.append(|flat| flat.extend_from_slice(&data));
        } else {
            self.len += data.len();
            self.pieces.push_back(Piece::Shared(data));
        }
    }

    /// Writes all of it. Returns the bytes written by this call.
    pub(crate) fn poll_flush<I: Transport>(
        &mut self,
        io: &mut I,
        cx: &mut Context<'_>,
        progress: &mut usize,
    ) -> Poll<io::Result<()>> {
        while let Some(first) = self.pieces.front_mut() {
            if let Piece::File(file) = first {
                *progress += ready!(io.poll_send_file(cx, file))?;
                if !file.is_empty() {
                    // Others get their turn.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                self.pieces.pop_front();
                self.files -= 1;
                continue;
            }
            let n = if self.pieces.len() == 1 {
                let bytes = &self.pieces[0].bytes()[self.written..];
                ready!(Pin::new(&mut *io).poll_write(cx, bytes))?
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                let mut skip = self.written;
                let mut count = 0;
                let in_memory =
                    self.pieces.iter().take_while(|piece| !matches!(piece, Piece::File(_)));
                for (slice, piece) in slices.iter_mut().zip(in_memory) {
                    *slice = IoSlice::new(&piece.bytes()[skip..]);
                    skip = 0;
                    count += 1;
                }
                ready!(Pin::new(&mut *io).poll_write_vectored(cx, &slices[..count]))?
            };
            if n == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            *progress += n;
            self.advance(n);
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, mut n: usize) {
        self.len -= n;
        while let Some(first) = self.pieces.front() {
            if matches!(first, Piece::File(_)) {
                return;
            }
            let left = first.bytes().len() - self.written;
            if n < left {
                self.written += n;
                return;
            }
            n -= left;
            self.written = 0;
            if let Some(Piece::Flat(mut flat)) = self.pieces.pop_front()
                && flat.capacity() <= COPY_UP_TO * 2
            {
                flat.clear();
                self.spare = flat;
            }
        }
    }

    /// Gives back what an idle connection need not hold.
    pub(crate) fn shrink(&mut self) {
        if self.spare.capacity() > 1024 {
            self.spare = Vec::new();
        }
    }
}
