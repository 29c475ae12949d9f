//! The native face: `w, req` handlers as in Go's net/http, on the shared exchange.

mod body;
mod cancel;
mod fault;
mod headers;
mod request;
mod response;
mod take_over;
mod turns;
mod typed;
mod websocket;
mod writer;

use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::intern;
use pyo3::prelude::*;

use crate::bridge::app;
use crate::bridge::baton::Baton;
use crate::bridge::places::Places;
use crate::http::{Request, ResponseWriter};

pub(crate) use headers::Headers;
pub(crate) use request::NativeRequest;
pub(crate) use websocket::NativeWebSocket;
pub(crate) use writer::NativeWriter;

/// A handler, as a pattern leads to it.
pub(crate) struct Route {
    /// Called with `w` and `req`.
    pub(crate) handler: Py<PyAny>,
    /// What it returns is a coroutine.
    pub(crate) is_async: bool,
    /// The pattern, as registered.
    pub(crate) pattern: String,
    /// The names of the pattern's wildcards.
    pub(crate) names: Vec<String>,
}

impl Route {
    /// Shows the collector what it holds.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.handler)
    }
}

/// Runs native handlers.
pub(crate) struct NativeHandler {
    /// Takes the coroutine of an `async def` handler, its request and its writer, and runs it on
    /// an event loop.
    run_coroutine: Py<PyAny>,
    /// How many of those may run at once.
    places: Arc<Places>,
}

impl NativeHandler {
    pub(crate) fn new(run_coroutine: Py<PyAny>, places: Arc<Places>) -> Self {
        Self { run_coroutine, places }
    }

    /// Answers `request` by `route`. Errors are logged, and answered with 500.
    pub(crate) fn handle(
        &self,
        py: Python<'_>,
        baton: &Arc<Baton>,
        route: &Arc<Route>,
        request: Request,
        writer: ResponseWriter,
    ) {
        let is_done = (|| {
            let request =
                Bound::new(py, NativeRequest::new(request, route.clone(), baton.clone()))?;
            let describe = || app::describe(request.get().head());
            let head = request.get().head();
            let writer = Bound::new(py, NativeWriter::new(writer, baton.clone(), head))?;
            let ran = self.run(py, route, &request, &writer);
            if let Err(error) = &ran {
                writer.get().fail(py, &describe(), error);
            }
            if writer.get().end_unless_handed_over(py, &describe) {
                request.get().conclude(py);
            }
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

    fn run(
        &self,
        py: Python<'_>,
        route: &Route,
        request: &Bound<'_, NativeRequest>,
        writer: &Bound<'_, NativeWriter>,
    ) -> PyResult<()> {
        let mut place = None;
        if route.is_async {
            place = self.places.take();
            if place.is_none() {
                writer.get().refuse(&self.places);
                return Ok(());
            }
            // Here a thread may wait for a slow client; the handlers' event loop may not. What is
            // wrong with the body is told to the handler when it asks.
            let _ = request.get().body(py);
        }
        let result = route.handler.bind(py).call1((writer, request))?;
        // A plain function around an `async def` one, such as middleware, gives its coroutine.
        if !route.is_async {
            if result.is_none() || !result.hasattr(intern!(py, "__await__"))? {
                return writer.get().returned(&result);
            }
            place = self.places.take();
            if place.is_none() {
                close(&result)?;
                writer.get().refuse(&self.places);
                return Ok(());
            }
            let _ = request.get().body(py);
        }
        // The loop may be done with it before the call returns.
        writer.get().hand_over(place);
        request.get().set_on_a_loop(true);
        let begun = self.run_coroutine.bind(py).call1((&result, writer, request));
        if begun.is_err() {
            request.get().set_on_a_loop(false);
            writer.get().take_back();
            // What closing raises is less than what is raised already.
            let _ = close(&result);
        }
        begun.map(drop)
    }
}

/// Closes a coroutine that nobody will await, or Python would complain.
fn close(coroutine: &Bound<'_, PyAny>) -> PyResult<()> {
    match coroutine.getattr_opt(intern!(coroutine.py(), "close"))? {
        Some(close) => close.call0().map(drop),
        None => Ok(()),
    }
}
