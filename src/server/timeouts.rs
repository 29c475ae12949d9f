//! Time-outs by one coarse sweep over all connections.
//!
//! A timer of the runtime per request costs more than a thousand instructions; a deadline here
//! costs one store. The price is precision: a deadline fires up to two ticks late, never early.
//! The same registry lets a drain reach every connection.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::Waker;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::http::{Dispatch, TICK};
use crate::wake::lock;

const NONE: u32 = 0;
const EXPIRED: u32 = u32::MAX;

/// One connection's place in the registry.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The tick at which the connection is woken; [`NONE`] or [`EXPIRED`].
    deadline: AtomicU32,
    task: Mutex<Option<Waker>>,
    registry: Arc<Registry>,
    slot: AtomicUsize,
    /// Ends the connection's task at once.
    cut: OnceLock<AbortHandle>,
}

impl Watch {
    /// Whom to wake; to be called from the connection's task.
    pub(crate) fn set_task(&self, waker: &Waker) {
        let mut task = lock(&self.task);
        if !task.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *task = Some(waker.clone());
        }
    }

    /// How to end the connection's task.
    pub(crate) fn set_cut(&self, task: AbortHandle) {
        // Set once: a connection has one task.
        let _ = self.cut.set(task);
    }

    /// Wakes the connection after `delay` from now, in place of an earlier deadline.
    pub(crate) fn arm(&self, delay: Duration) {
        self.deadline.store(self.tick_after(delay), Relaxed);
    }

    /// The tick that is `delay` from now.
    pub(crate) fn tick_after(&self, delay: Duration) -> u32 {
        let ticks = delay.as_millis().div_ceil(TICK.as_millis());
        let ticks = ticks.min(u128::from(u32::MAX / 2)) as u32;
        self.registry.now.load(Relaxed) + ticks + 1
    }

    /// Whether it is that tick, or later.
    pub(crate) fn reached(&self, tick: u32) -> bool {
        self.registry.now.load(Relaxed) >= tick
    }

    /// Wakes the connection at `tick`, if not earlier.
    pub(crate) fn arm_by(&self, tick: u32) {
        let armed = self.deadline.load(Relaxed);
        if armed == NONE || armed > tick {
            self.deadline.store(tick, Relaxed);
        }
    }

    /// Takes the deadline away.
    pub(crate) fn disarm(&self) {
        self.deadline.store(NONE, Relaxed);
    }

    /// Whether the deadline has passed.
    pub(crate) fn expired(&self) -> bool {
        self.deadline.load(Relaxed) == EXPIRED
    }

    fn wake(&self) {
        if let Some(task) = lock(&self.task).as_ref() {
            task.wake_by_ref();
        }
    }
}

/// A connection's registration; dropping it takes the connection out.
#[derive(Debug)]
pub(crate) struct Registered(pub(crate) Arc<Watch>);

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.registry.remove(&self.0);
    }
}

/// A connection's copy of the `Date` field, so that a response takes no lock for it.
#[derive(Debug, Default)]
pub(crate) struct Date {
    second: u32,
    text: [u8; 29],
}

/// All open connections of a server, its coarse clock and its drain flag.
#[derive(Debug)]
pub(crate) struct Registry {
    now: AtomicU32,
    /// The second that `date` shows; changed after it.
    second: AtomicU32,
    date: Mutex<[u8; 29]>,
    watches: Mutex<Vec<Arc<Watch>>>,
    draining: AtomicBool,
    /// Told when a connection ends and when a drain begins.
    pub(crate) changed: Notify,
    /// Told when a drain begins.
    begun: Notify,
}

impl Registry {
    pub(crate) fn new() -> Arc<Self> {
        let registry = Arc::new(Self {
            now: AtomicU32::new(1),
            second: AtomicU32::new(0),
            date: Mutex::new([b' '; 29]),
            watches: Mutex::new(Vec::new()),
            draining: AtomicBool::new(false),
            changed: Notify::new(),
            begun: Notify::new(),
        });
        registry.tick();
        registry
    }

    /// Enters a connection.
    pub(crate) fn register(self: &Arc<Self>) -> Registered {
        let mut watches = lock(&self.watches);
        let watch = Arc::new(Watch {
            deadline: AtomicU32::new(NONE),
            task: Mutex::new(None),
            registry: self.clone(),
            slot: AtomicUsize::new(watches.len()),
            cut: OnceLock::new(),
        });
        watches.push(watch.clone());
        Registered(watch)
    }

    fn remove(&self, watch: &Watch) {
        let mut watches = lock(&self.watches);
        let slot = watch.slot.load(Relaxed);
        watches.swap_remove(slot);
        if let Some(moved) = watches.get(slot) {
            moved.slot.store(slot, Relaxed);
        }
        drop(watches);
        self.changed.notify_waiters();
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        lock(&self.watches).len()
    }

    /// Whether the server is stopping.
    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Relaxed)
    }

    /// Begins the stop: every connection looks at itself.
    pub(crate) fn drain(&self) {
        if !self.draining.swap(true, Relaxed) {
            self.wake_all();
            self.changed.notify_waiters();
            self.begun.notify_waiters();
        }
    }

    /// Ready when the server begins to stop.
    pub(crate) async fn stopping(self: Arc<Self>) {
        let begun = self.begun.notified();
        if !self.draining() {
            begun.await;
        }
    }

    /// Ends all connections at once. What they leave unfinished tells its handlers so as it goes.
    pub(crate) fn cut_all(&self) {
        for watch in lock(&self.watches).iter() {
            if let Some(task) = watch.cut.get() {
                task.abort();
            }
        }
    }

    fn wake_all(&self) {
        for watch in lock(&self.watches).iter() {
            watch.wake();
        }
    }

    /// The `Date` of now, up to a tick old (RFC 9110 section 6.6.1).
    pub(crate) fn date(&self) -> [u8; 29] {
        *lock(&self.date)
    }

    /// The same, from the copy if that is up to date.
    pub(crate) fn date_of<'a>(&self, copy: &'a mut Date) -> &'a [u8; 29] {
        let second = self.second.load(Relaxed);
        if copy.second != second {
            *copy = Date { second, text: self.date() };
        }
        &copy.text
    }

    fn tick(&self) {
        let now = SystemTime::now();
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).map_or(1, |d| d.as_secs());
        let second = seconds as u32;
        if self.second.load(Relaxed) != second {
            lock(&self.date).copy_from_slice(httpdate::fmt_http_date(now).as_bytes());
            self.second.store(second, Relaxed);
        }
    }

    /// Sweeps until the task is dropped.
    pub(crate) async fn sweep(self: Arc<Self>, dispatch: Arc<dyn Dispatch>) {
        let mut interval = tokio::time::interval(TICK);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        loop {
            interval.tick().await;
            self.tick();
            dispatch.tick();
            let now = self.now.fetch_add(1, Relaxed) + 1;
            for watch in lock(&self.watches).iter() {
                let deadline = watch.deadline.load(Relaxed);
                if deadline != NONE && deadline <= now {
                    watch.deadline.store(EXPIRED, Relaxed);
                    watch.wake();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registry_keeps_places_true_as_connections_leave() {
        let registry = Registry::new();
        let a = registry.register();
        let b = registry.register();
        let c = registry.register();
        drop(a);
        drop(c);
        assert_eq!(registry.open(), 1);
        drop(b);
        assert_eq!(registry.open(), 0);
    }

    #[test]
    fn the_date_is_an_imf_fixdate() {
        let date = Registry::new().date();
        assert!(httpdate::parse_http_date(std::str::from_utf8(&date).expect("ascii")).is_ok());
    }
}
