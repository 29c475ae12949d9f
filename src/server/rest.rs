//! What is left of a response that hyper, or a host, takes: given as the client takes it.

use std::io;
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::http::Part;
use crate::wake::lock;
use crate::words::count;

/// Bytes given to hyper at once, which keeps them until the client takes them. A response with no
/// more than that needs nobody to look after it.
const AT_ONCE: usize = 64 * 1024;

/// Pieces of a body that hyper has not asked for.
pub(super) struct Rest {
    /// Begun, or too large to be given at once.
    current: Option<Part>,
    parts: smallvec::IntoIter<[Part; 1]>,
    len: u64,
}

impl Rest {
    fn next(&mut self) -> Option<io::Result<Bytes>> {
        let given = match self.current.take().or_else(|| self.parts.next())? {
            Part::Data(mut data) if data.len() > AT_ONCE => {
                let first = data.split_to(AT_ONCE);
                self.current = Some(Part::Data(data));
                Ok(first)
            }
            Part::Data(data) => Ok(data),
            Part::File(mut file) => file
                .read_some()
                .inspect(|_| {
                    if !file.is_empty() {
                        self.current = Some(Part::File(file));
                    }
                })
                .map_err(|error| match error.kind() {
                    io::ErrorKind::UnexpectedEof => io::Error::new(
                        error.kind(),
                        format!(
                            "the file that it is made of has become shorter, by {}",
                            count(self.len, "byte")
                        ),
                    ),
                    _ => error,
                }),
        };
        self.len -= given.as_ref().map_or(0, |data| data.len() as u64);
        Some(given)
    }
}

/// Who keeps them.
pub(super) enum Held {
    Here(Rest),
    /// It is taken away when the client takes nothing for too long.
    Watched(Arc<Mutex<Option<Rest>>>),
}

impl Held {
    /// Nothing.
    pub(super) fn none() -> Self {
        Self::Here(Rest { current: None, parts: SmallVec::new().into_iter(), len: 0 })
    }

    /// Parts that are given up when `write_timeout` passes without a byte of them being taken;
    /// `Duration::MAX` is no time-out, and needs no runtime.
    pub(super) fn new(parts: SmallVec<[Part; 1]>, write_timeout: Duration) -> Self {
        let len = parts.iter().map(Part::len).sum();
        let rest = Rest { current: None, parts: parts.into_iter(), len };
        if len <= AT_ONCE as u64 || write_timeout == Duration::MAX {
            return Self::Here(rest);
        }
        let rest = Arc::new(Mutex::new(Some(rest)));
        tokio::spawn(give_up_if_stalled(Arc::downgrade(&rest), write_timeout));
        Self::Watched(rest)
    }

    /// Whether all of it has been given.
    pub(super) fn is_empty(&self) -> bool {
        match self {
            Self::Here(rest) => rest.len == 0,
            // What was given up is an error still to be told.
            Self::Watched(rest) => lock(rest).as_ref().is_some_and(|rest| rest.len == 0),
        }
    }

    /// The next bytes.
    ///
    /// # Errors
    /// What reading a file may say, and `TimedOut` once it has been given up.
    pub(super) fn next(&mut self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Here(rest) => rest.next(),
            Self::Watched(rest) => match &mut *lock(rest) {
                Some(rest) => rest.next(),
                None => Some(Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the client took nothing for write_timeout",
                ))),
            },
        }
    }
}

/// Drops what the client takes nothing of for the write time-out (and up to as much more). hyper
/// does not look at the body of a stream whose window is closed, and a client can open many: they
/// must not use up memory and descriptors.
async fn give_up_if_stalled(rest: Weak<Mutex<Option<Rest>>>, timeout: Duration) {
    let mut last = None;
    // The holder is the response: this goes when that ends, and not when this looks again.
    while let Some(rest) = rest.upgrade() {
        let left = lock(&rest).as_ref().map(|rest| rest.len);
        if left.is_none() || last == left {
            let _dropped = lock(&rest).take();
            return;
        }
        last = left;
        drop(rest);
        tokio::time::sleep(timeout).await;
    }
}
