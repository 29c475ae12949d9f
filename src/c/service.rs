//! A server of C's, from its settings to its end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::error::{Fault, gohttp_error as Code};
use super::process;
use super::routes::{Functions, Routes};
use crate::config::EngineConfig;
use crate::crew::{Crew, Finish, Limits};
use crate::server::{Driver, Listening, Server, Signals, SocketFile};
use crate::wake::lock;

/// What programs in C have for a stack elsewhere.
const STACK: usize = 8 * 1024 * 1024;

/// What can be set before a server runs.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    pub(super) engine: EngineConfig,
    pub(super) limits: Limits,
    /// Whether SIGTERM and SIGINT stop the server.
    pub(super) signals: bool,
}

impl Default for Settings {
    fn default() -> Self {
        let limits = Limits {
            stack_size: STACK,
            on_thread_start: process::keep_from_sigpipe,
            ..Limits::default()
        };
        Self { engine: EngineConfig::default(), limits, signals: false }
    }
}

#[derive(Debug)]
enum Stage {
    New,
    /// It was told to stop before it ran.
    Stopped,
    Starting,
    Running(Arc<Server>),
    Ended,
}

#[derive(Debug)]
struct State {
    settings: Settings,
    listeners: Vec<Listening>,
    files: Vec<SocketFile>,
    port: Option<u16>,
    stage: Stage,
    /// Told to stop while it started.
    stop: Option<Option<Duration>>,
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Service {
    routes: Arc<Routes>,
    state: Mutex<State>,
}

impl Service {
    pub(super) fn new(routes: Arc<Routes>) -> Self {
        Self {
            routes,
            state: Mutex::new(State {
                settings: Settings::default(),
                listeners: Vec::new(),
                files: Vec::new(),
                port: None,
                stage: Stage::New,
                stop: None,
            }),
        }
    }

    pub(super) fn routes(&self) -> &Routes {
        &self.routes
    }

    /// Changes the settings, which is possible before it runs.
    pub(super) fn change(&self, change: impl FnOnce(&mut Settings)) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        state.check_new()?;
        change(&mut state.settings);
        Ok(())
    }

    /// Listens on one more address.
    pub(super) fn listen(&self, address: &str) -> Result<(), Fault> {
        let mut state = lock(&self.state);
        state.check_new()?;
        let listening = Listening::bind(address)?;
        state.port = state.port.or(listening.port());
        state.files.extend(listening.path().and_then(SocketFile::new));
        state.listeners.push(listening);
        Ok(())
    }

    /// The port of the first address of TCP.
    pub(super) fn port(&self) -> Result<u16, Fault> {
        let missing = || Fault::new(Code::GOHTTP_ERROR_MISSING, "no address of TCP is listened on");
        lock(&self.state).port.ok_or_else(missing)
    }

    /// Whether it runs.
    pub(super) fn is_running(&self) -> bool {
        matches!(lock(&self.state).stage, Stage::Starting | Stage::Running(_))
    }

    /// Serves until it is told to stop and has stopped.
    pub(super) fn run(&self) -> Result<(), Fault> {
        let (settings, listeners) = {
            let mut state = lock(&self.state);
            if matches!(state.stage, Stage::Stopped) {
                state.end();
                return Ok(());
            }
            state.check_new()?;
            if state.listeners.is_empty() {
                return Err(Fault::new(Code::GOHTTP_ERROR_STATE, "it does not listen yet"));
            }
            state.stage = Stage::Starting;
            (state.settings.clone(), std::mem::take(&mut state.listeners))
        };
        let finish = self.serve(settings, listeners);
        lock(&self.state).end();
        match finish? {
            Finish::Clean => Ok(()),
            Finish::Abandoned(_) => Err(Code::GOHTTP_ERROR_ABANDONED.into()),
        }
    }

    fn serve(&self, settings: Settings, listeners: Vec<Listening>) -> Result<Finish, Fault> {
        let driver = Driver::new()?;
        let _default = settings.signals.then(process::SignalsTaken::new).transpose()?;
        let signals = settings.signals.then(|| Signals::install(&driver, true)).transpose()?;
        let handler = Box::new(Functions(self.routes.clone()));
        let crew = Crew::new(driver, handler, settings.limits);
        let server = crew.start(listeners, settings.engine)?;
        let _taken = signals.map(|signals| signals.stop(crew.driver(), server.clone()));
        let stop = {
            let mut state = lock(&self.state);
            state.stage = Stage::Running(server.clone());
            state.stop.take()
        };
        if let Some(timeout) = stop {
            drain(&server, timeout);
        }
        Ok(crew.run()?)
    }

    /// Begins the stop; requests in flight have `timeout` to end, or what the settings say. It does
    /// not wait. A server that has not run will not.
    pub(super) fn shutdown(&self, timeout: Option<Duration>) {
        let server = {
            let mut state = lock(&self.state);
            match &state.stage {
                Stage::Running(server) => server.clone(),
                Stage::New => {
                    state.stage = Stage::Stopped;
                    return;
                }
                Stage::Starting => {
                    state.stop = Some(timeout);
                    return;
                }
                Stage::Stopped | Stage::Ended => return,
            }
        };
        drain(&server, timeout);
    }
}

fn drain(server: &Server, timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => server.drain_within(timeout),
        None => server.drain(),
    }
}

impl State {
    fn check_new(&self) -> Result<(), Fault> {
        let why = match self.stage {
            Stage::New => return Ok(()),
            Stage::Stopped => "it was told to stop",
            Stage::Starting | Stage::Running(_) => "it runs",
            Stage::Ended => "it has ended",
        };
        Err(Fault::new(Code::GOHTTP_ERROR_STATE, why))
    }

    fn end(&mut self) {
        self.stage = Stage::Ended;
        self.listeners.clear();
        self.files.clear();
    }
}
