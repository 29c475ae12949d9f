//! The engine's settings: immutable, read once.

use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;

/// What is allowed to WebSockets.
#[derive(Debug, Clone)]
pub struct WebSocketConfig {
    /// Bytes of a message, decompressed; more is answered with close code 1009.
    pub max_message_size: usize,
    /// A client that has been silent for so long is asked for a sign of life. `None`: never.
    pub ping_interval: Option<Duration>,
    /// How long it has to give one.
    pub ping_timeout: Duration,
    /// Whether compression may be agreed on (RFC 7692).
    pub compress: bool,
}

impl Default for WebSocketConfig {
    fn default() -> Self {
        Self {
            max_message_size: 16 * 1024 * 1024,
            ping_interval: Some(Duration::from_secs(20)),
            ping_timeout: Duration::from_secs(20),
            compress: true,
        }
    }
}

/// What the engine allows and how long it waits.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// From the first byte of a request (or the accept) to the end of its head.
    pub header_timeout: Duration,
    /// Without a byte of a request's body that is waited for.
    pub body_timeout: Duration,
    /// Between requests of a connection.
    pub idle_timeout: Duration,
    /// Without a client taking a byte of a response that is ready.
    pub write_timeout: Duration,
    /// From a request's dispatch to the end of its response; the client then gets 504, or a cut
    /// stream. `None`: no limit.
    pub request_timeout: Option<Duration>,
    /// A path that the engine itself answers, whatever the application does: 200, or 503 while
    /// the server stops.
    pub health_path: Option<String>,
    /// Whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed.
    pub trusted_proxies: Arc<[IpNet]>,
    /// How long a stop waits for requests in flight.
    pub graceful_timeout: Duration,
    /// Bytes of a request's head; more is answered with 431.
    pub max_head_size: usize,
    /// Fields of a request's head; more is answered with 431.
    pub max_headers: usize,
    /// Bytes of a request's target; more is answered with 414.
    pub max_target_size: usize,
    /// Bytes of a request's body; more is answered with 413. `None`: no limit.
    pub max_body_size: Option<u64>,
    /// Connections open at once; further ones wait in the backlog. `None`: no limit.
    pub max_connections: Option<usize>,
    /// Connections accepted at once. 1 where several processes share the sockets, so that each
    /// gets its part.
    pub accept_burst: usize,
    /// Whether each response is logged.
    pub access_log: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            write_timeout: Duration::from_secs(60),
            request_timeout: None,
            health_path: None,
            trusted_proxies: Arc::default(),
            graceful_timeout: Duration::from_secs(30),
            max_head_size: 64 * 1024,
            max_headers: 100,
            max_target_size: 16 * 1024,
            max_body_size: None,
            max_connections: None,
            accept_burst: 32,
            access_log: false,
        }
    }
}
