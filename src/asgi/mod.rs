//! The ASGI face: scope, receive and send on the shared exchange. Lifespan, which happens once a
//! process, is in `python/gohttp/lifespan.py`.

mod app;
mod awaitable;
mod begin;
mod context;
mod deadline;
mod engine;
mod exchange;
mod extension;
mod inbox;
mod loop_epoll;
mod message;
mod scope;
mod task;
mod watch;
mod websocket;

pub(crate) use app::AsgiMount;
pub(crate) use engine::AsgiEngine;
pub(crate) use inbox::InboxDispatch;
