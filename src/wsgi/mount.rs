//! A WSGI application that a route leads to.

use std::sync::{Arc, Mutex};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::WsgiHandler;
use crate::bridge::mount::Mount;
use crate::bridge::settings::Settings;
use crate::wake::lock;

/// An application, and its handler once it is known where it is.
pub(crate) struct WsgiMount {
    app: Py<PyAny>,
    handler: Mutex<Option<Arc<WsgiHandler>>>,
}

impl WsgiMount {
    pub(crate) fn new(app: Py<PyAny>) -> Self {
        Self { app, handler: Mutex::default() }
    }

    /// Says where it is, for the server that begins now.
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
        *lock(&self.handler) = Some(Arc::new(handler));
        Ok(())
    }

    /// Shows the collector what it alone holds. Who has the lock is using what it holds.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        match self.handler.try_lock().as_deref() {
            Ok(Some(handler)) if Arc::strong_count(handler) == 1 => visit.call(&handler.app),
            _ => Ok(()),
        }
    }

    /// Its handler, once it has been prepared.
    pub(crate) fn handler(&self) -> Option<Arc<WsgiHandler>> {
        lock(&self.handler).clone()
    }
}
