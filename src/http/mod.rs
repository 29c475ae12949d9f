//! The one exchange that all faces share, free of Python and of any protocol version.
//!
//! A connection (`server/`) makes a [`Request`] and a [`ResponseWriter`] for each request and
//! gives them to a [`Dispatch`]. These two handles are the only way in and out: native, WSGI and
//! ASGI are adapters on them.

mod accept;
mod body;
mod dispatch;
mod fields;
mod file_part;
mod filter;
mod forwarded;
mod head;
mod link;
mod outlet;
mod read_room;
mod recode;
mod redirect;
mod request;
mod response;
#[cfg(any(feature = "python", feature = "c"))]
pub(crate) mod sniff;
mod upgrade;
mod write_error;
mod writer;

pub(crate) use accept::coding_weights;
pub use body::{BodyError, BodyEvent, BodySink, ClientFault};
pub(crate) use dispatch::TICK;
pub use dispatch::{ConnInfo, Dispatch, Kept, Peer, Prebuffer, Room};
pub use fields::{FieldError, check_field, check_trailer, is_field_value, is_token};
pub(crate) use fields::{list_has, parse_content_length};
pub use file_part::{FilePart, Part};
pub use filter::{Filter, Leaving, Recoder};
pub use forwarded::{Forwarded, client_of, forwarded};
pub(crate) use head::FieldBlock;
pub use head::{Field, RequestHead, RequestHeadBuilder, Version};
pub(crate) use link::OwnLink;
pub use link::{Due, Link, LinkWaker, Outgoing, Progress};
pub(crate) use read_room::{READ_ROOM, read_some};
pub(crate) use redirect::redirect;
pub(crate) use request::exchange;
pub use request::{Request, Routed};
pub use response::{RESET_CONTENT, ResponseHead, bodiless, reason_phrase};
pub use upgrade::{Duplex, Ending, Handover, Stopping, Upgrade};
pub use write_error::WriteError;
pub use writer::ResponseWriter;
