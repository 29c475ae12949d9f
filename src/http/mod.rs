//! The one exchange that all faces share, free of Python and of any protocol version.
//!
//! A connection (`server/`) makes a [`Request`] and a [`ResponseWriter`] for each request and
//! gives them to a [`Dispatch`]. These two handles are the only way in and out: native, WSGI and
//! ASGI are adapters on them.

mod body;
mod dispatch;
mod fields;
mod file_part;
mod forwarded;
mod head;
mod link;
mod redirect;
mod request;
mod response;
#[cfg(any(feature = "python", feature = "c"))]
pub(crate) mod sniff;
mod upgrade;
mod writer;

pub use body::{BodyError, BodyEvent, BodySink};
pub(crate) use dispatch::TICK;
pub use dispatch::{ConnInfo, Dispatch, Kept, Peer, Prebuffer, Room};
pub use fields::{FieldError, is_field_value, is_token};
pub(crate) use fields::{list_has, parse_content_length};
pub use file_part::{FilePart, Part};
pub use forwarded::{Forwarded, forwarded};
pub use head::{Field, RequestHead, RequestHeadBuilder, Version};
pub(crate) use link::OwnLink;
pub use link::{Link, LinkWaker, Outgoing, Progress};
pub(crate) use redirect::redirect;
pub(crate) use request::exchange;
pub use request::{Request, Routed};
pub use response::{ResponseHead, bodiless, reason_phrase};
pub use upgrade::{Duplex, Ending, Handover, Stopping, Upgrade};
pub(crate) use upgrade::{READ_ROOM, read_some};
pub use writer::{ResponseWriter, WriteError};
