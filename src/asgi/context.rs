//! What the requests of one event loop share.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::{PyDict, PySet};

use super::app::AsgiApp;
use super::awaitable::Awaitable;
use super::begin::Admitted;
use super::deadline::Deadlines;
use super::inbox::Inbox;
use crate::bridge::places::Places;
use crate::bridge::settings::Settings;
use crate::config::WebSocketConfig;
use crate::pace::Pace;

/// What requests need of the loop that they run on.
pub(super) struct LoopContext {
    pub(super) inbox: Arc<Inbox>,
    pub(super) event_loop: Py<PyAny>,
    pub(super) done: Py<Awaitable>,
    /// The application, if there is but one.
    pub(super) app: Option<Arc<AsgiApp>>,
    pub(super) websocket: WebSocketConfig,
    /// `asyncio.Task` and its keywords, where tasks can start eagerly.
    pub(super) eager: Option<(Py<PyAny>, Py<PyDict>)>,
    /// Tasks that have not ended: asyncio itself holds them only weakly.
    pub(super) tasks: Py<PySet>,
    /// With `request_timeout` only.
    pub(super) deadlines: Option<Arc<Deadlines>>,
    /// When requests are begun, where the loop drives the engine.
    pub(super) pace: Pace<Admitted>,
    pub(super) places: Arc<Places>,
}

impl LoopContext {
    /// `only`: the application, if there is but one.
    pub(super) fn new(
        py: Python<'_>,
        only: Option<Arc<AsgiApp>>,
        event_loop: Py<PyAny>,
        settings: &Settings,
        inbox: Arc<Inbox>,
        places: Arc<Places>,
    ) -> PyResult<Self> {
        Ok(Self {
            inbox,
            eager: eager_task(py, &event_loop)?,
            event_loop,
            done: Py::new(py, Awaitable::done())?,
            app: only,
            websocket: settings.websocket(),
            tasks: PySet::empty(py)?.unbind(),
            deadlines: settings.asgi_timeout().map(|timeout| Arc::new(Deadlines::new(timeout))),
            pace: Pace::default(),
            places,
        })
    }

    /// Every 250 ms: tells of requests that found no place, and cancels what is too late.
    pub(super) fn tick(&self, py: Python<'_>) {
        self.places.tick();
        if let Some(deadlines) = &self.deadlines {
            deadlines.check(py);
        }
    }
}

/// `asyncio.Task` and its keywords, from Python 3.12 on.
fn eager_task(py: Python<'_>, event_loop: &Py<PyAny>) -> PyResult<Option<(Py<PyAny>, Py<PyDict>)>> {
    if py.version_info() < (3, 12) {
        return Ok(None);
    }
    let keywords = PyDict::new(py);
    keywords.set_item("loop", event_loop)?;
    keywords.set_item("eager_start", true)?;
    Ok(Some((py.import("asyncio")?.getattr("Task")?.unbind(), keywords.unbind())))
}
