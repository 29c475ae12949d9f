//! Requests that wait for a layer that may take its time: it runs on a thread, as handlers do.

use std::sync::Arc;

use pyo3::prelude::*;
use tokio::runtime::Handle;

use super::table::{By, Found};
use super::ways::{Onward, Ways};
use crate::http::{Request, ResponseWriter, Routed};
use crate::middleware::{Entered, Stack};

/// Where a thread finds a request that has not come through all layers.
pub(super) struct Gate {
    stack: Stack,
    /// The layer that it has come to.
    at: usize,
    found: Found,
    ways: Arc<Ways>,
    /// That of the connections: layers and files may need it.
    runtime: Handle,
}

impl Gate {
    /// Has the layers of `stack` from `at` on run by a thread, before what was found. To be called
    /// inside the runtime.
    pub(super) fn target(stack: Stack, at: usize, found: Found, ways: Arc<Ways>) -> Routed {
        let gate = Self { stack, at, found, ways, runtime: Handle::current() };
        Routed { target: Arc::new(gate), values: Vec::new() }
    }

    /// Runs the layers. Gives the request back if it is for a thread.
    pub(super) fn pass(
        &self,
        py: Python<'_>,
        mut request: Request,
        mut writer: ResponseWriter,
    ) -> Option<Onward> {
        let _inside = self.runtime.enter();
        if self.stack.resume(self.at, &mut request, &mut writer) != Entered::Through {
            return None;
        }
        let found = self.found.clone();
        if let Found::To(By::Engine(_), _) = &found {
            return py.detach(|| self.ways.go(found, request, writer));
        }
        self.ways.go(found, request, writer)
    }
}
