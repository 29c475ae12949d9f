//! Waiting for the client inside a handler.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Crew;
use crate::http::{BodyEvent, Request, ResponseWriter};
use crate::team::Team;
use crate::wake::park_until;

/// How a thread waits that others count on.
pub(crate) trait Member {
    /// Blocks the calling thread, which is this member, until `poll` is ready.
    fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>);
}

thread_local! {
    /// What the calling thread is.
    static MEMBER: RefCell<Option<Rc<dyn Member>>> = const { RefCell::new(None) };
}

/// For as long as this lives, the thread is a member.
pub(crate) struct Membership;

impl Membership {
    /// Makes the calling thread this member.
    pub(crate) fn of(member: impl Member + 'static) -> Self {
        MEMBER.set(Some(Rc::new(member)));
        Self
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        MEMBER.set(None);
    }
}

/// A thread of a crew.
pub(super) struct Worker {
    pub(super) crew: Arc<Crew>,
    pub(super) number: usize,
}

impl Member for Worker {
    fn wait(&self, mut poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        let _waiting = Waiting::begin(&self.crew);
        if self.crew.drive_while_waiting(self.number, &mut poll).is_none() {
            park_until(poll);
        }
    }
}

/// Blocks the calling thread, not its crew, until `poll` is ready. From any thread.
pub fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    // Mostly it is there already.
    if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
        return value;
    }
    let Some(member) = MEMBER.with_borrow(Clone::clone) else { return park_until(poll) };
    let mut result = None;
    member.wait(&mut |cx| poll(cx).map(|value| result = Some(value)));
    // A member returns when it is ready.
    result.unwrap_or_else(|| park_until(poll))
}

/// Blocks until the next part of `request`'s body is there, its end, or its failure.
pub fn next_piece(request: &Request) -> BodyEvent {
    wait(|cx| request.poll_body(cx))
}

/// Blocks until the client has taken enough of the response that more may be written, or has gone.
pub fn wait_for_room(writer: &ResponseWriter) {
    wait(|cx| writer.poll_room(cx));
}

/// A worker that waits for its client: another may be started in its place.
struct Waiting<'a>(&'a Crew);

impl<'a> Waiting<'a> {
    fn begin(crew: &'a Arc<Crew>) -> Self {
        let mut schedule = crew.schedule();
        schedule.waiting += 1;
        crew.call_for_waiting_jobs(schedule);
        Self(crew)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.schedule().waiting -= 1;
    }
}
