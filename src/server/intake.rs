//! The way in for requests that others than this server have read: another server of this program,
//! or a host such as hyper.

use std::sync::Arc;

use super::context::Context;
#[cfg(feature = "tower")]
use super::timeouts::Registered;
#[cfg(feature = "tower")]
use crate::config::EngineConfig;
#[cfg(feature = "tower")]
use crate::http::{ConnInfo, Peer, Stopping};
use crate::http::{Prebuffer, Request, RequestHead, ResponseWriter};

/// See the module's text.
#[derive(Clone)]
pub(crate) struct Intake(pub(super) Arc<Context>);

/// A request in flight: a stop waits for it.
#[cfg(feature = "tower")]
pub(crate) struct Admitted {
    _place: Registered,
}

impl Intake {
    /// How much of the body that follows `head` is to be read before [`Self::dispatch`].
    pub(crate) fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        self.0.dispatch.prebuffer(head)
    }

    /// Whether a client may have its stream speak `protocol`.
    pub(crate) fn speaks(&self, protocol: &[u8]) -> bool {
        self.0.dispatch.speaks(protocol)
    }

    /// Has a request answered. From any thread.
    pub(crate) fn dispatch(&self, request: Request, writer: ResponseWriter) {
        self.0.dispatch(request, writer);
        // The face has told a driver that reads requests itself; this one may be asleep.
        self.0.wake.nudge();
    }
}

/// What a host needs that is no server of ours.
#[cfg(feature = "tower")]
impl Intake {
    /// The server's settings.
    pub(crate) fn config(&self) -> &EngineConfig {
        &self.0.config
    }

    /// Describes a connection, as the server's settings have it.
    pub(crate) fn connection(&self, peer: Peer, local: Peer, scheme: &'static str) -> ConnInfo {
        let mut info = ConnInfo::new(peer, local, scheme);
        info.proxies = self.0.proxies_of(&info.peer);
        info
    }

    /// Counts a request in, unless the server stops.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        let place = self.0.registry.register();
        // In this order: a stop that begins now waits for it.
        (!self.0.registry.draining()).then_some(Admitted { _place: place })
    }

    /// Ready when the server begins to stop.
    pub(crate) fn stopping(&self) -> Stopping {
        Box::pin(self.0.registry.clone().stopping())
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("registry", &self.0.registry).finish_non_exhaustive()
    }
}
