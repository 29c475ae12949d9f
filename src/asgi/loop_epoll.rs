//! The descriptor on which the loop's own events are waited for.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::task::{Context, Poll};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// The asyncio selector's epoll descriptor, watched from the runtime.
pub(super) struct LoopEpoll {
    epoll: AsyncFd<OwnedFd>,
    /// Events may wait in it: it is edge-triggered from here, so it has to be read until empty.
    ready: bool,
}

impl LoopEpoll {
    /// Watches `epoll`, which becomes ours. Within the runtime.
    #[expect(unsafe_code, reason = "a descriptor comes as a number from Python")]
    pub(super) fn watch(epoll: RawFd) -> io::Result<Self> {
        // SAFETY: `gohttp._selector` makes this descriptor for us with `os.dup` and forgets it.
        let epoll = unsafe { OwnedFd::from_raw_fd(epoll) };
        // SAFETY: the descriptor is owned by the `AsyncFd` itself and never replaced.
        let epoll = unsafe { AsyncFd::register_with_interest(epoll, Interest::READABLE) }?;
        Ok(Self { epoll, ready: false })
    }

    /// Takes an edge; returns whether there may be events. An edge is taken before the descriptor
    /// is read, never after: whatever comes while it is read makes another.
    pub(super) fn look(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.ready
            && let Poll::Ready(edge) = self.epoll.poll_read_ready(cx)
        {
            self.ready = true;
            if let Ok(mut edge) = edge {
                edge.clear_ready();
            }
        }
        self.ready
    }

    /// There were no events: the next edge is waited for.
    pub(super) fn quiet(&mut self) {
        self.ready = false;
    }
}
