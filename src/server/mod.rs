//! The engine: sockets, connections, time-outs and drain. No Python in it.

mod accept;
mod access_log;
mod address;
mod body;
mod connection;
mod context;
mod driver;
mod h1;
mod h2;
#[cfg(feature = "embed")]
mod intake;
mod listener;
mod rest;
mod signals;
mod socket_file;
mod timeouts;
mod translate;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, OnceLock};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

#[cfg(feature = "tower")]
pub(crate) use body::{Keeper, ResponseBody};
pub use driver::Driver;
#[cfg(feature = "tower")]
pub(crate) use intake::Admitted;
#[cfg(feature = "embed")]
pub(crate) use intake::Intake;
pub use listener::Listening;
pub use signals::{Signals, TakenSignals};
pub(crate) use socket_file::SocketFile;
#[cfg(feature = "tower")]
pub(crate) use translate::{head_of, response_of};

use crate::config::EngineConfig;
use crate::http::Dispatch;
use context::Context;
use timeouts::Registry;

/// What a time counts as that no clock can add to now.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// A running server. Dropping it does not stop it; its tasks live on the driver.
#[derive(Debug)]
pub struct Server {
    registry: Arc<Registry>,
    finished: Arc<Finished>,
    wake: Arc<crate::wake::WakeQueue>,
    drain_began: OnceLock<Instant>,
    /// How long the stop may take.
    graceful: Arc<Mutex<Duration>>,
    /// Of one without listeners, until it is taken. It leads to whom a face gives requests, who may
    /// hold this server: kept, neither would end.
    #[cfg(feature = "embed")]
    intake: Mutex<Option<Intake>>,
}

#[derive(Debug, Default)]
struct Finished {
    done: AtomicBool,
    waiter: std::sync::Mutex<Option<Waker>>,
}

impl Server {
    /// Starts to accept on `listeners`, with `dispatch` answering. The server lives on `driver`,
    /// which must be driven for anything to happen. Without listeners its requests come from
    /// elsewhere, if any do, and it lives until its drain.
    ///
    /// # Errors
    /// If a listening socket cannot be watched.
    pub fn start(
        driver: &Driver,
        listeners: Vec<Listening>,
        config: EngineConfig,
        dispatch: Arc<dyn Dispatch>,
    ) -> io::Result<Self> {
        let _entered = driver.enter();
        let registry = Registry::new();
        let graceful = Arc::new(Mutex::new(config.graceful_timeout));
        let cx = Arc::new(Context {
            access_log: config.access_log.then_some(access_log::AccessLog),
            config,
            dispatch,
            wake: driver.wake_queue().clone(),
            registry: registry.clone(),
        });
        #[cfg(feature = "embed")]
        let intake = Mutex::new(listeners.is_empty().then(|| Intake(cx.clone())));
        let mut accepting = Vec::new();
        for listening in listeners {
            accepting.push(match listening {
                Listening::Tcp(socket) => {
                    tokio::spawn(accept::run(listener::TcpAcceptor::new(socket)?, cx.clone()))
                }
                Listening::Unix(socket) => tokio::spawn(accept::run(
                    tokio::net::UnixListener::from_std(socket)?,
                    cx.clone(),
                )),
            });
        }
        let sweep = tokio::spawn(registry.clone().sweep(cx.dispatch.clone()));
        let finished = Arc::new(Finished::default());
        let told = finished.clone();
        let watched = registry.clone();
        let lives_on = accepting.is_empty().then(|| registry.clone().stopping());
        let patience = graceful.clone();
        tokio::spawn(async move {
            if let Some(stopping) = lives_on {
                stopping.await;
            }
            for task in accepting {
                // An accept task that panicked accepts no more, which is what is waited for.
                let _ = task.await;
            }
            accept::drained(&watched, || *crate::wake::lock(&patience)).await;
            sweep.abort();
            told.done.store(true, Relaxed);
            if let Some(waker) = crate::wake::lock(&told.waiter).take() {
                waker.wake();
            }
        });
        Ok(Self {
            registry,
            finished,
            wake: driver.wake_queue().clone(),
            drain_began: OnceLock::new(),
            graceful,
            #[cfg(feature = "embed")]
            intake,
        })
    }

    /// The way in for requests that were read elsewhere, of a server without listeners; once.
    #[cfg(feature = "embed")]
    pub(crate) fn take_intake(&self) -> Option<Intake> {
        crate::wake::lock(&self.intake).take()
    }

    /// Begins the stop: what waits in the backlog is accepted, requests in flight are answered,
    /// then everything closes. From any thread; further calls do nothing.
    pub fn drain(&self) {
        self.drain_began.get_or_init(Instant::now);
        self.registry.drain();
        self.wake.nudge();
    }

    /// The same with another time for what is in flight than the settings say. A stop that has
    /// begun can be made shorter by this, not longer.
    pub fn drain_within(&self, graceful: Duration) {
        let begun = self.draining();
        {
            let mut known = crate::wake::lock(&self.graceful);
            *known = if begun { graceful.min(*known) } else { graceful };
        }
        self.drain();
        if begun {
            self.registry.changed.notify_waiters();
            self.wake.nudge();
        }
    }

    /// Begins the stop, with so many seconds for what is in flight or as many as the settings say.
    pub fn drain_for(&self, seconds: Option<f64>) {
        match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
            Some(graceful) => self.drain_within(graceful),
            None => self.drain(),
        }
    }

    /// Until when the stop, once it has begun, waits for what is in flight.
    pub fn stop_deadline(&self) -> Instant {
        let began = self.drain_began().unwrap_or_else(Instant::now);
        let graceful = *crate::wake::lock(&self.graceful);
        began.checked_add(graceful).unwrap_or(began + FOR_EVER)
    }

    /// Whether the stop has begun.
    pub fn draining(&self) -> bool {
        self.registry.draining()
    }

    /// When the stop began.
    pub fn drain_began(&self) -> Option<Instant> {
        self.drain_began.get().copied()
    }

    /// How many connections are open.
    pub fn connections(&self) -> usize {
        self.registry.open()
    }

    /// Ready when the server has stopped.
    pub fn poll_finished(&self, cx: &mut TaskContext<'_>) -> Poll<()> {
        if self.finished.done.load(Relaxed) {
            return Poll::Ready(());
        }
        let mut waiter = crate::wake::lock(&self.finished.waiter);
        if !waiter.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
            *waiter = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}
