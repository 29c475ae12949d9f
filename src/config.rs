//! The engine's settings: immutable, read once.

use std::time::Duration;

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
