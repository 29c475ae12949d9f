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

pub(super) fn register_waiter(waiters: &mut Vec<Waker>, cx: &Context<'_>) {
    let waker = cx.waker();
    if waker.will_wake(Waker::noop()) || waiters.iter().any(|known| known.will_wake(waker)) {
        return;
    }
    if waiters.len() == MAX_WAITERS {
        waiters.drain(..).for_each(Waker::wake);
    }
    waiters.push(waker.clone());
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
