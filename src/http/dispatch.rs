//! The seam between a connection and whatever answers requests.

use std::any::Any;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::IpNet;

use super::{Request, RequestHead, ResponseWriter};
use crate::wake::lock;

/// One end of a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// Address and port.
    Tcp(SocketAddr),
    /// A Unix socket; clients have no path.
    Unix(Option<PathBuf>),
}

/// What is known of a connection for as long as it lives.
#[derive(Debug)]
pub struct ConnInfo {
    /// The client's end.
    pub peer: Peer,
    /// Our end.
    pub local: Peer,
    /// `http` or `https`.
    pub scheme: &'static str,
    /// The client's address as text, empty on a Unix socket.
    pub peer_host: String,
    /// The client's port, 0 on a Unix socket.
    pub peer_port: u16,
    /// The proxies that are believed what they say of their clients, if this client is one.
    pub proxies: Option<Arc<[IpNet]>>,
    /// Whatever a face wants to keep for the connection's further requests.
    pub kept: Kept,
}

/// A place for one thing of any kind.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Option<Box<dyn Any + Send>>>);

impl Kept {
    /// Takes out what is kept.
    pub fn take(&self) -> Option<Box<dyn Any + Send>> {
        lock(&self.0).take()
    }

    /// Keeps `thing`, in place of what was kept before.
    pub fn put(&self, thing: Box<dyn Any + Send>) {
        // What it replaces is dropped after the lock: dropping may call Python.
        let _before = lock(&self.0).replace(thing);
    }
}

impl ConnInfo {
    /// Describes a connection between `peer` and `local`.
    pub fn new(peer: Peer, local: Peer, scheme: &'static str) -> Self {
        let (peer_host, peer_port) = match &peer {
            // An IPv4 client of a dual-stack socket is shown as what it is.
            Peer::Tcp(address) => (address.ip().to_canonical().to_string(), address.port()),
            Peer::Unix(_) => (String::new(), 0),
        };
        Self { peer, local, scheme, peer_host, peer_port, proxies: None, kept: Kept::default() }
    }
}

/// How often [`Dispatch::tick`] is called, and time-outs are looked at.
pub(crate) const TICK: Duration = Duration::from_millis(250);

/// What a request would find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Somebody to run it at once.
    Free,
    /// Others that are about to run.
    Soon,
    /// Everybody busy.
    None,
}

/// Answers requests: a face, or a Rust handler.
///
/// `dispatch` is called inside the runtime, on the thread that read the request. It must not
/// block and must not run application code: it queues, and whoever drives the runtime runs.
pub trait Dispatch: Send + Sync + 'static {
    /// Takes a request. Dropping the writer unanswered sends a 500.
    fn dispatch(&self, request: Request, writer: ResponseWriter);

    /// Called about every 250 ms from inside the runtime, for what has a time limit. Must not block.
    fn tick(&self) {}

    /// Whether another request would be run at once. If not, a process that shares the sockets
    /// may have a thread free.
    fn room(&self) -> Room {
        Room::Free
    }

    /// Whether a client may have its stream speak `protocol` instead (extended CONNECT, RFC 8441).
    /// A request for any other never comes to [`Self::dispatch`].
    fn speaks(&self, protocol: &[u8]) -> bool {
        let _ = protocol;
        false
    }

    /// How much of the body that follows `head` is read before `dispatch` is called.
    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        let _ = head;
        Prebuffer::default()
    }
}

/// Up to how many bytes of a body of known length are read before the handler is called, so that
/// one that blocks does not have to wait for the client. 0: none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Prebuffer {
    /// If the client keeps up with us: what is read before has to be copied to the handler.
    pub quick: usize,
    /// If we have to wait for the client.
    pub slow: usize,
}
