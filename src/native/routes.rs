//! The route table that Python fills.

use std::sync::{PoisonError, RwLock};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::mux::{Match, Mux};

struct Route {
    handler: Py<PyAny>,
    is_async: bool,
}

/// Patterns and their handlers, as gohttplib's ServeMux: `'/'` takes whatever nothing more
/// specific takes, a pattern that ends in `/` everything below it.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Routes(RwLock<Mux<Route>>);

/// Where a request goes.
pub(super) enum Found {
    /// To this handler; the flag: it is `async def`.
    Handler(Py<PyAny>, bool),
    /// To another path.
    Redirect(String),
    /// Nowhere.
    Nothing,
}

impl Routes {
    /// Finds the handler of a decoded path.
    pub(super) fn find(&self, py: Python<'_>, host: &str, path: &str) -> Found {
        match self.0.read().unwrap_or_else(PoisonError::into_inner).find(host, path) {
            Match::Handler(route) => Found::Handler(route.handler.clone_ref(py), route.is_async),
            Match::Redirect(path) => Found::Redirect(path),
            Match::None => Found::Nothing,
        }
    }
}

#[pymethods]
impl Routes {
    #[new]
    fn new() -> Self {
        Self(RwLock::default())
    }

    /// Registers a handler. Raises `ValueError` for a pattern that is malformed or taken.
    fn handle(&self, pattern: &str, handler: Py<PyAny>, is_async: bool) -> PyResult<()> {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .handle(pattern, Route { handler, is_async })
            .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    fn __bool__(&self) -> bool {
        !self.0.read().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}
