//! The library for C: `libgohttp.so`, `libgohttp.a` and `include/gohttp.h`, which cbindgen writes
//! from here. `docs/c.md` is the guide for its users.
//!
//! Handlers run on a [`crate::crew::Crew`]. What C holds are numbers: `handles` knows whether
//! they still stand for something. The functions of C are in [`server`], [`request`], [`response`],
//! [`compat`], [`error`] and [`log`]; they check what they are given and leave the work to the rest,
//! which is safe Rust. Two more files are unsafe: `memory` reads and writes the caller's memory,
//! `call` calls its functions.

pub mod compat;
pub mod error;
pub mod log;
pub mod request;
pub mod response;
pub mod server;

mod call;
mod exchange;
mod handles;
mod memory;
mod process;
mod reply;
mod routes;
mod service;
mod texts;
