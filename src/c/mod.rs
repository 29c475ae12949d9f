//! Handlers in C: the library for C, `libgohttp.so`, `libgohttp.a` and `include/gohttp.h`, which
//! cbindgen writes from here, and what functions of C in a Python server call. `docs/c.md` and
//! `docs/c-handlers.md` are the guides for their users.
//!
//! Handlers run on a [`crate::crew::Crew`]. What C holds are numbers: `handles` knows whether
//! they still stand for something. The functions of C are in [`server`], [`request`], [`response`],
//! [`compat`], [`article`], [`error`] and [`log`]; they check what they are given and leave the work
//! to the rest, which is safe Rust. Unsafe are also `memory`, which reads and writes the caller's
//! memory, and `call` and `target`, for the caller's functions.
//!
//! With the feature `c` the functions are symbols, and there are those of a whole server. Without
//! it, in the Python module, there are only those for handlers, and no symbols: a `table` of
//! addresses is handed over. The symbols of a Python module are not seen by other modules anyway,
//! and where a program has both they would be mistaken for the library's.

pub mod article;
#[cfg(feature = "c")]
pub mod compat;
pub mod error;
#[cfg(feature = "c")]
pub mod log;
pub mod request;
pub mod response;
#[cfg(feature = "c")]
pub mod server;
pub mod table;

mod call;
mod exchange;
mod handles;
mod memory;
#[cfg(feature = "c")]
mod process;
mod reply;
#[cfg(feature = "c")]
mod routes;
#[cfg(feature = "c")]
mod service;
mod target;
mod texts;

#[cfg(feature = "python")]
pub(crate) use self::{call::answer, target::Target};
