//! HTTP/1.0 and HTTP/1.1 connections.
//!
//! httparse reads the heads; framing, time-outs and the order of things are here, because the
//! server has to refuse what hyper accepts (both framings at once), to send interim responses,
//! to lose no request at a stop, and later to hand its socket out. `ARCHITECTURE.md` says more.

mod chunked;
mod connection;
mod encode;
mod exchange;
mod parse;
mod receive;
mod repeat;
mod respond;
mod upload;
mod write_buf;

pub(crate) use connection::{Ended, serve};
pub(crate) use parse::is_host;
