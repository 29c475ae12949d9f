//! A file as part of a response that the kernel does not send: read as the client takes it.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;

use crate::http::FilePart;
use crate::wake::lock;

/// A part of a file on its way. It is read when hyper has sent what was read before.
pub(crate) struct SentFile {
    /// None once the client has taken nothing of it for too long.
    part: Arc<Mutex<Option<FilePart>>>,
}

impl SentFile {
    /// A part that is given up when `write_timeout` passes without a byte of it being taken;
    /// `Duration::MAX` is no time-out, and needs no runtime.
    pub(crate) fn new(part: FilePart, write_timeout: Duration) -> Self {
        // What is read at once needs nobody to look after it.
        let watched = !part.fits_one_read() && write_timeout < Duration::MAX;
        let part = Arc::new(Mutex::new(Some(part)));
        if watched {
            tokio::spawn(give_up_if_stalled(Arc::downgrade(&part), write_timeout));
        }
        Self { part }
    }

    /// The next bytes, and whether there are more.
    ///
    /// # Errors
    /// As [`FilePart::read_some`], and `TimedOut` once it has been given up.
    pub(crate) fn read(&self) -> io::Result<(Bytes, bool)> {
        let mut slot = lock(&self.part);
        let Some(part) = slot.as_mut() else {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the client took nothing for write_timeout",
            ));
        };
        let data = part.read_some().map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                format!(
                    "the file that it is made of has become shorter, {} bytes are missing",
                    part.len()
                ),
            ),
            _ => error,
        })?;
        let more = !part.is_empty();
        Ok((data, more))
    }
}

/// Closes a file of which the client takes nothing for the write time-out (and up to as much more).
/// hyper does not look at the body of a stream whose window is closed, and a client can open many:
/// their files must not use up the process's descriptors.
async fn give_up_if_stalled(part: Weak<Mutex<Option<FilePart>>>, timeout: Duration) {
    let mut last = None;
    // The holder is the response: the file goes when that ends, and not when this looks again.
    while let Some(part) = part.upgrade() {
        let left = lock(&part).as_ref().map(FilePart::len);
        if left.is_none() || last == left {
            *lock(&part) = None;
            return;
        }
        last = left;
        drop(part);
        tokio::time::sleep(timeout).await;
    }
}
