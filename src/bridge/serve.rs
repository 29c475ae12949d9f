//! From listening sockets to a server that has stopped, for the sync faces.

use std::sync::Arc;

use pyo3::prelude::*;

use super::baton::{Baton, BatonDispatch, SyncHandler};
use super::log_sink;
use super::settings::{self, Settings};
use crate::native::{NativeHandler, Routes};
use crate::server::{Driver, Server, Signals};
use crate::wsgi::WsgiHandler;

/// A running server of a sync face, to stop it from Python.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct SyncServer(Arc<Server>);

#[pymethods]
impl SyncServer {
    /// Begins a graceful stop. From any thread.
    fn drain(&self) {
        self.0.drain();
    }
}

/// Serves a WSGI application until SIGTERM or SIGINT. Returns whether all handlers had ended.
///
/// `descriptors` are listening sockets that the caller has detached; `on_ready` is called with a
/// [`SyncServer`] as soon as connections are accepted.
#[pyfunction]
pub(crate) fn serve_wsgi(
    py: Python<'_>,
    app: Py<PyAny>,
    settings: Settings,
    descriptors: Vec<i32>,
    on_ready: Py<PyAny>,
) -> PyResult<bool> {
    let handler = WsgiHandler::new(py, app, &settings)?;
    serve_sync(py, Box::new(handler), &settings, descriptors, on_ready)
}

/// Serves native handlers; see [`serve_wsgi`]. `run_coroutine(coroutine, w, req)` is given the
/// coroutines of `async def` handlers.
#[pyfunction]
pub(crate) fn serve_native(
    py: Python<'_>,
    routes: Py<Routes>,
    run_coroutine: Py<PyAny>,
    settings: Settings,
    descriptors: Vec<i32>,
    on_ready: Py<PyAny>,
) -> PyResult<bool> {
    let handler = NativeHandler::new(routes, run_coroutine);
    serve_sync(py, Box::new(handler), &settings, descriptors, on_ready)
}

/// Serves any sync handler; see [`serve_wsgi`].
pub(crate) fn serve_sync(
    py: Python<'_>,
    handler: Box<dyn SyncHandler>,
    settings: &Settings,
    descriptors: Vec<i32>,
    on_ready: Py<PyAny>,
) -> PyResult<bool> {
    let engine = settings.engine();
    let listeners = settings::listeners(descriptors)?;
    let driver = Driver::new()?;
    let signals = Signals::install(&driver, settings.insist())?;
    let baton = Baton::new(driver, handler, settings.threads, engine.graceful_timeout);
    let server = Arc::new(Server::start(
        baton.driver(),
        listeners,
        engine,
        Arc::new(BatonDispatch(baton.clone())),
    )?);
    signals.stop(baton.driver(), server.clone());
    on_ready.call1(py, (SyncServer(server.clone()),))?;
    let clean = baton.run(py, server)?;
    log_sink::flush(py);
    Ok(clean)
}
