//! WebSockets (RFC 6455), their compression (RFC 7692), over HTTP/1.1 and HTTP/2 (RFC 8441).
//!
//! [`Handshake`] reads what a request asks for and makes the answer. [`WebSocket`] is what a
//! handler holds; its other end is the [`Session`] that the connection runs once the answer is
//! out.

mod decoder;
mod deflate;
mod frame;
mod handshake;
mod session;
mod socket;

pub use handshake::{AcceptError, Handshake, Refusal};
pub use session::Session;
pub use socket::{Closed, Event, Message, WebSocket};

/// Whether an endpoint may close with this code (RFC 6455 section 7.4); 1005 is none at all.
#[cfg(feature = "python")]
pub(crate) fn may_close_with(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1005 | 1007..=1014 | 3000..=4999)
}
