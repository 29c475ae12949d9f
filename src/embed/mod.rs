//! Python in a program of Rust's: the program hosts the interpreter, and its WSGI and ASGI
//! applications answer requests that come from the program.
//!
//! Each application is served by a server of its own that has no sockets: the baton or the event
//! loop run as ever, and requests come in by its [`crate::server::Intake`].

mod app;
mod error;
mod interpreter;
mod package;

pub use app::{PythonApp, RunningApp, Setting};
pub use error::PythonError;
pub use interpreter::Interpreter;
