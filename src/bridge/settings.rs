//! The process's configuration, read once from the Python object that holds it.

use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use super::baton::Limits;
use super::signals;
use crate::config::{EngineConfig, WebSocketConfig};
use crate::server::{Driver, Signals};

/// The attributes of `gohttp._faces.Settings` that Rust needs. Seconds and bytes.
#[derive(FromPyObject)]
pub(crate) struct Settings {
    pub(crate) threads: usize,
    pub(crate) root_path: String,
    header_timeout: f64,
    body_timeout: f64,
    idle_timeout: f64,
    write_timeout: f64,
    graceful_timeout: f64,
    max_head_size: usize,
    max_headers: usize,
    max_target_size: usize,
    max_body_size: u64,
    max_connections: usize,
    access_log: bool,
    workers: usize,
    supervised: bool,
    queue: usize,
    queue_timeout: f64,
    request_timeout: f64,
    stack_signal: i32,
    health_path: Option<String>,
    trusted_networks: Vec<String>,
    ws_max_size: usize,
    ws_ping_interval: f64,
    ws_ping_timeout: f64,
    ws_per_message_deflate: bool,
    limit_concurrency: usize,
    handle_signals: bool,
    slow_callback: f64,
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 4)
}

/// 0 is no limit.
fn limit(limit: f64) -> Option<Duration> {
    (limit > 0.0).then(|| seconds(limit))
}

impl Settings {
    /// Whether other processes serve the same app.
    pub(crate) fn multiprocess(&self) -> bool {
        self.workers > 1
    }

    /// Takes over SIGTERM and SIGINT, if they are the server's. Of a supervised process a second
    /// signal is no more than the first.
    ///
    /// # Errors
    /// If the system refuses.
    pub(crate) fn signals(&self, driver: &Driver) -> std::io::Result<Option<Signals>> {
        if !self.handle_signals {
            return Ok(None);
        }
        let installed = Signals::install(driver, !self.supervised)?;
        signals::put_back(&[libc::SIGTERM, libc::SIGINT])?;
        Ok(Some(installed))
    }

    /// The baton's part.
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            websocket: self.websocket(),
            threads: self.threads,
            queue: self.queue,
            queue_timeout: limit(self.queue_timeout),
            request_timeout: limit(self.request_timeout),
            owns_process: self.handle_signals,
            supervised: self.supervised,
            stack_signal: (self.stack_signal > 0).then_some(self.stack_signal),
        }
    }

    /// How long a request of an event loop may take.
    pub(crate) fn asgi_timeout(&self) -> Option<Duration> {
        limit(self.request_timeout)
    }

    /// Requests that an event loop may run at once.
    pub(crate) fn max_tasks(&self) -> Option<usize> {
        (self.limit_concurrency > 0).then_some(self.limit_concurrency)
    }

    /// After how long a callback that keeps the event loop is told to the log.
    pub(crate) fn slow_callback(&self) -> Option<Duration> {
        limit(self.slow_callback)
    }

    /// The WebSockets' part.
    pub(crate) fn websocket(&self) -> WebSocketConfig {
        WebSocketConfig {
            max_message_size: self.ws_max_size,
            ping_interval: limit(self.ws_ping_interval),
            ping_timeout: seconds(self.ws_ping_timeout),
            compress: self.ws_per_message_deflate,
        }
    }

    /// The engine's part.
    ///
    /// # Errors
    /// `ValueError` for a network that is none.
    pub(crate) fn engine(&self) -> PyResult<EngineConfig> {
        let network = |text: &String| {
            text.parse().map_err(|_| {
                PyValueError::new_err(format!(
                    "trusted_proxies: {text:?} is no network; write one like 10.0.0.0/8"
                ))
            })
        };
        Ok(EngineConfig {
            header_timeout: seconds(self.header_timeout),
            body_timeout: seconds(self.body_timeout),
            idle_timeout: seconds(self.idle_timeout),
            write_timeout: seconds(self.write_timeout),
            request_timeout: limit(self.request_timeout),
            health_path: self.health_path.clone(),
            trusted_proxies: self.trusted_networks.iter().map(network).collect::<PyResult<_>>()?,
            graceful_timeout: seconds(self.graceful_timeout),
            max_head_size: self.max_head_size,
            max_headers: self.max_headers,
            max_target_size: self.max_target_size,
            max_body_size: (self.max_body_size > 0).then_some(self.max_body_size),
            max_connections: (self.max_connections > 0).then_some(self.max_connections),
            accept_burst: if self.multiprocess() { 1 } else { 32 },
            access_log: self.access_log,
        })
    }
}
