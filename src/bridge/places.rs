//! How many requests an event loop runs at once, tasks of ASGI apps and `async def` handlers
//! together (`limit_concurrency`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::http::{ResponseHead, ResponseWriter};

/// See the module's text.
#[derive(Debug, Default)]
pub(crate) struct Places {
    /// 0: no limit, and nothing is counted.
    limit: AtomicUsize,
    taken: AtomicUsize,
    /// The log has been told of refusals since the last tick.
    refusing: AtomicBool,
}

impl Places {
    /// So many at once; `None`: without a limit. To be said before the first request.
    pub(crate) fn allow(&self, limit: Option<usize>) {
        self.limit.store(limit.unwrap_or(0), Relaxed);
    }

    /// A place for a request, until it is dropped; `None` if all are taken.
    pub(crate) fn take(self: &Arc<Self>) -> Option<Place> {
        let limit = self.limit.load(Relaxed);
        if limit == 0 {
            return Some(Place(None));
        }
        let more = |taken| (taken < limit).then_some(taken + 1);
        self.taken.fetch_update(Relaxed, Relaxed, more).ok()?;
        Some(Place(Some(self.clone())))
    }

    /// Answers with 503.
    pub(crate) fn refuse(&self, writer: &mut ResponseWriter) {
        if !self.refusing.swap(true, Relaxed) {
            log::warn!(
                target: "gohttp.server",
                "requests are refused with 503: limit_concurrency ({}) are running already",
                self.limit.load(Relaxed)
            );
        }
        let body: &[u8] = b"503 Service Unavailable\n";
        let mut head = ResponseHead::text(503, body.len());
        head.push_raw(b"retry-after", b"1");
        // The only error here is a client gone, whom nothing can be told.
        let _ = writer.respond(head, Bytes::from_static(body));
    }

    /// Every 250 ms: further refusals are news again.
    pub(crate) fn tick(&self) {
        self.refusing.store(false, Relaxed);
    }
}

/// A place that is taken.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Places>>);

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(places) = &self.0 {
            places.taken.fetch_sub(1, Relaxed);
        }
    }
}
