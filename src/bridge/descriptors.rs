//! Descriptors that come as numbers from Python.
#![expect(unsafe_code, reason = "a number has to be made a descriptor somewhere")]

use std::fs::File;
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};

use pyo3::prelude::*;

use crate::server::Listening;

/// A file of our own on what Python has open as `fd`; they share the position.
///
/// # Errors
/// `OSError` if nothing is open by that number, or too much is.
pub(crate) fn duplicate(fd: i32) -> io::Result<File> {
    // SAFETY: the call follows no pointer; of a number that is no descriptor it says so.
    let own = unsafe { libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, 0) };
    if own < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the system has just made this number, and nothing else knows it.
    Ok(unsafe { File::from_raw_fd(own) })
}

/// Takes over listening sockets given as descriptors, which the caller must have detached.
///
/// # Errors
/// `OSError` if one is no listening socket.
pub(crate) fn listeners(descriptors: Vec<i32>) -> PyResult<Vec<Listening>> {
    // SAFETY: `socket.detach()` in `gohttp.sockets` made these numbers ours: the Python objects no
    // longer close them, and nothing else knows them.
    let own = |fd| unsafe { OwnedFd::from_raw_fd(fd) };
    // All are owned before one is refused, or the others would stay open.
    let owned: Vec<OwnedFd> = descriptors.into_iter().map(own).collect();
    Ok(owned.into_iter().map(Listening::from_fd).collect::<io::Result<_>>()?)
}
