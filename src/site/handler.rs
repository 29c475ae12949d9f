//! What runs on threads: native handlers, and the WSGI applications mounted beside them.

use std::sync::Arc;

use pyo3::prelude::*;

use crate::bridge::app;
use crate::bridge::baton::{Baton, SyncHandler};
use crate::http::{Request, ResponseWriter};
use crate::native::{NativeHandler, Route};
use crate::wsgi::WsgiMount;

/// Runs what a route leads to.
pub(super) struct SiteHandler(pub(super) NativeHandler);

impl SyncHandler for SiteHandler {
    fn takes_connect(&self, request: &Request) -> bool {
        request.routed.as_ref().is_some_and(|routed| routed.target.is::<Route>())
    }

    fn handle(&self, py: Python<'_>, baton: &Arc<Baton>, request: Request, writer: ResponseWriter) {
        let Some(target) = request.routed.as_ref().map(|routed| routed.target.clone()) else {
            return;
        };
        let target = match target.downcast::<Route>() {
            Ok(route) => return self.0.handle(py, baton, &route, request, writer),
            Err(target) => target,
        };
        match target.downcast_ref::<WsgiMount>().and_then(WsgiMount::handler) {
            Some(handler) => handler.handle(py, baton, request, writer),
            // Dropped, the writer answers 500.
            None => {
                log::error!(target: "gohttp.error", "{}: its application was not there when the server started", app::describe(&request.head));
            }
        }
    }
}
