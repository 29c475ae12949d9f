//! A part of a file as a response's body: the kernel sends it, no handler waits for that.

use std::fs::File;
use std::io;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use bytes::Bytes;
use rustix::buffer::spare_capacity;

/// Bytes sent by one call at most: others get their turn between two.
const AT_ONCE: u64 = 256 * 1024;
/// Bytes read into memory by one call at most.
const READ_AT_ONCE: u64 = 64 * 1024;

/// A piece of a response's body.
#[derive(Debug)]
pub enum Part {
    /// Bytes, never none.
    Data(Bytes),
    /// Bytes of a file.
    File(FilePart),
}

impl Part {
    /// How many bytes it has.
    pub fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::File(file) => file.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Bytes of a file from an offset on.
#[derive(Debug)]
pub struct FilePart {
    file: Arc<File>,
    offset: u64,
    len: u64,
}

impl FilePart {
    /// `len` bytes of `file` from `offset` on. A file may be shared by several parts.
    pub fn new(file: impl Into<Arc<File>>, offset: u64, len: u64) -> Self {
        Self { file: file.into(), offset, len }
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
        let sent = rustix::fs::sendfile(socket, &*self.file, Some(&mut self.offset), count)?;
        if sent == 0 && count > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.len -= sent as u64;
        Ok(sent)
    }

    /// Reads some of it, where the kernel cannot send it by itself.
    ///
    /// # Errors
    /// `UnexpectedEof` if the file has become shorter, and whatever else the system says.
    pub(crate) fn read_some(&mut self) -> io::Result<Bytes> {
        let count = self.len.min(READ_AT_ONCE) as usize;
        let mut data = Vec::with_capacity(count);
        let read = rustix::io::retry_on_intr(|| {
            rustix::io::pread(&*self.file, spare_capacity(&mut data), self.offset)
        })?;
        if read == 0 && count > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        // There may have been more room than was asked for.
        data.truncate(count);
        self.offset += data.len() as u64;
        self.len -= data.len() as u64;
        Ok(data.into())
    }
}
