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

mod deadline;
mod limits;
mod monitor;
mod wait;
mod worker;

use std::cell::Cell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread::Thread;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use crate::costs::{self, Costs};
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter, Room};
use crate::server::{Driver, Server};
use crate::wake::lock;
use deadline::Deadlines;
pub(crate) use limits::Limits;

/// Bodies of known length up to this are read before the handler is called: a thread does not
/// wait for a slow client's form.
const PREBUFFER: usize = 1024 * 1024;
/// The same for clients that are quick: larger bodies are received to where the handler wants
/// them, which spares a copy.
const PREBUFFER_QUICK: usize = 128 * 1024;

/// Threads beyond `--threads` for those that wait for the network.
const EXTRA_THREADS: usize = 512;

/// Runs one request to its end, on a thread that may block.
pub(crate) trait SyncHandler: Send + Sync + 'static {
    /// Answers `request`. Errors are the handler's to log; dropping the writer is a 500.
    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter);
}

struct Job {
    request: Request,
    writer: ResponseWriter,
    kind: costs::Kind,
    /// It is of a kind that is known to be quick.
    quick: bool,
    /// The tick at which it came.
    since: u32,
}

/// A response that a worker sends piece by piece.
struct Stream {
    worker: usize,
    since: u32,
    /// It counts as waiting for the network.
    waits: bool,
}

/// Who drives the I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    Nobody,
    Worker(usize),
    /// The monitor, or an event loop: it runs nothing itself.
    Monitor,
}

struct Schedule {
    /// Jobs for the holder.
    ready: VecDeque<Job>,
    /// Jobs of slow kinds, for any other thread.
    slow: VecDeque<Job>,
    holder: Holder,
    /// Parked workers, the last to park first to be called.
    idle: Vec<(usize, Thread)>,
    /// Workers there are.
    threads: usize,
    /// The number of the next worker; numbers are not used twice.
    next_number: usize,
    /// Workers that were called and have not come yet.
    called: usize,
    /// The system refused a thread: no more are asked for.
    refused: bool,
    /// Workers that wait for the network inside a handler.
    waiting: usize,
    /// Streamed responses in the making.
    streams: Vec<Stream>,
    /// Workers given up: their handlers do not end.
    lost: usize,
    /// The first worker is one of them.
    main_lost: bool,
    /// Workers that are not parked for good.
    running: usize,
    /// A worker without work wants the baton from the monitor.
    wanted: bool,
    /// Odd while the holder is inside a handler; changes with each handler.
    pulse: u64,
    /// The holder drives from inside a handler that waits for the network.
    driven_inside: bool,
    /// The holder is waiting for the GIL, which somebody may keep for long.
    attaching: bool,
    monitor_asleep: bool,
    stop: bool,
    /// The first worker has left its last handler.
    returned: bool,
}

impl Schedule {
    /// Whether requests wait that no thread will see by itself.
    fn jobs_need_a_thread(&self) -> bool {
        !self.slow.is_empty() || (self.holder == Holder::Monitor && !self.ready.is_empty())
    }

    /// Threads that are in handlers or may be at once. Those that wait for a slow client's bytes do
    /// not count, or a few dozen such clients would stop all service.
    fn active(&self) -> usize {
        self.threads.saturating_sub(self.idle.len() + self.waiting + self.lost)
    }

    /// Whether an idle thread may be called.
    fn may_call(&self, max: usize) -> bool {
        !self.idle.is_empty() && self.active() < max
    }

    /// Whether a thread may be started. One thread is a promise: it is never joined by another.
    fn may_start(&self, max: usize) -> bool {
        self.idle.is_empty()
            && (max > 1 || self.threads == 0)
            && !self.refused
            && self.active() < max
            && self.threads < max + EXTRA_THREADS
            && !self.stop
    }

    /// No holder is inside a handler.
    fn settle_pulse(&mut self) {
        self.pulse = (self.pulse + 1) & !1;
        self.attaching = false;
    }

    /// The holder goes into a handler. Returns whether the monitor has to be woken to watch it.
    fn enter_handler(&mut self) -> bool {
        self.pulse |= 1;
        std::mem::take(&mut self.monitor_asleep)
    }

    /// Whether another thread could take a job now.
    fn helper_to_be_had(&self, max: usize) -> bool {
        self.may_call(max) || self.may_start(max)
    }
}

/// See the module's text.
pub(crate) struct Baton {
    driver: Arc<Driver>,
    /// An event loop drives, always.
    beside_a_loop: bool,
    server: OnceLock<Arc<Server>>,
    handler: Box<dyn SyncHandler>,
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
    /// The number of this worker thread.
    static WORKER: Cell<Option<usize>> = const { Cell::new(None) };
    /// Its handler speaks with the client itself, and waits for it as long as it likes.
    static ASIDE: Cell<bool> = const { Cell::new(false) };
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
        // Where no loop is, the calling thread is the first worker.
        let threads = usize::from(!beside_a_loop);
        Arc::new(Self {
            driver,
            beside_a_loop,
            server: OnceLock::new(),
            handler,
            schedule: Mutex::new(Schedule {
                ready: VecDeque::new(),
                slow: VecDeque::new(),
                holder,
                idle: Vec::new(),
                threads,
                next_number: 1,
                called: 0,
                refused: false,
                waiting: 0,
                streams: Vec::new(),
                lost: 0,
                main_lost: false,
                running: threads,
                wanted: false,
                pulse: 0,
                driven_inside: false,
                attaching: false,
                monitor_asleep: false,
                stop: false,
                returned: false,
            }),
            max_threads: limits.threads.max(1),
            costs: Costs::new(),
            monitor: OnceLock::new(),
            limits,
            deadlines: Deadlines::default(),
            ticks: AtomicU32::new(0),
            refused: AtomicUsize::new(0),
        })
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
        self.schedule().returned = true;
        loop {
            let (busy, lost) = {
                let schedule = self.schedule();
                (schedule.running.saturating_sub(schedule.lost), schedule.lost)
            };
            if busy == 0 {
                return lost == 0;
            }
            if Instant::now() >= self.stop_deadline() {
                log::warn!(
                    target: "gohttp.server",
                    "{busy} handlers were still running after graceful_timeout and are abandoned"
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

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        lock(&self.schedule)
    }

    /// Gets a thread for waiting jobs or the free baton: an idle one, or a new one. Returns
    /// whether there was one.
    fn call_helper(self: &Arc<Self>, schedule: MutexGuard<'_, Schedule>) -> bool {
        self.call_helper_within(schedule, self.max_threads)
    }

    /// The same, with another limit of threads.
    fn call_helper_within(
        self: &Arc<Self>,
        mut schedule: MutexGuard<'_, Schedule>,
        max: usize,
    ) -> bool {
        if schedule.may_call(max)
            && let Some((_, thread)) = schedule.idle.pop()
        {
            schedule.called += 1;
            drop(schedule);
            thread.unpark();
            return true;
        }
        if !schedule.may_start(max) {
            return false;
        }
        let number = schedule.next_number;
        schedule.next_number += 1;
        schedule.threads += 1;
        schedule.running += 1;
        schedule.called += 1;
        drop(schedule);
        if worker::start(self, number) {
            return true;
        }
        let mut schedule = self.schedule();
        schedule.threads -= 1;
        schedule.running -= 1;
        schedule.called -= 1;
        schedule.refused = true;
        false
    }

    /// Lets go of the baton, so that somebody else drives: an idle worker if there is one, else
    /// the monitor, until a new worker is up and wants it. (A new thread needs the GIL to begin,
    /// and the GIL may be what this is all about.)
    fn pass_on(self: &Arc<Self>, mut schedule: MutexGuard<'_, Schedule>) {
        schedule.settle_pulse();
        let idle = schedule.may_call(self.max_threads);
        schedule.holder = if idle { Holder::Nobody } else { Holder::Monitor };
        self.call_helper(schedule);
        if !idle {
            self.wake_monitor();
        }
    }

    fn wake_monitor(&self) {
        if let Some(monitor) = self.monitor.get() {
            monitor.unpark();
        }
    }

    fn stop(&self) {
        let mut schedule = self.schedule();
        schedule.stop = true;
        let idle = std::mem::take(&mut schedule.idle);
        drop(schedule);
        for (_, thread) in idle {
            thread.unpark();
        }
        self.wake_monitor();
    }
}

/// The engine's end of the baton.
pub(crate) struct BatonDispatch(pub(crate) Arc<Baton>);

impl Dispatch for BatonDispatch {
    fn dispatch(&self, request: Request, writer: ResponseWriter) {
        let baton = &self.0;
        let kind = costs::kind_of(&request.head);
        let pace = baton.costs.pace(kind);
        let slow = baton.max_threads > 1 && pace == costs::Pace::Slow;
        let quick = pace == costs::Pace::Quick;
        let job = Job { request, writer, kind, quick, since: baton.ticks.load(Relaxed) };
        let mut schedule = baton.schedule();
        if baton.overloaded(&schedule, slow) {
            drop(schedule);
            baton.refuse(job);
        } else if slow {
            schedule.slow.push_back(job);
            // If no other thread can be had, the holder sees the job as it looks.
            baton.call_helper(schedule);
        } else {
            schedule.ready.push_back(job);
            // The monitor runs nothing itself.
            if schedule.holder == Holder::Monitor && schedule.called == 0 {
                let max = if quick { baton.quick_threads() } else { baton.max_threads };
                baton.call_helper_within(schedule, max);
            }
        }
        baton.driver.wake_queue().nudge_from_inside();
    }

    fn tick(&self) {
        self.0.tick();
    }

    fn room(&self) -> Room {
        let schedule = self.0.schedule();
        let max = self.0.max_threads;
        let helpers = if schedule.helper_to_be_had(max) { max - schedule.active() } else { 0 };
        let blocked = schedule.holder == Holder::Monitor || schedule.driven_inside;
        match schedule.ready.len() + schedule.slow.len() {
            waiting if waiting < helpers + usize::from(!blocked) => Room::Free,
            _ if blocked => Room::None,
            _ => Room::Soon,
        }
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        // The only thread waits for nobody.
        let quick = if self.0.max_threads == 1 { PREBUFFER } else { PREBUFFER_QUICK };
        Prebuffer { quick, slow: PREBUFFER }
    }
}
