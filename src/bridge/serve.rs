//! From listening sockets to a server that has stopped, for the sync faces.

use std::sync::Arc;
use std::time::Duration;

use pyo3::prelude::*;

use super::baton::{self, Baton, BatonDispatch, SyncHandler};
use super::settings::Settings;
use super::{heap, log_sink};
use crate::http::Dispatch;
use crate::server::{Driver, Listening, Server};

/// A running server of a sync face, to stop it from Python.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct SyncServer(Arc<Server>);

#[cfg(feature = "embed")]
impl SyncServer {
    /// The server.
    pub(crate) fn server(&self) -> &Arc<Server> {
        &self.0
    }
}

#[pymethods]
impl SyncServer {
    /// Begins a graceful stop, which may take so many seconds, else as many as the settings say.
    /// From any thread.
    #[pyo3(signature = (timeout=None))]
    fn drain(&self, timeout: Option<f64>) {
        self.0.drain_for(timeout);
    }
}

/// Whether the calling thread is one of those that run handlers.
#[pyfunction]
pub(crate) fn in_handler() -> bool {
    baton::is_worker()
}

/// Serves a sync handler until SIGTERM, SIGINT or [`SyncServer::drain`]. Returns whether all
/// handlers had ended. `route` may put a router before the baton; `on_ready` is called with a
/// [`SyncServer`] as soon as connections are accepted.
///
/// # Errors
/// If a socket cannot be watched, or the system gives no thread; and what `on_ready` raises, once
/// the server has been stopped.
pub(crate) fn serve_sync(
    py: Python<'_>,
    handler: Box<dyn SyncHandler>,
    route: impl FnOnce(BatonDispatch) -> Arc<dyn Dispatch>,
    settings: &Settings,
    listeners: Vec<Listening>,
    on_ready: Py<PyAny>,
) -> PyResult<bool> {
    heap::keep_freed();
    let engine = settings.engine()?;
    let driver = Arc::new(Driver::new()?);
    let signals = settings.signals(&driver)?;
    let baton = Baton::new(driver, handler, settings.limits());
    let dispatch = route(BatonDispatch(baton.clone()));
    let server = Arc::new(Server::start(baton.driver(), listeners, engine, dispatch)?);
    let _taken = signals.map(|signals| signals.stop(baton.driver(), server.clone()));
    let told = on_ready.call1(py, (SyncServer(server.clone()),));
    if told.is_err() {
        // Whoever has connected already is let go: only who drives can end what has begun.
        server.drain_within(Duration::ZERO);
    }
    let clean = baton.run(py, server)?;
    log_sink::flush(py);
    told.map(|_| clean)
}
