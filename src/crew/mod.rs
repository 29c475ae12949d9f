//! The crew: threads that run blocking handlers and, one of them at a time, drive the I/O.
//!
//! The sibling of the Python faces' baton, for handlers without an interpreter. The thread that
//! drives the runtime comes out of it with the requests it has found and runs them itself: on the
//! fast path no request is handed to another thread. A handler may block all the same:
//!
//! - a monitor sees a driving thread that has been in one handler for a tick (1 ms) and has
//!   another drive: an idle one, a new one, or, if [`Limits::threads`] are busy, itself;
//! - requests whose kind (method and path) has been slow lately go to other threads at once;
//! - a handler that waits for its client by [`wait`] does not count as busy; on the driving thread
//!   it drives while it waits.
//!
//! Threads are started as they are needed and end when they have had nothing to do for a while.
//!
//! ```no_run
//! use gohttp::config::EngineConfig;
//! use gohttp::crew::{Crew, Handler, Limits};
//! use gohttp::http::{Request, ResponseHead, ResponseWriter};
//! use gohttp::server::{Driver, Listening};
//!
//! struct Hello;
//!
//! impl Handler for Hello {
//!     fn handle(&self, request: Request, mut writer: ResponseWriter) {
//!         std::thread::sleep(std::time::Duration::from_millis(10)); // others are served meanwhile
//!         let body = request.head.path().to_vec();
//!         let _ = writer.respond(ResponseHead::text(200, body.len()), body.into());
//!     }
//! }
//!
//! # fn main() -> std::io::Result<()> {
//! let crew = Crew::new(Driver::new()?, Box::new(Hello), Limits::default());
//! let server = crew.start(vec![Listening::bind("127.0.0.1:8080")?], EngineConfig::default())?;
//! std::thread::spawn(move || server.drain()); // from any thread, at any time
//! crew.run()?;
//! # Ok(())
//! # }
//! ```

mod dispatch;
mod wait;
mod worker;

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{JoinHandle, Thread};
use std::time::{Duration, Instant};

use crate::config::EngineConfig;
use crate::costs::{self, Costs};
use crate::http::{Dispatch, Request, ResponseWriter};
use crate::server::{Driver, Listening, Server};
use crate::team::{self, Holder, Locked, Schedule, Team};
use crate::wake::lock;
pub(crate) use dispatch::CrewDispatch;
#[cfg(feature = "python")]
pub(crate) use wait::{Member, Membership};
pub use wait::{next_piece, wait, wait_for_room};

/// Answers requests on threads that may block.
pub trait Handler: Send + Sync + 'static {
    /// Answers `request`. Dropping the writer unanswered is a 500, and so is a panic. Both may be
    /// kept for longer than the call, and used from any thread.
    fn handle(&self, request: Request, writer: ResponseWriter);
}

/// What a crew allows itself.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Threads in handlers at once; those that [`wait`] do not count. At least 1.
    pub threads: usize,
    /// Requests that may wait for a thread; further ones are answered with 503.
    pub queue: usize,
    /// Bytes of a thread's stack.
    pub stack_size: usize,
    /// Called first on each thread of the crew.
    pub on_thread_start: fn(),
}

impl Default for Limits {
    fn default() -> Self {
        Self { threads: 64, queue: 1024, stack_size: 2 * 1024 * 1024, on_thread_start: || {} }
    }
}

/// How a crew's work has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Every handler has returned.
    Clean,
    /// Handlers were still running when the stop's time was up; they go on without a server.
    Abandoned(usize),
}

/// A little more than a stop may take, so that handlers told of its end can end properly.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A request that is to be run.
pub(crate) struct Job {
    request: Request,
    writer: ResponseWriter,
    kind: costs::Kind,
}

/// See the module's text.
pub struct Crew {
    driver: Arc<Driver>,
    /// Somebody else drives, always.
    beside: bool,
    server: OnceLock<Arc<Server>>,
    handler: Box<dyn Handler>,
    limits: Limits,
    schedule: Mutex<Schedule<Job>>,
    /// Told when the server has stopped, and when a thread ends after that.
    ended: Condvar,
    costs: Costs,
    monitor: OnceLock<Thread>,
    /// Threads that may still be there, the monitor among them.
    handles: Mutex<Vec<JoinHandle<()>>>,
}

impl Crew {
    /// A crew that answers by `handler`.
    pub fn new(driver: Driver, handler: Box<dyn Handler>, limits: Limits) -> Arc<Self> {
        Self::with_holder(Arc::new(driver), handler, limits, Holder::Nobody)
    }

    /// A crew beside others who drive `driver`, always: it runs what it is given by
    /// [`Self::take`], on threads that are started as there is work. [`Self::finish`] takes the
    /// place of [`Self::run`].
    #[cfg(feature = "python")]
    pub(crate) fn beside(
        driver: Arc<Driver>,
        handler: Box<dyn Handler>,
        limits: Limits,
    ) -> Arc<Self> {
        Self::with_holder(driver, handler, limits, Holder::Monitor)
    }

    fn with_holder(
        driver: Arc<Driver>,
        handler: Box<dyn Handler>,
        mut limits: Limits,
        holder: Holder,
    ) -> Arc<Self> {
        let mut schedule = Schedule::default();
        schedule.holder = holder;
        limits.threads = limits.threads.max(1);
        Arc::new(Self {
            driver,
            beside: holder == Holder::Monitor,
            server: OnceLock::new(),
            handler,
            limits,
            schedule: Mutex::new(schedule),
            ended: Condvar::new(),
            costs: Costs::new(),
            monitor: OnceLock::new(),
            handles: Mutex::default(),
        })
    }

    /// The runtime.
    pub fn driver(&self) -> &Driver {
        &self.driver
    }

    /// Has a server accept on `listeners`; it is served once [`Crew::run`] is called.
    ///
    /// # Errors
    /// `AlreadyExists` if the crew has a server, else what the system says of a socket.
    pub fn start(
        self: &Arc<Self>,
        listeners: Vec<Listening>,
        config: EngineConfig,
    ) -> io::Result<Arc<Server>> {
        self.start_behind(listeners, config, |crew| Arc::new(crew))
    }

    /// The same with a router before the crew.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub(crate) fn start_behind(
        self: &Arc<Self>,
        listeners: Vec<Listening>,
        config: EngineConfig,
        route: impl FnOnce(CrewDispatch) -> Arc<dyn Dispatch>,
    ) -> io::Result<Arc<Server>> {
        let taken = || io::Error::new(io::ErrorKind::AlreadyExists, "the crew has a server");
        if self.server.get().is_some() {
            return Err(taken());
        }
        let dispatch = route(CrewDispatch(Arc::downgrade(self)));
        let server = Arc::new(Server::start(&self.driver, listeners, config, dispatch)?);
        self.server.set(server.clone()).map_err(|_| taken())?;
        Ok(server)
    }

    /// Serves, on threads of the crew's own, until the server has stopped; the calling thread only
    /// waits. To be called once, after [`Crew::start`].
    ///
    /// # Errors
    /// `NotConnected` without a server, else what the system says if it gives no thread.
    pub fn run(self: &Arc<Self>) -> io::Result<Finish> {
        let Some(server) = self.server.get() else {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the crew has no server"));
        };
        let for_monitor = self.clone();
        self.keep_handle(team::start_monitor(&self.monitor, move || {
            (for_monitor.limits.on_thread_start)();
            team::watch(&for_monitor);
        })?);
        let first = self.schedule().enlist();
        if let Err(error) = worker::start(self, first) {
            self.schedule().threads -= 1;
            self.stop();
            return Err(error);
        }
        let mut schedule = self.schedule();
        while !schedule.stop {
            schedule = self.ended.wait(schedule).unwrap_or_else(PoisonError::into_inner);
        }
        drop(schedule);
        Ok(self.finish(server.stop_deadline() + LAST_MOMENT))
    }

    /// Waits for the threads of a crew that has been stopped, until then at most.
    pub(crate) fn finish(&self, until: Instant) -> Finish {
        let mut schedule = self.schedule();
        while schedule.threads > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Finish::Abandoned(schedule.threads);
            }
            let waited = self.ended.wait_timeout(schedule, left);
            schedule = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(schedule);
        // What they held is given back before the caller goes on, and perhaps ends the process.
        let handles = std::mem::take(&mut *lock(&self.handles));
        for handle in handles {
            // A thread that panicked has ended, too.
            let _ = handle.join();
        }
        Finish::Clean
    }

    fn keep_handle(&self, handle: JoinHandle<()>) {
        let mut handles = lock(&self.handles);
        handles.retain(|known| !known.is_finished());
        handles.push(handle);
    }
}

impl Team for Crew {
    type Job = Job;
    type Extra = ();

    fn schedule(&self) -> MutexGuard<'_, Schedule<Job>> {
        lock(&self.schedule)
    }

    fn driver(&self) -> &Driver {
        &self.driver
    }

    fn server(&self) -> Option<&Arc<Server>> {
        self.server.get()
    }

    fn max_threads(&self) -> usize {
        self.limits.threads
    }

    fn monitor(&self) -> Option<&Thread> {
        self.monitor.get()
    }

    fn start_worker(self: &Arc<Self>, number: usize) -> io::Result<()> {
        worker::start(self, number)
    }

    /// A new thread can begin at once: it is asked for before the monitor.
    fn pass_on(self: &Arc<Self>, mut schedule: Locked<'_, Self>) {
        schedule.settle_pulse();
        schedule.holder = Holder::Nobody;
        if self.call_helper(schedule) {
            return;
        }
        let mut schedule = self.schedule();
        if schedule.holder == Holder::Nobody {
            schedule.holder = Holder::Monitor;
            drop(schedule);
            self.wake_monitor();
        }
    }

    fn stopped(&self) {
        self.ended.notify_all();
    }
}

impl std::fmt::Debug for Crew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crew").field("limits", &self.limits).finish_non_exhaustive()
    }
}
