//! The WSGI face: PEP 3333 on the shared exchange.

mod body;
mod environ;
mod file_wrapper;
mod input;
mod start_response;

use std::sync::{Arc, Mutex};

use pyo3::prelude::*;

use crate::bridge::app;
use crate::bridge::baton::{Baton, SyncHandler};
use crate::bridge::serve::serve_sync;
use crate::bridge::settings::Settings;
use crate::http::{Request, ResponseWriter};
use crate::wake::lock;
use environ::Environ;
pub(crate) use file_wrapper::FileWrapper;
use input::Input;
use start_response::StartResponse;

/// The response of one request, shared by `start_response`, `write` and the server's own loop.
pub(crate) struct Response {
    pub(crate) writer: Mutex<ResponseWriter>,
    pub(crate) baton: Arc<Baton>,
}

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
    pub(crate) fn new(py: Python<'_>, app: Py<PyAny>, settings: &Settings) -> PyResult<Self> {
        Ok(Self { app, environ: Environ::new(py, settings)? })
    }

    fn run(
        &self,
        py: Python<'_>,
        request: &Arc<Request>,
        response: &Arc<Response>,
    ) -> PyResult<()> {
        let input = Py::new(py, Input::new(request.clone(), response.baton.clone()))?;
        let environ = self.environ.build(py, request, input)?;
        let start_response = Py::new(py, StartResponse::new(response.clone()))?;
        let iterable = self.app.bind(py).call1((environ, start_response))?;
        body::send(py, request, response, &iterable)
    }
}

impl SyncHandler for WsgiHandler {
    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter) {
        let request = Arc::new(request);
        let response = Arc::new(Response { writer: Mutex::new(writer), baton: baton.clone() });
        if let Err(error) = self.run(py, &request, &response) {
            app::fail(py, &app::describe(&request.head), &error, |f| {
                f(&mut lock(&response.writer))
            });
        }
        // An application that keeps `start_response` must not keep the client waiting.
        let mut writer = lock(&response.writer);
        if !writer.ended() {
            writer.fail(500);
        }
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
