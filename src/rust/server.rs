//! A server, from its settings to its end.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::Mux;
use super::dispatch::MuxDispatch;
use super::handler::OnThreads;
use super::mux::Started;
use crate::config::EngineConfig;
use crate::crew::{Crew, Finish, Limits};
use crate::server::{self, Driver, Listening, Signals, SocketFile, TakenSignals};

/// What is mounted has at least so long to end.
const LAST_MOMENT: Duration = Duration::from_secs(1);

/// A server whose handlers are Rust's.
///
/// One that is dropped without [`Self::run`] serves nobody: it listens no more, clients that have
/// connected are let go, and what is mounted is stopped.
///
/// ```no_run
/// use gohttp::{Mux, Request, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut mux = Mux::new();
/// mux.handle("GET /{$}", async |_: Request| "Hello, world.\n")?;
/// let server = Server::builder().address("127.0.0.1:8000").start(mux)?;
/// println!("serving at http://127.0.0.1:{}", server.port().unwrap_or_default());
/// server.run()?;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    /// There until it is dropped.
    crew: Option<Arc<Crew>>,
    stopper: Stopper,
    port: Option<u16>,
    /// What is stopped when it has ended. Dropped, it stands behind the crew, which then asks nothing
    /// of it any more.
    mounts: Started,
    /// Removed at the end.
    _files: Vec<SocketFile>,
    /// Given back at the end.
    _signals: Option<TakenSignals>,
}

impl Server {
    /// Settings for a server.
    pub fn builder() -> Builder {
        Builder {
            addresses: Vec::new(),
            config: EngineConfig::default(),
            limits: Limits::default(),
            signals: true,
            runtime: None,
        }
    }

    /// The port of the first address of TCP: the one that was got, where 0 was asked for.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// What stops it, from any thread.
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Serves until it is told to stop, and until requests in flight have been answered. Handlers
    /// run on threads of the server's own; the calling one waits. What is mounted is stopped then.
    /// Clients that connected since [`Builder::start`] are served.
    ///
    /// # Errors
    /// If the system gives no thread.
    pub fn run(mut self) -> io::Result<Finish> {
        let finish = match &self.crew {
            Some(crew) => crew.run(),
            None => Ok(Finish::Clean),
        };
        let until = self.stopper.0.stop_deadline();
        let left = || until.saturating_duration_since(Instant::now()).max(LAST_MOMENT);
        self.mounts.stop(left);
        finish
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let crew = self.crew.take();
        if Handle::try_current().is_ok() {
            // It has a runtime, which must not be dropped where another one runs.
            let dropping = std::thread::Builder::new().spawn(move || drop(crew));
            if let Ok(dropped) = dropping {
                let _ = dropped.join();
            }
        }
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Stops a [`Server`].
#[derive(Debug, Clone)]
pub struct Stopper(Arc<server::Server>);

impl Stopper {
    /// Has the server stop: it accepts no more, requests in flight are answered, for as long as
    /// [`EngineConfig::graceful_timeout`] says. Does not wait.
    pub fn stop(&self) {
        self.0.drain();
    }

    /// The same with another time for what is in flight. A stop that has begun can be made shorter
    /// by this, not longer.
    pub fn stop_within(&self, graceful: Duration) {
        self.0.drain_within(graceful);
    }
}

/// Settings of a [`Server`].
#[derive(Debug, Clone)]
pub struct Builder {
    addresses: Vec<String>,
    config: EngineConfig,
    limits: Limits,
    signals: bool,
    runtime: Option<Handle>,
}

impl Builder {
    /// Listens on `HOST:PORT`, `:PORT` or `unix:PATH`, as [`Listening::bind`] takes it; may be
    /// called for several. `127.0.0.1:8000` if it is not.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }

    /// Threads in blocking handlers at once; 64 unless said.
    #[must_use]
    pub fn threads(mut self, threads: usize) -> Self {
        self.limits.threads = threads;
        self
    }

    /// Time-outs and limits of connections and requests.
    #[must_use]
    pub fn config(mut self, config: EngineConfig) -> Self {
        self.config = config;
        self
    }

    /// All that threads are allowed, in place of [`Self::threads`].
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Whether SIGTERM and SIGINT stop the server, and a second one ends the process: so it is
    /// unless said. When [`Server::run`] has returned, they do nothing unless the program handles
    /// them.
    #[must_use]
    pub fn signals(mut self, signals: bool) -> Self {
        self.signals = signals;
        self
    }

    /// Has async handlers run on a runtime of the program's, such as one of tokio's with many
    /// threads. Otherwise they run on the server's own, one at a time.
    #[must_use]
    pub fn runtime(mut self, runtime: Handle) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Listens, and starts what is mounted in `mux`. Clients can connect from now on; they are
    /// served by [`Server::run`].
    ///
    /// # Errors
    /// [`StartError`] if it cannot listen, or something mounted does not start.
    pub fn start(mut self, mux: Mux) -> Result<Server, StartError> {
        if self.addresses.is_empty() {
            self.addresses.push("127.0.0.1:8000".to_owned());
        }
        let mut listeners = Vec::new();
        for address in &self.addresses {
            listeners.push(Listening::bind(address)?);
        }
        let port = listeners.iter().find_map(Listening::port);
        let files = listeners.iter().filter_map(Listening::path).filter_map(SocketFile::new);
        let files = files.collect();
        // Dropped, and so stopped, if one of the steps below fails.
        let mounts = mux.start().map_err(|(prefix, error)| StartError::Mount { prefix, error })?;
        let driver = Driver::new()?;
        let signals = self.signals.then(|| Signals::install(&driver, true)).transpose()?;
        let own = {
            let _entered = driver.enter();
            Handle::current()
        };
        let crew = Crew::new(driver, Box::new(OnThreads(own.clone())), self.limits);
        let runtime = self.runtime.unwrap_or(own);
        let started = crew.start_behind(listeners, self.config, |threads| {
            Arc::new(MuxDispatch { mux, threads, runtime })
        })?;
        let taken = signals.map(|signals| signals.stop(crew.driver(), started.clone()));
        let stopper = Stopper(started);
        Ok(Server { crew: Some(crew), stopper, port, mounts, _files: files, _signals: taken })
    }
}

/// Why a server does not start.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// It cannot listen, or the system gives it no threads.
    Io(io::Error),
    /// What is mounted at this prefix does not start.
    Mount {
        /// As it was given.
        prefix: String,
        /// Why.
        error: Box<dyn Error + Send + Sync>,
    },
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::Mount { prefix, error } => write!(f, "at {prefix:?}: {error}"),
        }
    }
}

impl Error for StartError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Mount { error, .. } => Some(&**error),
        }
    }
}

impl From<io::Error> for StartError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
