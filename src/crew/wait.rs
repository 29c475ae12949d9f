//! Waiting for the client inside a handler.

use std::cell::RefCell;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::Crew;
use crate::http::{BodyEvent, Request, ResponseWriter};
use crate::team::Team;
use crate::wake::park_until;

thread_local! {
    /// The crew that this thread belongs to, and its number there.
    static MEMBER: RefCell<Option<(Arc<Crew>, usize)>> = const { RefCell::new(None) };
}

/// For as long as this lives, the thread belongs to a crew.
pub(super) struct Member;

/// Makes the calling thread worker `number` of `crew`.
pub(super) fn enter_crew(crew: &Arc<Crew>, number: usize) -> Member {
    MEMBER.set(Some((crew.clone(), number)));
    Member
}

impl Drop for Member {
    fn drop(&mut self) {
        MEMBER.set(None);
    }
}

/// Blocks the calling thread, not its crew, until `poll` is ready. From any thread.
pub fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    // Mostly it is there already.
    if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
        return value;
    }
    let Some((crew, me)) = MEMBER.with_borrow(Clone::clone) else { return park_until(poll) };
    let _waiting = Waiting::begin(&crew);
    match crew.drive_while_waiting(me, &mut poll) {
        Some(value) => value,
        None => park_until(poll),
    }
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
