//! One thread at a time reads a request's body: others wait until it is done.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::thread::{self, ThreadId};

use pyo3::prelude::*;

use crate::bridge::baton::Baton;
use crate::wake::lock;

/// Whose turn it is.
#[derive(Default)]
struct Taken {
    by: Option<ThreadId>,
    /// How many turns within each other that thread has: a form is read by `read`.
    depth: usize,
    waiting: Vec<Waker>,
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Turns(Mutex<Taken>);

/// The calling thread's turn, for as long as this lives.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// Waits for the calling thread's turn, as handlers wait for the network. A thread that has it
    /// gets it again.
    pub(super) fn wait(&self, py: Python<'_>, baton: &Arc<Baton>) -> Turn<'_> {
        let me = thread::current().id();
        baton.wait(py, |cx| self.poll(me, cx));
        Turn(self)
    }

    fn poll(&self, me: ThreadId, cx: &Context<'_>) -> Poll<()> {
        let mut taken = lock(&self.0);
        if taken.by.is_some_and(|by| by != me) {
            if !taken.waiting.iter().any(|known| known.will_wake(cx.waker())) {
                taken.waiting.push(cx.waker().clone());
            }
            return Poll::Pending;
        }
        taken.by = Some(me);
        taken.depth += 1;
        Poll::Ready(())
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let waiting = {
            let mut taken = lock(&self.0.0);
            taken.depth -= 1;
            if taken.depth > 0 {
                return;
            }
            taken.by = None;
            std::mem::take(&mut taken.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }
}
