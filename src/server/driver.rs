//! The runtime, driven by whoever has nothing better to do.

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
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
}

impl Driver {
    /// Makes the runtime.
    ///
    /// # Errors
    /// If the system gives no epoll descriptor.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, wake: Arc::default() })
    }

    /// The wake-ups of this runtime.
    pub fn wake_queue(&self) -> &Arc<WakeQueue> {
        &self.wake
    }

    /// Drives I/O and tasks until `ready` says so. One thread at a time: a second caller would
    /// wait, unheard, for the first to leave.
    pub fn drive<T>(&self, mut ready: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
        let result = self.runtime.block_on(poll_fn(|cx| {
            self.wake.deliver(cx.waker());
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
