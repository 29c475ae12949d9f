//! The baton: threads that run sync handlers and, one of them at a time, drive the I/O.
//!
//! Who holds the baton drives the runtime, and runs the requests that become ready itself, the
//! GIL taken once for all of them: no request is handed to another thread on the fast path.
//! Nobody waits behind a slow handler all the same:
//!
//! - the monitor sees a holder that has been in one handler for a tick and passes the baton on:
//!   to an idle thread, a new one, or, if all are busy, to itself;
//! - requests whose kind has been slow lately ([`crate::costs`]) go to other threads at once;
//! - a holder that has to wait for the network inside a handler drives the I/O while it waits.
//!
//! Handlers run outside the runtime: a current-thread runtime cannot change hands while a task is
//! being polled. Rules: a thread prefers the free baton to the next job, or nobody would drive
//! while a queue is worked off; the state is looked at after the driver's waker is registered
//! ([`crate::server::Driver`] sees to that), or a request is slept over.
//!
//! Beside an event loop ([`Baton::beside_a_loop`]) the loop drives for good, and threads only run.

mod bare;
mod deadline;
mod dispatch;
mod limits;
mod monitor;
mod schedule;
mod wait;
mod worker;

use std::cell::Cell;
use std::io;
use std::sync::atomic::{AtomicU32, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::costs::{Costs, Kind};
use crate::crew::Crew;
use crate::http::{Request, ResponseWriter};
use crate::server::{Driver, Server};
use crate::team::{Holder, Locked, Team};
use crate::wake::lock;
use crate::words::were;
use deadline::Deadlines;
pub(crate) use dispatch::BatonDispatch;
pub(crate) use limits::Limits;
use schedule::{Extra, Job, Schedule};

/// Runs one request to its end, on a thread that may block.
pub(crate) trait SyncHandler: Send + Sync + 'static {
    /// Answers `request`. Errors are the handler's to log; dropping the writer is a 500.
    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter);
}

/// See the module's text.
pub(crate) struct Baton {
    driver: Arc<Driver>,
    /// An event loop drives, always.
    beside_a_loop: bool,
    server: OnceLock<Arc<Server>>,
    handler: Box<dyn SyncHandler>,
    /// Runs what needs no Python and cannot be run by the holder at once.
    crew: OnceLock<Arc<Crew>>,
    schedule: Mutex<Schedule>,
    max_threads: usize,
    costs: Costs,
    monitor: OnceLock<Thread>,
    limits: Limits,
    deadlines: Deadlines,
    /// Counts up every 250 ms.
    ticks: AtomicU32,
    /// Requests refused since the last tick.
    refused: AtomicUsize,
}

thread_local! {
    /// Which worker this thread is.
    static WORKER: Cell<Option<Worker>> = const { Cell::new(None) };
    /// Its handler speaks with the client itself, and waits for it as long as it likes.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
    /// The kind of the request that it runs, or ran last.
    static KIND: Cell<Option<Kind>> = const { Cell::new(None) };
}

/// A worker thread, among those of all batons of this process.
#[derive(Clone, Copy)]
struct Worker {
    /// Where its baton is: that lives for as long as its threads do.
    baton: usize,
    number: usize,
}

/// Whether the calling thread runs a handler.
pub(crate) fn is_worker() -> bool {
    WORKER.get().is_some()
}

impl Baton {
    /// A baton for `handler`.
    pub(crate) fn new(
        driver: Arc<Driver>,
        handler: Box<dyn SyncHandler>,
        limits: Limits,
    ) -> Arc<Self> {
        Self::with_holder(driver, handler, limits, Holder::Nobody)
    }

    /// The same where an event loop drives `driver`: threads are started as there is work, and
    /// [`Self::attach`] takes the place of [`Self::run`].
    pub(crate) fn beside_a_loop(
        driver: Arc<Driver>,
        handler: Box<dyn SyncHandler>,
        limits: Limits,
    ) -> Arc<Self> {
        Self::with_holder(driver, handler, limits, Holder::Monitor)
    }

    fn with_holder(
        driver: Arc<Driver>,
        handler: Box<dyn SyncHandler>,
        limits: Limits,
        holder: Holder,
    ) -> Arc<Self> {
        let beside_a_loop = holder == Holder::Monitor;
        let mut schedule = Schedule::default();
        schedule.holder = holder;
        schedule.one_is_all = true;
        // The calling thread is worker 0; where a loop is, it is none.
        schedule.enlist();
        schedule.threads = usize::from(!beside_a_loop);
        Arc::new(Self {
            driver,
            beside_a_loop,
            server: OnceLock::new(),
            handler,
            crew: OnceLock::new(),
            schedule: Mutex::new(schedule),
            max_threads: limits.threads.max(1),
            costs: Costs::new(),
            monitor: OnceLock::new(),
            limits,
            deadlines: Deadlines::default(),
            ticks: AtomicU32::new(0),
            refused: AtomicUsize::new(0),
        })
    }

    /// The number of the calling thread, if it is a worker of this baton. One of another server in
    /// this process is none, whatever its number.
    fn me(&self) -> Option<usize> {
        let worker = WORKER.get()?;
        (worker.baton == std::ptr::from_ref(self).addr()).then_some(worker.number)
    }

    /// What it allows.
    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The runtime.
    pub(crate) fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Serves on the calling thread and those it starts, until `server` has stopped. Returns
    /// whether every handler had ended by then.
    pub(crate) fn run(self: &Arc<Self>, py: Python<'_>, server: Arc<Server>) -> PyResult<bool> {
        if self.server.set(server).is_err() {
            return Ok(true);
        }
        monitor::start(self)?;
        if self.limits.request_timeout.is_some() {
            Deadlines::start(self)?;
        }
        Ok(py.detach(|| {
            self.work(0);
            self.wait_for_workers()
        }))
    }

    /// Runs beside the loop that drives `server`.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn attach(self: &Arc<Self>, server: Arc<Server>) -> std::io::Result<()> {
        if self.server.set(server).is_ok() && self.limits.request_timeout.is_some() {
            Deadlines::start(self)?;
        }
        Ok(())
    }

    /// Whether the server's stop has begun.
    pub(crate) fn stopping(&self) -> bool {
        self.server.get().is_some_and(|server| server.draining())
    }

    /// Ends the threads beside a loop whose server has stopped. Blocks, detached, until every
    /// handler has ended or the stop has taken its time; returns whether they all have.
    pub(crate) fn finish(&self, py: Python<'_>) -> bool {
        py.detach(|| {
            self.stop();
            self.wait_for_workers()
        })
    }

    /// Waits for the other threads' handlers, as long as a stop may take.
    fn wait_for_workers(&self) -> bool {
        self.schedule().extra.returned = true;
        loop {
            let (busy, lost) = {
                let schedule = self.schedule();
                let lost = schedule.given_up();
                (schedule.threads.saturating_sub(lost), lost)
            };
            if busy == 0 {
                return self.finish_crew() && lost == 0;
            }
            if Instant::now() >= self.stop_deadline() {
                log::warn!(
                    target: "gohttp.server",
                    "{} still running after graceful_timeout, and abandoned",
                    were(busy, "handler")
                );
                return false;
            }
            // A look now and then: this happens once a process.
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Until when handlers are waited for, once the server has stopped: what its drain has left of
    /// the graceful time-out, and a moment more to end properly.
    fn stop_deadline(&self) -> Instant {
        let begun = self.server.get().map_or_else(Instant::now, |server| server.stop_deadline());
        begun + Duration::from_secs(1)
    }
}

impl Team for Baton {
    type Job = Job;
    type Extra = Extra;

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        lock(&self.schedule)
    }

    fn driver(&self) -> &Driver {
        &self.driver
    }

    fn server(&self) -> Option<&Arc<Server>> {
        self.server.get()
    }

    fn max_threads(&self) -> usize {
        self.max_threads
    }

    fn monitor(&self) -> Option<&Thread> {
        self.monitor.get()
    }

    fn start_worker(self: &Arc<Self>, number: usize) -> io::Result<()> {
        worker::start(self, number)
    }

    /// To an idle worker if there is one, else to the monitor, until a new worker is up and wants
    /// the baton. (A new thread needs the GIL to begin, and the GIL may be what this is all about.)
    fn pass_on(self: &Arc<Self>, mut schedule: Locked<'_, Self>) {
        schedule.settle_pulse();
        schedule.lend_holder();
        let left = std::mem::take(&mut schedule.extra.bare);
        let idle = schedule.may_call(self.max_threads);
        schedule.holder = if idle { Holder::Nobody } else { Holder::Monitor };
        self.call_helper(schedule);
        self.leave_to_crew(left);
        if !idle {
            self.wake_monitor();
        }
    }

    fn stopped(&self) {
        if let Some(crew) = self.crew.get() {
            crew.stop();
        }
    }

    fn has_more(extra: &Extra) -> bool {
        !extra.bare.is_empty()
    }

    fn driven_inside(self: &Arc<Self>, mut schedule: Locked<'_, Self>) {
        // Found with the request whose handler this is.
        let left = std::mem::take(&mut schedule.extra.bare);
        drop(schedule);
        self.leave_to_crew(left);
    }
}
