//! The native face: `w, req` handlers as in Go's net/http, on the shared exchange.

mod headers;
mod request;
mod routes;
mod sniff;
mod writer;

use std::sync::Arc;

use pyo3::prelude::*;

use crate::bridge::app;
use crate::bridge::baton::{Baton, SyncHandler};
use crate::bridge::serve::serve_sync;
use crate::bridge::settings::Settings;
use crate::http::{Request, ResponseHead, ResponseWriter};

pub(crate) use headers::Headers;
pub(crate) use request::NativeRequest;
use routes::Found;
pub(crate) use routes::Routes;
pub(crate) use writer::NativeWriter;

/// Runs native handlers.
pub(crate) struct NativeHandler {
    routes: Py<Routes>,
    /// Takes the coroutine of an `async def` handler, its request and its writer, and runs it on
    /// an event loop.
    run_coroutine: Py<PyAny>,
}

impl NativeHandler {
    pub(crate) fn new(routes: Py<Routes>, run_coroutine: Py<PyAny>) -> Self {
        Self { routes, run_coroutine }
    }

    fn run(
        &self,
        py: Python<'_>,
        request: &Bound<'_, NativeRequest>,
        writer: &Bound<'_, NativeWriter>,
    ) -> PyResult<()> {
        let (handler, is_async) = {
            let head = request.get().head();
            let host = String::from_utf8_lossy(head.host().unwrap_or_default());
            let host = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
            let path = percent_encoding::percent_decode(head.path()).decode_utf8_lossy();
            match self.routes.get().find(py, host, &path) {
                Found::Handler(handler, is_async) => (handler, is_async),
                Found::Redirect(path) => return redirect(writer, &path, head.query()),
                Found::Nothing => return writer.get().respond_plain(py, 404),
            }
        };
        if is_async {
            // Here a thread may wait for a slow client; the handlers' event loop may not. What is
            // wrong with the body is told to the handler when it asks.
            let _ = request.get().body(py);
        }
        let result = handler.bind(py).call1((writer, request))?;
        if is_async {
            writer.get().hand_over();
            self.run_coroutine.bind(py).call1((result, writer, request))?;
        }
        Ok(())
    }
}

/// 301 as Go's mux sends it; the path is encoded anew.
fn redirect(writer: &Bound<'_, NativeWriter>, path: &str, query: &[u8]) -> PyResult<()> {
    use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
    const PATH: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'`')
        .add(b'%')
        .add(b'\\');
    let mut location = utf8_percent_encode(path, PATH).to_string();
    if !query.is_empty() {
        location.push('?');
        location.push_str(&String::from_utf8_lossy(query));
    }
    let mut head = ResponseHead::new(301);
    // Encoded above, so nothing in it can be refused.
    if head.push(b"location", location.as_bytes()).is_err() {
        head = ResponseHead::new(400);
    }
    writer.get().respond_head(head)
}

impl SyncHandler for NativeHandler {
    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter) {
        let is_done = (|| {
            let request = Bound::new(py, NativeRequest::new(request, baton.clone()))?;
            let describe = || app::describe(request.get().head());
            let writer = Bound::new(py, NativeWriter::new(writer, baton.clone()))?;
            let ran = self.run(py, &request, &writer);
            if let Err(error) = &ran {
                writer.get().fail(py, &describe(), error);
            }
            writer.get().end_unless_handed_over(py, &describe);
            Ok::<_, PyErr>(())
        })();
        if let Err(error) = is_done {
            crate::bridge::log_sink::app_error(
                py,
                "Exception before a handler could be called",
                &error,
            );
        }
    }
}

/// Serves native handlers; see [`serve_sync`]. `run_coroutine(coroutine, w, req)` is given the
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
