//! Waiting for the client inside a handler.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use super::Crew;
use super::schedule::Holder;
use crate::http::{BodyEvent, Request, ResponseWriter};

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
    fn wait(&self, poll: &mut dyn FnMut(&mut Context<'_>) -> Poll<()>) {
        let _waiting = Waiting::begin(&self.crew);
        if self.crew.drive_while_waiting(self.number, poll).is_none() {
            park_until(poll);
        }
    }
}

/// Wakes a parked thread.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Blocks the calling thread, not its crew, until `poll` is ready. From any thread.
pub fn wait<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    // Mostly it is there already.
    if let Poll::Ready(value) = poll(&mut Context::from_waker(Waker::noop())) {
        return value;
    }
    let Some(member) = MEMBER.with_borrow(Clone::clone) else { return park_until(&mut poll) };
    let mut result = None;
    member.wait(&mut |cx| poll(cx).map(|value| result = Some(value)));
    // A member returns when it is ready.
    result.unwrap_or_else(|| park_until(&mut poll))
}

/// Blocks until the next part of `request`'s body is there, its end, or its failure.
pub fn next_piece(request: &Request) -> BodyEvent {
    wait(|cx| request.poll_body(cx))
}

/// Blocks until the client has taken enough of the response that more may be written, or has gone.
pub fn wait_for_room(writer: &ResponseWriter) {
    wait(|cx| writer.poll_room(cx));
}

/// Parks the calling thread until `poll` is ready.
pub(crate) fn park_until<T>(poll: &mut (impl FnMut(&mut Context<'_>) -> Poll<T> + ?Sized)) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
        std::thread::park();
    }
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

impl Crew {
    /// If the calling worker is the holder, drives until `poll` is ready, or until there are
    /// requests that another thread can run; then that one drives.
    fn drive_while_waiting<T>(
        self: &Arc<Self>,
        me: usize,
        poll: &mut (impl FnMut(&mut Context<'_>) -> Poll<T> + ?Sized),
    ) -> Option<T> {
        let server = self.server.get()?;
        {
            let mut schedule = self.schedule();
            if schedule.holder != Holder::Worker(me) {
                return None;
            }
            // Driving is not being stuck.
            schedule.settle_pulse();
            schedule.driven_inside = true;
        }
        let mut finished = false;
        let value = self.driver.drive(|cx| {
            if let Poll::Ready(value) = poll(cx) {
                return Poll::Ready(Some(value));
            }
            // The server is done, whatever this handler still waits for.
            finished = server.poll_finished(cx).is_ready();
            if finished {
                return Poll::Ready(None);
            }
            let schedule = self.schedule();
            let others = schedule.queued() > 0 && schedule.helper_to_be_had(self.limits.threads);
            if others { Poll::Ready(None) } else { Poll::Pending }
        });
        self.schedule().driven_inside = false;
        if finished {
            self.stop();
            return value;
        }
        let mut schedule = self.schedule();
        if value.is_none() {
            self.pass_on(schedule);
        } else if schedule.enter_handler() {
            drop(schedule);
            self.wake_monitor();
        }
        value
    }
}
