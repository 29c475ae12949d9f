//! The only door to CPython: threads that run sync handlers, the asyncio loop on the engine,
//! conversions, logging. The faces stand on this.

pub(crate) mod app;
pub(crate) mod baton;
pub(crate) mod convert;
pub(crate) mod descriptors;
pub(crate) mod fresh_bytes;
pub(crate) mod futures;
pub(crate) mod heap;
pub(crate) mod interrupt;
pub(crate) mod last_request;
pub(crate) mod log_sink;
pub(crate) mod mount;
pub(crate) mod places;
pub(crate) mod py_thread;
pub(crate) mod refcount;
pub(crate) mod serve;
pub(crate) mod settings;
mod signals;
