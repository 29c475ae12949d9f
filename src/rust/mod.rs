//! The face for Rust: servers whose handlers are Rust functions, beside files and, with the feature
//! `embed`, Python applications. What is public of it stands at the crate's root.

mod body;
mod dispatch;
mod handler;
mod mux;
mod request;
mod response;
mod server;

pub use body::{Body, Sender};
pub use mux::{Mount, Mux};
pub use request::Request;
pub use response::{IntoResponse, Response};
pub use server::{Builder, Server, StartError, Stopper};
