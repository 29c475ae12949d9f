//! The WSGI face: PEP 3333 on the shared exchange.

mod body;
mod environ;
mod exchange;
mod file_wrapper;
mod input;
mod mount;
mod start_response;

use std::sync::Arc;

use pyo3::exceptions::{PyConnectionError, PyStopIteration};
use pyo3::intern;
use pyo3::prelude::*;

use crate::bridge::baton::{Baton, SyncHandler};
use crate::bridge::descriptors::listeners;
use crate::bridge::log_sink::app_error;
use crate::bridge::mount::Mount;
use crate::bridge::serve::serve_sync;
use crate::bridge::settings::Settings;
use crate::http::{Request, ResponseWriter, Version};
use environ::Environ;
use exchange::Handles;
pub(crate) use file_wrapper::FileWrapper;
pub(crate) use mount::WsgiMount;

/// Runs a WSGI application.
pub(crate) struct WsgiHandler {
    app: Py<PyAny>,
    environ: Environ,
}

impl WsgiHandler {
    /// A handler for `app`.
    ///
    /// # Errors
    /// Only if Python is out of memory.
    pub(crate) fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        settings: &Settings,
        mount: Mount,
    ) -> PyResult<Self> {
        Ok(Self { app, environ: Environ::new(py, settings, mount)? })
    }
}

impl SyncHandler for WsgiHandler {
    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter) {
        let interim = request.head.version() == Version::Http11;
        let upgrade = request.head.offers_upgrade();
        let environ = self.environ.build(py, &request);
        let begun = Handles::begin(py, baton, request, writer);
        let handles = match begun {
            Ok(handles) => handles,
            Err(error) => return app_error(py, "Exception before the application", &error),
        };
        let ran = environ.and_then(|environ| {
            environ.set_item(intern!(py, "wsgi.input"), &handles.input)?;
            if interim {
                environ.set_item(intern!(py, "wsgi.early_hints"), &handles.early_hints)?;
            }
            if upgrade {
                let take = handles.starter.getattr(py, intern!(py, "hijack"))?;
                let socket =
                    py.import("gohttp._upgrade")?.call_method1("UpgradeSocket", (take,))?;
                // The name under which simple-websocket and its like look for it.
                environ.set_item(intern!(py, "gunicorn.socket"), socket)?;
            }
            let iterable = self.app.bind(py).call1((environ, &handles.start_response))?;
            body::send(py, &handles.exchange, &iterable)
        });
        if let Err(error) = ran
            && !ends_hijacked(py, &handles.exchange, &error)
        {
            handles.exchange.fail(py, &error);
        }
        handles.finish(py);
    }
}

/// Whether an exception is a usual end of a connection that the application has taken over.
fn ends_hijacked(py: Python<'_>, exchange: &exchange::Exchange, error: &PyErr) -> bool {
    if !exchange.state().hijacked {
        return false;
    }
    if error.is_instance_of::<PyConnectionError>(py) {
        log::info!(target: "gohttp.request", "{}: {error}", exchange.describe());
        return true;
    }
    error.is_instance_of::<PyStopIteration>(py)
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
    let listeners = listeners(descriptors)?;
    let handler = WsgiHandler::new(py, app, &settings, Mount::default())?;
    serve_sync(py, Box::new(handler), |baton| Arc::new(baton), &settings, listeners, on_ready)
}
