//! The handler's side of a link: what it gives of the response, and what it waits for.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};

use super::waiters::{register_waiter, wake_all};
use super::{Due, Link, Progress};
use crate::http::file_part::Part;
use crate::http::filter::Filter;
use crate::http::response::ResponseHead;
use crate::http::upgrade::Upgrade;
use crate::wake::{WakeQueue, lock};

/// Response bytes kept for a connection that does not take them, before the handler has to wait.
const DOWNLOAD_WINDOW: usize = 64 * 1024;

impl Link {
    /// Tells the connection of a change in the state. To be called after it, with nothing locked:
    /// a waker that is not ours may do anything.
    pub(super) fn wake_connection(&self) {
        if !self.news.swap(true, Relaxed) {
            self.connection.queue.push(self.connection.task.clone());
        }
    }

    pub(in crate::http) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if self.gone() || state.hung_up {
            return Poll::Ready(());
        }
        let too_many = register_waiter(&mut state.readers, cx);
        drop(state);
        wake_all(too_many);
        Poll::Pending
    }

    /// The same as [`Self::poll_gone`], for who need not hear of request bytes.
    pub(in crate::http) fn poll_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if self.gone() || state.hung_up {
            return Poll::Ready(());
        }
        let too_many = register_waiter(&mut state.leavers, cx);
        drop(state);
        wake_all(too_many);
        Poll::Pending
    }

    /// Ready when the client has gone, and not before: one that has sent its last byte is waited
    /// for further.
    pub(in crate::http) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if self.gone() {
            return Poll::Ready(());
        }
        let too_many = register_waiter(&mut state.leavers, cx);
        drop(state);
        wake_all(too_many);
        Poll::Pending
    }

    /// Says by when the response must be complete.
    pub(in crate::http) fn set_due(&self, due: Due) {
        {
            let mut state = lock(&self.state);
            if self.gone() {
                return;
            }
            state.due = due;
        }
        self.wake_connection();
    }

    /// Whether the client has left, or its time was up, before it had a whole response.
    pub(in crate::http) fn left_early(&self) -> bool {
        let state = lock(&self.state);
        (self.gone() || state.hung_up) && (self.expired() || state.progress != Progress::Complete)
    }

    pub(in crate::http) fn expired(&self) -> bool {
        self.expired.load(Relaxed)
    }

    pub(in crate::http) fn gone(&self) -> bool {
        self.gone.load(Relaxed)
    }

    /// Ready when a piece of the body may be given without going over the window, or when the
    /// client has gone.
    pub(in crate::http) fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = lock(&self.state);
        if self.gone() || state.body_len < DOWNLOAD_WINDOW {
            return Poll::Ready(());
        }
        let too_many = register_waiter(&mut state.writers, cx);
        drop(state);
        wake_all(too_many);
        Poll::Pending
    }

    pub(in crate::http) fn wake_queue(&self) -> Arc<WakeQueue> {
        self.connection.queue.clone()
    }

    pub(in crate::http) fn upgrade(
        &self,
        head: Option<ResponseHead>,
        upgrade: Box<dyn Upgrade>,
    ) -> bool {
        {
            let mut state = lock(&self.state);
            if self.gone() {
                return false;
            }
            state.upgrade = Some((head, upgrade));
            state.progress = Progress::Complete;
        }
        self.wake_connection();
        true
    }

    pub(in crate::http) fn push_filter(&self, filter: Arc<dyn Filter>) {
        lock(&self.state).filters.push(filter);
    }

    /// The filters; the connection may need them for an answer in place of the handler's.
    pub(in crate::http) fn filters(&self) -> Vec<Arc<dyn Filter>> {
        lock(&self.state).filters.clone()
    }

    pub(in crate::http) fn push_interim(&self, head: ResponseHead) {
        {
            let mut state = lock(&self.state);
            if self.gone() {
                return;
            }
            state.interim.push(head);
        }
        self.wake_connection();
    }

    /// Ends the response with fields behind the body.
    pub(in crate::http) fn give_trailers(&self, trailers: ResponseHead) -> bool {
        if self.gone() {
            return false;
        }
        lock(&self.state).trailers = Some(Box::new(trailers));
        self.give(None, None, Progress::Complete)
    }

    /// Gives parts of the response in one step. Returns whether the client is still there.
    pub(in crate::http) fn give(
        &self,
        head: Option<ResponseHead>,
        part: Option<Part>,
        progress: Progress,
    ) -> bool {
        let mut state = lock(&self.state);
        if self.gone() {
            state.progress = progress;
            return false;
        }
        if head.is_some() {
            state.head = head;
        }
        if let Some(part) = part {
            state.body_len += match &part {
                Part::Data(data) => data.len(),
                // One is enough.
                Part::File(_) => DOWNLOAD_WINDOW,
            };
            state.body.push(part);
        }
        state.progress = progress;
        drop(state);
        self.wake_connection();
        true
    }
}
