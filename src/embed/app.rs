//! A Python application in the program: from its name to its end.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};

use super::error::PythonError;
use super::interpreter::Interpreter;
use crate::Mount;
use crate::asgi::AsgiEngine;
use crate::bridge::serve::SyncServer;
use crate::ending::Ending;
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter};
use crate::server::{Intake, Server};
use crate::wake::lock;

/// Room for Python's own recursion, as its main thread has it.
const STACK: usize = 8 * 1024 * 1024;

/// A Python application by its name, to be started in this process: WSGI (Flask, Django), ASGI
/// (FastAPI, Starlette), or a `gohttp.Mux`. Which it is, is found out by looking at it.
///
/// Mounted in a [`Mux`](crate::Mux) it is started with the server, and knows the prefix:
///
/// ```no_run
/// use gohttp::{Mux, PythonApp, Server};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut mux = Mux::new();
/// mux.handle("GET /fast", async |_| "from Rust\n")?;
/// mux.mount("/shop", PythonApp::new("shop:app").app_dir("python"))?;
/// Server::builder().address("127.0.0.1:8000").start(mux)?.run()?;
/// # Ok(())
/// # }
/// ```
///
/// Under another host, by the feature `tower`: see `RunningApp::service`.
#[derive(Debug)]
pub struct PythonApp {
    target: String,
    settings: BTreeMap<String, Setting>,
    /// What [`Mount::start`] has started.
    mounted: Mutex<Option<RunningApp>>,
}

/// The value of a [`PythonApp::setting`].
#[derive(Debug, Clone, PartialEq)]
pub enum Setting {
    /// Text, or one of several names.
    Text(String),
    /// A count, a size in bytes.
    Number(i64),
    /// A time in seconds.
    Seconds(f64),
    /// Yes or no.
    Flag(bool),
}

impl From<&str> for Setting {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Setting {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<f64> for Setting {
    fn from(seconds: f64) -> Self {
        Self::Seconds(seconds)
    }
}

impl From<bool> for Setting {
    fn from(flag: bool) -> Self {
        Self::Flag(flag)
    }
}

impl PythonApp {
    /// An application: `module:attribute`, `module:factory()`, `module` alone, or
    /// `path/to/file.py:attribute`.
    pub fn new(target: impl Into<String>) -> Self {
        Self { target: target.into(), settings: BTreeMap::new(), mounted: Mutex::new(None) }
    }

    /// Where its module is looked for first; the working directory unless said.
    #[must_use]
    pub fn app_dir(self, directory: impl Into<PathBuf>) -> Self {
        let directory: PathBuf = directory.into();
        self.setting("app_dir", &*directory.to_string_lossy())
    }

    /// Threads that run it at once, if it is no ASGI application; 16 unless said.
    #[must_use]
    pub fn threads(self, threads: usize) -> Self {
        self.setting("threads", i64::try_from(threads).unwrap_or(i64::MAX))
    }

    /// The path under which clients find it, decoded: `SCRIPT_NAME` of WSGI, `root_path` of ASGI.
    /// A [`Mux`](crate::Mux) says it itself.
    #[must_use]
    pub fn prefix(self, prefix: &str) -> Self {
        self.setting("root_path", prefix.trim_end_matches('/'))
    }

    /// A setting of `gohttp serve` by its name in Python, such as `queue` or `lifespan`; those of
    /// connections, processes and logs are not there, since these are the program's.
    #[must_use]
    pub fn setting(mut self, name: &str, value: impl Into<Setting>) -> Self {
        self.settings.insert(name.to_owned(), value.into());
        self
    }

    /// Imports it and starts it; returns when it takes requests, which for an ASGI application is
    /// after its lifespan's start-up. Starts Python if the program has not: see [`Interpreter`].
    ///
    /// # Errors
    /// [`PythonError`] for what is wrong with the target, the settings, or the application's start.
    pub fn start(&self) -> Result<RunningApp, PythonError> {
        Interpreter::new().start()?;
        let (tell, told) = channel();
        let (target, settings) = (self.target.clone(), self.settings.clone());
        let thread = std::thread::Builder::new().name("gohttp-app".into()).stack_size(STACK);
        let ending = Ending::of(thread, move || serve(&target, settings, &tell));
        let ending = ending.map_err(|error| {
            PythonError::new(format!("{}: the system gives no thread: {error}", self.target))
        })?;
        let begun = detached(move || told.recv());
        let died = || PythonError::new(format!("{} ended before it began", self.target));
        let (server, intake) = begun.map_err(|_| died())??;
        #[cfg(feature = "tower")]
        let prefix = match self.settings.get("root_path") {
            Some(Setting::Text(prefix)) => prefix.clone(),
            _ => String::new(),
        };
        Ok(RunningApp(Arc::new(Running {
            server,
            intake,
            #[cfg(feature = "tower")]
            prefix,
            ending,
        })))
    }
}

/// A server and its way in, or why there is none.
type Begun = Result<(Arc<Server>, Intake), PythonError>;

/// Runs something long without keeping Python from others, whether this thread has it or not.
fn detached<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    Python::attach(|py| py.detach(run))
}

/// The life of an application, on a thread of its own.
fn serve(target: &str, settings: BTreeMap<String, Setting>, tell: &Sender<Begun>) {
    Python::attach(|py| {
        let told = tell.clone();
        let served = (|| {
            let keywords = PyDict::new(py);
            for (name, value) in settings {
                match value {
                    Setting::Text(text) => keywords.set_item(name, text),
                    Setting::Number(number) => keywords.set_item(name, number),
                    Setting::Seconds(seconds) => keywords.set_item(name, seconds),
                    Setting::Flag(flag) => keywords.set_item(name, flag),
                }?;
            }
            let on_ready = PyCFunction::new_closure(py, None, None, move |arguments, _| {
                let begun = begun(arguments)?;
                // Whoever asked for it may have given up.
                let _ = told.send(Ok(begun));
                PyResult::Ok(())
            })?;
            py.import("gohttp._embedded")?.call_method1("serve", (target, keywords, on_ready))
        })();
        if let Err(error) = served {
            let failed = PythonError::of(py, &format!("{target} cannot be served"), &error);
            if tell.send(Err(failed.clone())).is_err() {
                log::error!(target: "gohttp.server", "{failed}");
            }
        }
    });
}

/// What the server that has begun is given requests by.
fn begun(arguments: &Bound<'_, PyTuple>) -> PyResult<(Arc<Server>, Intake)> {
    let argument = arguments.get_item(0)?;
    let server = if let Ok(server) = argument.cast::<SyncServer>() {
        Some(server.get().server().clone())
    } else {
        argument.cast::<AsgiEngine>()?.get().server().cloned()
    };
    let taken = server.and_then(|server| server.take_intake().map(|intake| (server, intake)));
    taken.ok_or_else(|| PyTypeError::new_err("a server without sockets is expected"))
}

/// An application that takes requests. It is stopped by [`RunningApp::stop`], or when the last of
/// its clones and services is dropped.
#[derive(Debug, Clone)]
pub struct RunningApp(pub(crate) Arc<Running>);

#[derive(Debug)]
pub(crate) struct Running {
    server: Arc<Server>,
    pub(crate) intake: Intake,
    /// Decoded, without a slash at its end.
    #[cfg(feature = "tower")]
    pub(crate) prefix: String,
    ending: Ending,
}

impl RunningApp {
    /// Stops it: further requests get 503, those in flight have `timeout` to end, an ASGI
    /// application has its lifespan's shutdown. Waits for that, a little longer than `timeout`;
    /// returns whether all has ended. Blocks: in async code, call it where that is allowed. May be
    /// called again, and by several at once: each waits, and of their times the shortest counts for
    /// what is in flight.
    pub fn stop(&self, timeout: Duration) -> bool {
        self.0.server.drain_within(timeout);
        // Each of the handlers, the lifespan and the tasks may take a moment more.
        let patience = timeout.saturating_add(4 * LAST_MOMENT);
        detached(|| self.0.ending.wait(patience))
    }
}

/// What a stop's parts may take beyond its time.
const LAST_MOMENT: Duration = Duration::from_secs(1);

impl Drop for Running {
    fn drop(&mut self) {
        // It ends by itself; nobody waits.
        self.server.drain();
    }
}

/// Gives it the requests of another server of this program.
struct Mounted(RunningApp);

impl Dispatch for Mounted {
    fn dispatch(&self, request: Request, writer: ResponseWriter) {
        self.0.0.intake.dispatch(request, writer);
    }

    fn speaks(&self, protocol: &[u8]) -> bool {
        self.0.0.intake.speaks(protocol)
    }

    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        self.0.0.intake.prebuffer(head)
    }
}

impl Mount for PythonApp {
    fn start(&self, prefix: &str) -> Result<Arc<dyn Dispatch>, Box<dyn Error + Send + Sync>> {
        let mut app = Self::new(&self.target);
        app.settings.clone_from(&self.settings);
        let running = app.prefix(prefix).start()?;
        *lock(&self.mounted) = Some(running.clone());
        Ok(Arc::new(Mounted(running)))
    }

    fn stop(&self, timeout: Duration) {
        let running = lock(&self.mounted).take();
        if let Some(running) = running
            && !running.stop(timeout)
        {
            log::warn!(target: "gohttp.server", "{} did not end in time and is abandoned", self.target);
        }
    }
}
