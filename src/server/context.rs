//! What all connections of one server share.

use std::sync::Arc;

use bytes::Bytes;
use ipnet::IpNet;

use super::access_log::AccessLog;
use super::timeouts::Registry;
use crate::config::EngineConfig;
use crate::http::{Dispatch, Peer, Request, ResponseHead, ResponseWriter};
use crate::wake::WakeQueue;

/// Settings, face, wake-ups and registry of a server.
pub(crate) struct Context {
    pub(crate) config: EngineConfig,
    pub(crate) dispatch: Arc<dyn Dispatch>,
    pub(crate) wake: Arc<WakeQueue>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) access_log: Option<AccessLog>,
}

impl Context {
    /// Whom a client is believed what it says of its own clients, if it is.
    pub(crate) fn proxies_of(&self, peer: &Peer) -> Option<Arc<[IpNet]>> {
        let proxies = &self.config.trusted_proxies;
        let trusted = match peer {
            Peer::Tcp(address) => {
                let ip = address.ip().to_canonical();
                proxies.iter().any(|net| net.contains(&ip))
            }
            // Who may connect to a Unix socket is a question of its permissions.
            Peer::Unix(_) => !proxies.is_empty(),
        };
        trusted.then(|| proxies.clone())
    }

    /// Has a request answered: by the face, or here if it asks for the server's health or for a
    /// protocol that is not spoken.
    pub(crate) fn dispatch(&self, request: Request, mut writer: ResponseWriter) {
        if let Some(protocol) = request.head.protocol()
            && !self.dispatch.speaks(protocol)
        {
            // 200 would tell the client that it is (RFC 8441 section 5).
            return writer.fail(501);
        }
        let health = self.config.health_path.as_deref();
        if health.is_none_or(|path| request.head.path() != path.as_bytes()) {
            return self.dispatch.dispatch(request, writer);
        }
        let (status, body) =
            if self.registry.draining() { (503, "stopping\n") } else { (200, "ok\n") };
        let mut head = ResponseHead::text(status, body.len());
        head.push_raw(b"cache-control", b"no-store");
        // The only error here is a client gone, whom nothing can be told.
        let _ = writer.respond(head, Bytes::from_static(body.as_bytes()));
    }
}
