//! A part of a file as a response's body: the kernel sends it, no handler waits for that.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;

/// Bytes sent by one call at most: others get their turn between two.
const AT_ONCE: u64 = 256 * 1024;

/// A piece of a response's body.
#[derive(Debug)]
pub enum Part {
    /// Bytes, never none.
    Data(Bytes),
    /// Bytes of a file. HTTP/1 only.
    File(FilePart),
}

/// Bytes of a file from an offset on.
#[derive(Debug)]
pub struct FilePart {
    file: File,
    offset: u64,
    len: u64,
}

impl FilePart {
    /// `len` bytes of `file` from `offset` on.
    pub fn new(file: File, offset: u64, len: u64) -> Self {
        Self { file, offset, len }
    }

    /// Bytes still to be sent.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether all has been sent.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Drops what is beyond `len` bytes.
    pub fn truncate(&mut self, len: u64) {
        self.len = self.len.min(len);
    }

    /// Sends some of it to a socket; returns how many bytes.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file has become shorter, `WouldBlock` if the socket takes nothing
    /// now, and whatever else the system says.
    pub(crate) fn send_to(&mut self, socket: BorrowedFd<'_>) -> io::Result<usize> {
        let count = self.len.min(AT_ONCE) as usize;
        let sent = rustix::fs::sendfile(socket, self.file.as_fd(), Some(&mut self.offset), count)?;
        if sent == 0 && count > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.len -= sent as u64;
        Ok(sent)
    }
}
