//! One HTTP engine, and three faces on it for Python: native `w, req` handlers, WSGI and ASGI.
//!
//! `http` holds the exchange that all share, `server` the connections, `mux` the patterns, `files`
//! answers with files, `crew` is threads that run handlers in Rust or C; they know no Python. With
//! the feature `python`, `bridge` leads to CPython, `wsgi`, `asgi` and `native` are thin adapters,
//! and `site` puts them under one roof, with handlers in C by `c`, which with the feature `c` is a
//! library for C.
//! `ARCHITECTURE.md` tells why things are where they are.

pub mod config;
mod costs;
pub mod crew;
#[cfg(any(feature = "embed", test))]
mod ending;
pub mod files;
pub mod http;
pub mod middleware;
pub mod mux;
#[cfg(any(feature = "python", test))]
mod pace;
mod rust;
pub mod server;
mod team;
mod wake;
pub mod websocket;
mod words;

#[cfg(feature = "python")]
mod asgi;
#[cfg(feature = "python")]
mod bridge;
#[cfg(any(feature = "c", feature = "python"))]
pub mod c;
#[cfg(feature = "embed")]
mod embed;
#[cfg(feature = "python")]
mod module;
#[cfg(feature = "python")]
mod native;
#[cfg(feature = "tower")]
mod service;
#[cfg(feature = "python")]
mod site;
#[cfg(feature = "python")]
mod wsgi;

#[cfg(feature = "embed")]
pub use embed::{Interpreter, PythonApp, PythonError, RunningApp, Setting};
pub use rust::*;
#[cfg(feature = "tower")]
pub use service::{ResponseFuture, Service, ServiceBody};
pub use wake::WakeQueue;

// A program of Rust's chooses its own.
#[cfg(all(feature = "allocator", not(feature = "embed")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
