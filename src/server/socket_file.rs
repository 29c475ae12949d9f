//! The file of a Unix socket, which stays when the socket is closed.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

/// The file of a Unix socket, removed at the end if it is still ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    /// The file at `path`, if there is one.
    pub(crate) fn new(path: PathBuf) -> Option<Self> {
        let identity = Self::identity(&path)?;
        Some(Self { path, identity })
    }

    fn identity(path: &PathBuf) -> Option<(u64, u64)> {
        fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if Self::identity(&self.path) == Some(self.identity) {
            // If somebody else was quicker, it is gone as well.
            let _ = fs::remove_file(&self.path);
        }
    }
}
