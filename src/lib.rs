//! One HTTP engine, and three faces on it for Python: native `w, req` handlers, WSGI and ASGI.
//!
//! `http` holds the exchange that all share, `server` the connections; both know no Python. With
//! the feature `python`, `bridge` leads to CPython and `wsgi`, `asgi` and `native` are thin
//! adapters. `ARCHITECTURE.md` tells why things are where they are.

pub mod config;
pub mod http;
pub mod mux;
pub mod server;
mod wake;
pub mod websocket;

#[cfg(feature = "python")]
mod asgi;
#[cfg(feature = "python")]
mod bridge;
#[cfg(feature = "python")]
mod module;
#[cfg(feature = "python")]
mod native;
#[cfg(feature = "python")]
mod site;
#[cfg(feature = "python")]
mod wsgi;

pub use wake::WakeQueue;
