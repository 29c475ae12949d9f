//! A WSGI application that a route leads to.

use std::sync::OnceLock;

use pyo3::prelude::*;

use super::WsgiHandler;
use crate::bridge::mount::Mount;
use crate::bridge::settings::Settings;

/// An application, and its handler once it is known where it is.
pub(crate) struct WsgiMount {
    app: Py<PyAny>,
    handler: OnceLock<WsgiHandler>,
}

impl WsgiMount {
    pub(crate) fn new(app: Py<PyAny>) -> Self {
        Self { app, handler: OnceLock::new() }
    }

    /// Says where it is. Only the first time counts.
    ///
    /// # Errors
    /// Only if Python is out of memory.
    pub(crate) fn prepare(
        &self,
        py: Python<'_>,
        settings: &Settings,
        mount: Mount,
    ) -> PyResult<()> {
        let handler = WsgiHandler::new(py, self.app.clone_ref(py), settings, mount)?;
        // Set once: a server is started once.
        let _ = self.handler.set(handler);
        Ok(())
    }

    /// Its handler, once it has been prepared.
    pub(crate) fn handler(&self) -> Option<&WsgiHandler> {
        self.handler.get()
    }
}
