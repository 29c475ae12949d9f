//! An ASGI application in a server: the only one, or one of several under their prefixes.

use std::sync::{Arc, Mutex};

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::scope::ScopeMaker;
use crate::bridge::mount::Mount;
use crate::wake::lock;

/// An application, and what makes its scopes.
pub(crate) struct AsgiApp {
    pub(super) app: Py<PyAny>,
    pub(super) scopes: ScopeMaker,
}

impl AsgiApp {
    /// `root_path` is the whole server's; `state` is what the lifespan left.
    ///
    /// # Errors
    /// Only if Python is out of memory.
    pub(crate) fn new(
        py: Python<'_>,
        app: Py<PyAny>,
        root_path: &str,
        mount: &Mount,
        state: Option<Py<PyDict>>,
    ) -> PyResult<Self> {
        let app =
            py.import("gohttp._asgi")?.call_method1("as_coroutine_function", (app,))?.unbind();
        Ok(Self { app, scopes: ScopeMaker::new(py, root_path, mount, state)? })
    }
}

/// An application that a route leads to, once its lifespan has begun.
pub(crate) struct AsgiMount {
    app: Py<PyAny>,
    ready: Mutex<Option<Arc<AsgiApp>>>,
}

impl AsgiMount {
    pub(crate) fn new(app: Py<PyAny>) -> Self {
        Self { app, ready: Mutex::default() }
    }

    /// The application itself.
    pub(crate) fn app(&self) -> &Py<PyAny> {
        &self.app
    }

    /// Says where it is and what its lifespan left, for the server that begins now.
    ///
    /// # Errors
    /// Only if Python is out of memory.
    pub(crate) fn prepare(
        &self,
        py: Python<'_>,
        root_path: &str,
        mount: &Mount,
        state: Option<Py<PyDict>>,
    ) -> PyResult<()> {
        let made = AsgiApp::new(py, self.app.clone_ref(py), root_path, mount, state)?;
        *lock(&self.ready) = Some(Arc::new(made));
        Ok(())
    }

    /// Shows the collector what it alone holds. Who has the lock is using what it holds.
    pub(crate) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.app)?;
        match self.ready.try_lock().as_deref() {
            Ok(Some(ready)) if Arc::strong_count(ready) == 1 => {
                visit.call(&ready.app)?;
                ready.scopes.visit(visit)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn ready(&self) -> Option<Arc<AsgiApp>> {
        lock(&self.ready).clone()
    }
}
