//! A directory mounted in a table.

use crate::files::Files;
use crate::http::{Dispatch, Request, ResponseWriter};

/// Answers with what lies below the prefix: the one value of the route.
pub(super) struct StaticFiles(pub(super) Files);

impl Dispatch for StaticFiles {
    fn dispatch(&self, request: Request, writer: ResponseWriter) {
        let below = request.routed.as_ref().and_then(|routed| routed.values.first());
        self.0.answer(&request.head, below.map_or(b"", |below| below.as_bytes()), writer);
    }
}
