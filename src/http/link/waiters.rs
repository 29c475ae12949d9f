//! Who waits on a link.

use std::task::{Context, Waker};

pub(super) fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *slot = Some(cx.waker().clone()),
    }
}

/// Waiters on one request that are kept. Those that stopped waiting are not known: beyond this
/// number all are woken, and who still waits comes back.
const MAX_WAITERS: usize = 32;

/// Notes who waits. Returns whom to wake once nothing is locked: to wake may be to drop what locks
/// the link itself.
#[must_use]
pub(super) fn register_waiter(waiters: &mut Vec<Waker>, cx: &Context<'_>) -> Vec<Waker> {
    let waker = cx.waker();
    if waker.will_wake(Waker::noop()) || waiters.iter().any(|known| known.will_wake(waker)) {
        return Vec::new();
    }
    let too_many = if waiters.len() == MAX_WAITERS { std::mem::take(waiters) } else { Vec::new() };
    waiters.push(waker.clone());
    too_many
}

pub(super) fn wake_all(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

pub(super) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    use std::task::Wake;

    use super::super::{Link, LinkWaker};
    use super::*;
    use crate::http::{ConnInfo, Peer};

    /// Counts those that were woken with the link free.
    struct Waiter(Arc<Link>, Arc<AtomicUsize>);

    impl Wake for Waiter {
        fn wake(self: Arc<Self>) {
            if self.0.state.try_lock().is_ok() {
                self.1.fetch_add(1, Relaxed);
            }
        }
    }

    #[test]
    fn one_waiter_too_many_wakes_the_others_with_nothing_locked() {
        let info = ConnInfo::new(Peer::Unix(None), Peer::Unix(None), "http");
        let connection = LinkWaker { task: Waker::noop().clone(), queue: Arc::default() };
        let link = Link::new(Arc::new(info), connection, true);
        let woken = Arc::new(AtomicUsize::new(0));
        let wait_as_another = || {
            let waker = Waker::from(Arc::new(Waiter(link.clone(), woken.clone())));
            assert!(link.poll_left(&mut Context::from_waker(&waker)).is_pending());
        };
        (0..MAX_WAITERS).for_each(|_| wait_as_another());
        assert_eq!(woken.load(Relaxed), 0);
        wait_as_another();
        assert_eq!(woken.load(Relaxed), MAX_WAITERS);
        link.close();
        assert_eq!(woken.load(Relaxed), MAX_WAITERS + 1);
    }
}
