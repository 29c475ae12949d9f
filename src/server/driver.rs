//! The runtime, driven by whoever has nothing better to do.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Runtime};

use crate::wake::WakeQueue;

/// A current-thread runtime that several threads may drive in turn.
///
/// Handlers run *outside* of it: [`Driver::drive`] returns when there is work for its caller.
#[derive(Debug)]
pub struct Driver {
    runtime: Runtime,
    wake: Arc<WakeQueue>,
    turns: AtomicU32,
}

/// Turns after which the sockets are looked at whatever is ready.
const LOOK_EVERY: u32 = 64;

impl Driver {
    /// Makes the runtime.
    ///
    /// # Errors
    /// If the system gives no epoll descriptor.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, wake: Arc::default(), turns: AtomicU32::new(0) })
    }

    /// The wake-ups of this runtime.
    pub fn wake_queue(&self) -> &Arc<WakeQueue> {
        &self.wake
    }

    /// Drives I/O and tasks until `ready` says so. One thread at a time: a second caller would
    /// wait, unheard, for the first to leave.
    pub fn drive<T>(&self, mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        // A client that pipelines can have something ready at every turn; the sockets of others
        // are looked at all the same.
        let mut look_first = self.turns.fetch_add(1, Relaxed).is_multiple_of(LOOK_EVERY);
        let result = self.runtime.block_on(poll_fn(|cx| {
            self.wake.deliver(cx.waker());
            if std::mem::take(&mut look_first) {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            ready(cx)
        }));
        self.wake.leave();
        result
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        self.drive(|cx| future.as_mut().poll(cx))
    }

    /// Makes the runtime current, as making sockets and tasks needs.
    pub fn enter(&self) -> tokio::runtime::EnterGuard<'_> {
        self.runtime.enter()
    }
}
