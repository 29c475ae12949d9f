//! The end of a thread, for any number of those who wait for it.

use std::io;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crate::wake::lock;

/// What a thread tells when it is about to end.
#[derive(Debug, Default)]
struct Told {
    over: Mutex<bool>,
    changed: Condvar,
}

/// Tells it, also when the thread panics.
struct Tells(Arc<Told>);

impl Drop for Tells {
    fn drop(&mut self) {
        *lock(&self.0.over) = true;
        self.0.changed.notify_all();
    }
}

#[derive(Debug)]
enum Thread {
    /// Nobody has seen its end.
    Begun(JoinHandle<()>),
    /// It is over; whether it came to a good end.
    Over(bool),
}

/// A thread, and its end.
#[derive(Debug)]
pub(crate) struct Ending {
    told: Arc<Told>,
    thread: Mutex<Thread>,
}

impl Ending {
    /// Runs `run` on a thread.
    ///
    /// # Errors
    /// If the system gives none.
    pub(crate) fn of(thread: Builder, run: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        let told = Arc::<Told>::default();
        let tells = Tells(told.clone());
        let thread = thread.spawn(move || {
            let _tells = tells;
            run();
        })?;
        Ok(Self { told, thread: Mutex::new(Thread::Begun(thread)) })
    }

    /// Waits for its end, for `patience` at most. Returns whether it has ended, and well. Without the
    /// GIL: the thread may need it.
    pub(crate) fn wait(&self, patience: Duration) -> bool {
        let over = lock(&self.told.over);
        let waited = self.told.changed.wait_timeout_while(over, patience, |over| !*over);
        if !*waited.unwrap_or_else(PoisonError::into_inner).0 {
            return false;
        }
        // It has nothing more to do, so that the others do not wait long for this lock.
        let mut thread = lock(&self.thread);
        let well = match std::mem::replace(&mut *thread, Thread::Over(false)) {
            Thread::Begun(thread) => thread.join().is_ok(),
            Thread::Over(well) => well,
        };
        *thread = Thread::Over(well);
        well
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn all_wait_for_the_end_however_long_it_takes() {
        let (end, ended) = channel::<()>();
        let ending = Ending::of(Builder::new(), move || {
            let _ = ended.recv();
        });
        let ending = Arc::new(ending.expect("a thread"));
        assert!(!ending.wait(Duration::ZERO), "it runs");
        assert!(!ending.wait(Duration::ZERO), "it runs, also for who asks again");
        let waiting: Vec<_> = (0..3)
            .map(|_| {
                let ending = ending.clone();
                std::thread::spawn(move || ending.wait(Duration::MAX))
            })
            .collect();
        drop(end);
        for thread in waiting {
            assert!(thread.join().expect("no panic"));
        }
        assert!(ending.wait(Duration::ZERO), "it has ended");
    }

    #[test]
    fn a_panic_is_no_good_end() {
        let ending = Ending::of(Builder::new(), || panic!("as asked")).expect("a thread");
        assert!(!ending.wait(Duration::from_secs(10)));
        assert!(!ending.wait(Duration::from_secs(10)));
    }
}
