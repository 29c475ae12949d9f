//! The engine as an event loop sees it: as its selector on the loop's own thread, or beside it on
//! a thread of its own.

use std::future::Future;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use pyo3::exceptions::PyRuntimeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet};

use super::app::AsgiApp;
use super::context::LoopContext;
use super::inbox::{Arrived, Bell, Inbox, InboxDispatch, Waiting};
use super::loop_epoll::LoopEpoll;
use super::watch::{self, Driven, Watch};
use crate::bridge::baton::Baton;
use crate::bridge::descriptors::listeners;
use crate::bridge::heap;
use crate::bridge::interrupt::Ident;
use crate::bridge::mount::Mount;
use crate::bridge::places::Places;
use crate::bridge::settings::Settings;
use crate::http::Dispatch;
use crate::server::{Driver, Listening, Server, TakenSignals};
use crate::wake::lock;

/// What the loop has to do when it comes back from the engine, requests apart.
#[derive(Default)]
struct Events {
    /// The watched descriptor may have events.
    ready: bool,
    /// Another thread has given it something.
    woken: bool,
}

/// What runs whether Python does or not.
struct Core {
    driver: Arc<Driver>,
    server: OnceLock<Arc<Server>>,
    watch: Watch,
}

impl Driven for Core {
    fn driver(&self) -> &Driver {
        &self.driver
    }

    fn watch(&self) -> &Watch {
        &self.watch
    }
}

/// The engine under an ASGI application.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct AsgiEngine {
    core: Arc<Core>,
    inbox: Arc<Inbox>,
    /// The loop drives the engine itself.
    hosted: bool,
    context: OnceLock<Arc<LoopContext>>,
    places: Arc<Places>,
    /// Runs what is no coroutine, where there is such.
    baton: OnceLock<Arc<Baton>>,
    epoll: Mutex<Option<LoopEpoll>>,
    signals: OnceLock<TakenSignals>,
    /// The loop knows that the server has stopped.
    told: AtomicBool,
    /// Another thread has given the loop something to do.
    woken: AtomicBool,
}

#[pymethods]
impl AsgiEngine {
    /// An engine. `bell`: an eventfd that the loop watches if it runs on another thread than the
    /// engine; `None` if it drives the engine itself.
    #[new]
    #[pyo3(signature = (bell=None))]
    #[expect(unsafe_code, reason = "a descriptor comes as a number from Python")]
    fn new(bell: Option<RawFd>) -> PyResult<Self> {
        let driver = Arc::new(Driver::new()?);
        let bell = match bell {
            None => Bell::Nudge(driver.wake_queue().clone()),
            // SAFETY: `gohttp._asgi` makes this descriptor for us with `os.dup` and forgets it.
            Some(fd) => Bell::Event(unsafe { OwnedFd::from_raw_fd(fd) }.into()),
        };
        let hosted = matches!(bell, Bell::Nudge(_));
        let core = Core { driver, server: OnceLock::new(), watch: Watch::default() };
        Ok(Self {
            inbox: Inbox::new(bell),
            core: Arc::new(core),
            hosted,
            context: OnceLock::new(),
            places: Arc::default(),
            baton: OnceLock::new(),
            epoll: Mutex::new(None),
            signals: OnceLock::new(),
            told: AtomicBool::new(false),
            woken: AtomicBool::new(false),
        })
    }

    /// Begins to accept connections for `app` on `event_loop`. `state` is what the lifespan left.
    #[pyo3(signature = (app, event_loop, settings, descriptors, state))]
    fn start(
        &self,
        py: Python<'_>,
        app: Py<PyAny>,
        event_loop: Py<PyAny>,
        settings: Settings,
        descriptors: Vec<i32>,
        state: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let listeners = listeners(descriptors)?;
        let app = AsgiApp::new(py, app, &settings.root_path, &Mount::default(), state)?;
        let only = Some(Arc::new(app));
        self.begin(py, only, event_loop, &settings, listeners, |inbox| Arc::new(inbox))
    }

    /// Watches an epoll descriptor, which becomes ours, so that `drive` returns when it has events.
    fn watch(&self, epoll: RawFd) -> PyResult<()> {
        let _entered = self.core.driver.enter();
        *lock(&self.epoll) = Some(LoopEpoll::watch(epoll)?);
        Ok(())
    }

    /// Forgets the descriptor given to `watch`.
    fn unwatch(&self) {
        let _entered = self.core.driver.enter();
        lock(&self.epoll).take();
    }

    /// The watched descriptor had no events: wait for the next edge. One that has come meanwhile
    /// is seen by the next `drive`.
    fn quiet(&self) {
        if let Some(epoll) = &mut *lock(&self.epoll) {
            epoll.quiet();
        }
    }

    /// Drives I/O for at most `timeout` seconds, `None` for as long as nothing happens, and starts
    /// the requests that came. Returns 1 if the watched descriptor may have events, plus 2, once,
    /// if the server has stopped.
    fn drive(&self, py: Python<'_>, timeout: Option<f64>) -> PyResult<u8> {
        self.core.watch.arrive();
        let events = py.detach(|| {
            self.core.watch.enter(&self.core.driver);
            let events = self.drive_detached(timeout);
            self.core.watch.leave();
            events
        });
        let (requests, woken) = self.receive(py)?;
        if let Some(context) = self.context.get() {
            let due = timeout.is_some_and(|seconds| seconds <= 0.0);
            context.begin_in_turn(py, requests, due || woken || events.ready || events.woken);
        }
        let stopped = self.finished() && !self.told.swap(true, Relaxed);
        if stopped {
            self.core.watch.stop();
        }
        Ok(u8::from(events.ready) + 2 * u8::from(stopped))
    }

    /// Has `drive` return, now or as soon as it is called. From any thread: what asyncio's own
    /// loop writes a byte to itself for.
    fn wake(&self) {
        self.woken.store(true, Relaxed);
        self.core.driver.wake_queue().nudge();
    }

    /// Starts all requests that have come and wakes the futures that are due. On the loop's thread.
    fn process(&self, py: Python<'_>) -> PyResult<()> {
        let (requests, _) = self.receive(py)?;
        if let Some(context) = self.context.get() {
            context.begin_all(py, requests);
        }
        Ok(())
    }

    /// Runs the engine on the calling thread until the server has stopped.
    fn run(&self, py: Python<'_>) {
        py.detach(|| {
            if let Some(server) = self.core.server.get() {
                self.core.driver.drive(|cx| server.poll_finished(cx));
            }
        });
    }

    /// Whether the server has stopped.
    fn finished(&self) -> bool {
        self.core.server.get().is_some_and(|server| {
            server.poll_finished(&mut Context::from_waker(std::task::Waker::noop())).is_ready()
        })
    }

    /// Begins a graceful stop, which may take so many seconds, else as many as the settings say.
    /// From any thread.
    #[pyo3(signature = (timeout=None))]
    fn drain(&self, timeout: Option<f64>) {
        if let Some(server) = self.core.server.get() {
            server.drain_for(timeout);
        }
    }

    /// Seconds left of a stop's graceful time-out and `more`, at least one.
    #[pyo3(signature = (more=0.0))]
    fn remaining(&self, more: f64) -> f64 {
        let left = self
            .core
            .server
            .get()
            .map(|server| server.stop_deadline().saturating_duration_since(Instant::now()));
        (left.unwrap_or_default().as_secs_f64() + more).max(1.0)
    }

    /// Waits, once the server has stopped, for the handlers on threads, as long as a stop may take.
    /// Blocks; returns whether all have ended.
    fn finish_threads(&self, py: Python<'_>) -> bool {
        self.baton.get().is_none_or(|baton| baton.finish(py))
    }

    /// Does what is due every 250 ms, which the server asks for until it stops.
    fn tick(&self, py: Python<'_>) {
        if let Some(context) = self.context.get() {
            context.tick(py);
        }
    }

    /// The tasks of requests that have not ended.
    fn tasks(&self, py: Python<'_>) -> Option<Py<PySet>> {
        self.context.get().map(|context| context.tasks.clone_ref(py))
    }
}

impl AsgiEngine {
    /// The runtime that the loop drives.
    pub(crate) fn driver(&self) -> &Arc<Driver> {
        &self.core.driver
    }

    /// What limits the requests that its loop runs.
    pub(crate) fn places(&self) -> &Arc<Places> {
        &self.places
    }

    /// The server, once it has begun.
    #[cfg(feature = "embed")]
    pub(crate) fn server(&self) -> Option<&Arc<Server>> {
        self.core.server.get()
    }

    /// Has `baton` run beside the loop what is no coroutine. To be called after [`Self::begin`].
    ///
    /// # Errors
    /// If the system gives no thread.
    pub(crate) fn attach(&self, baton: Arc<Baton>) -> PyResult<()> {
        if let Some(server) = self.core.server.get() {
            baton.attach(server.clone())?;
        }
        // Set once: an engine is started once.
        let _ = self.baton.set(baton);
        Ok(())
    }

    /// Begins to accept connections. `only`: the application, if there is but one; `route` may
    /// put a router before the loop's inbox.
    ///
    /// # Errors
    /// If a socket cannot be watched, the system gives no thread, or this was called before.
    pub(crate) fn begin(
        &self,
        py: Python<'_>,
        only: Option<Arc<AsgiApp>>,
        event_loop: Py<PyAny>,
        settings: &Settings,
        listeners: Vec<Listening>,
        route: impl FnOnce(InboxDispatch) -> Arc<dyn Dispatch>,
    ) -> PyResult<()> {
        let config = settings.engine()?;
        self.places.allow(settings.max_tasks());
        let (inbox, places) = (self.inbox.clone(), self.places.clone());
        let context = LoopContext::new(py, only, event_loop, settings, inbox, places)?;
        let signals = settings.signals(&self.core.driver)?;
        let thread = Ident::current(py)?.number();
        let slow = settings.slow_callback().map(|after| (after, thread));
        // The log of a limit is kept short by ticks; and a loop on another thread is watched by
        // how soon it takes them.
        let always = settings.max_tasks().is_some() || (slow.is_some() && !self.hosted);
        let kept = self.core.watch.kept();
        let inbox = InboxDispatch::new(self.inbox.clone(), context.deadlines.clone(), always, kept);
        let dispatch = route(inbox);
        heap::keep_freed();
        let server = Arc::new(Server::start(&self.core.driver, listeners, config, dispatch)?);
        if let Some(signals) = signals {
            // Set once: an engine is started once, as is seen below.
            let _ = self.signals.set(signals.stop(&self.core.driver, server.clone()));
        }
        if self.core.server.set(server).is_err() || self.context.set(Arc::new(context)).is_err() {
            return Err(PyRuntimeError::new_err("the engine has been started already"));
        }
        if self.hosted {
            watch::start(&self.core, slow)?;
        } else if let Some((after, thread)) = slow {
            watch::start_beside(&self.inbox, after, thread)?;
        }
        Ok(())
    }

    /// Takes what waits for the loop: wakes the futures that are due, cancels what is too late, and
    /// returns the requests, and whether there were futures.
    fn receive(&self, py: Python<'_>) -> PyResult<(Vec<Arrived>, bool)> {
        let Waiting { requests, futures, tick } = self.inbox.take();
        let woken = !futures.is_empty();
        for future in futures {
            let future = future.bind(py);
            if !future.call_method0(intern!(py, "done"))?.is_truthy()? {
                future.call_method1(intern!(py, "set_result"), (py.None(),))?;
            }
        }
        if tick {
            self.tick(py);
        }
        Ok((requests, woken))
    }

    fn drive_detached(&self, timeout: Option<f64>) -> Events {
        let (mut looked, mut woken) = (false, false);
        // The next request that waits for its turn is begun after a look at the sockets.
        let waiting = self.context.get().is_some_and(|context| context.pace.waiting() > 0);
        let mut timer: Option<std::pin::Pin<Box<tokio::time::Sleep>>> = None;
        self.core.driver.drive(|cx| {
            let ready = lock(&self.epoll).as_mut().is_some_and(|epoll| epoll.look(cx));
            // The lock of the wake queue stands between a thread's storing this and our looking.
            woken |= self.woken.load(Relaxed) && self.woken.swap(false, Relaxed);
            let stopped = !self.told.load(Relaxed)
                && self.core.server.get().is_some_and(|server| server.poll_finished(cx).is_ready());
            // The app's own sockets and threads may always have something: connections get a look
            // first.
            let look = (ready || woken || waiting) && !std::mem::replace(&mut looked, true);
            if look {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            if ready || stopped || woken || waiting || self.inbox.has_some() {
                return Poll::Ready(Events { ready, woken });
            }
            match timeout {
                None => Poll::Pending,
                Some(seconds) if seconds <= 0.0 => {
                    // One look at the sockets without waiting.
                    if std::mem::replace(&mut looked, true) {
                        return Poll::Ready(Events::default());
                    }
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                Some(seconds) => {
                    let timer = timer.get_or_insert_with(|| {
                        let delay = Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX);
                        Box::pin(tokio::time::sleep(delay.min(Duration::from_secs(86_400))))
                    });
                    timer.as_mut().poll(cx).map(|()| Events::default())
                }
            }
        })
    }
}

impl Drop for AsgiEngine {
    fn drop(&mut self) {
        self.core.watch.stop();
    }
}
