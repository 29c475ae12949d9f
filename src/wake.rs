//! Wake-ups gathered and announced once.
//!
//! Waking a task of the runtime from outside it costs a system call each time (an eventfd write).
//! Handlers run outside the runtime, so their wake-ups are put here, and whoever drives the
//! runtime delivers them from inside, where a wake costs none. Only when the driver may be asleep
//! is it told, and once, however many wake-ups follow.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

/// Locks, and goes on after a panic elsewhere: what these mutexes guard is whole between calls.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

/// Parks the calling thread until `poll` is ready.
pub(crate) fn park_until<T>(mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(value) = poll(&mut cx) {
            return value;
        }
        std::thread::park();
    }
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<Waker>,
    /// The driver's own waker while it is inside the runtime.
    driver: Option<Waker>,
}

/// The wake-ups of one runtime. See the module's text.
#[derive(Debug, Default)]
pub struct WakeQueue {
    state: Mutex<State>,
    /// The driver has been told and has not looked yet. Changed with the state locked.
    announced: AtomicBool,
    /// There is no driver: everything is woken at once.
    direct: bool,
}

impl WakeQueue {
    /// For tasks of runtimes that are not ours: wakes them at once, from wherever it is called.
    #[cfg(feature = "tower")]
    pub(crate) fn direct() -> Self {
        Self { direct: true, ..Self::default() }
    }

    /// Wakes `waker` from inside the runtime, soon. If it may be of a runtime other than tokio's:
    /// to be called with nothing locked, since to wake may be to drop a task.
    pub fn push(&self, waker: Waker) {
        if self.direct {
            return waker.wake();
        }
        let mut state = lock(&self.state);
        state.waiting.push(waker);
        self.announce(&state);
    }

    /// Has the driver look at its conditions again, if it is inside the runtime.
    pub fn nudge(&self) {
        self.announce(&lock(&self.state));
    }

    /// The same, for tasks of the runtime only: on the driver's own thread no look can come
    /// between reading the flag and returning, so most calls take no lock.
    pub fn nudge_from_inside(&self) {
        if !self.announced.load(Relaxed) {
            self.nudge();
        }
    }

    fn announce(&self, state: &State) {
        if let Some(driver) = &state.driver
            && !self.announced.load(Relaxed)
        {
            self.announced.store(true, Relaxed);
            driver.wake_by_ref();
        }
    }

    /// Called by the driver at each look: delivers what waits, and is told of what comes later.
    /// The driver must look at its own conditions after this, never before, or it sleeps over
    /// a change that came between.
    pub(crate) fn deliver(&self, driver: &Waker) {
        let mut waiting = {
            let mut state = lock(&self.state);
            self.announced.store(false, Relaxed);
            match &state.driver {
                Some(known) if known.will_wake(driver) => {}
                _ => state.driver = Some(driver.clone()),
            }
            if state.waiting.is_empty() {
                return;
            }
            std::mem::take(&mut state.waiting)
        };
        for waker in waiting.drain(..) {
            waker.wake();
        }
        // Give the capacity back rather than allocate again at the next turn.
        let mut state = lock(&self.state);
        if state.waiting.capacity() < waiting.capacity() && state.waiting.is_empty() {
            state.waiting = waiting;
        }
    }

    /// Called by the driver as it leaves the runtime: from now on nothing is announced.
    pub(crate) fn leave(&self) {
        let mut state = lock(&self.state);
        state.driver = None;
        self.announced.store(false, Relaxed);
    }
}
