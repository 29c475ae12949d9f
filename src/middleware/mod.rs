//! What stands before handlers of all faces: it looks at requests on their way in, and at responses
//! on their way out. No Python in it.
//!
//! A [`Layer`] sees a request's head before anybody answers it. It may change it, answer in the
//! handler's place, or add a [`Filter`](crate::http::Filter) that changes the response as it
//! leaves. Connections that are taken over (WebSockets, hijacked ones) pass by what is done to
//! responses.

mod basic_auth;
mod body_limit;
mod compress;
mod cors;
mod layered;
mod rate_limit;
mod request_id;

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::http::{Request, RequestHead, ResponseHead, ResponseWriter};

pub use basic_auth::{BasicAuth, Challenge, Credentials};
pub use body_limit::BodyLimit;
pub use compress::{Coding, Compress};
pub use cors::{Cors, CorsRules};
pub use layered::Layered;
pub use rate_limit::RateLimit;
pub use request_id::RequestId;

/// A layer was asked for that cannot be: what is wrong, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse(String);

impl Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Misuse {}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    Pass,
    /// It has been answered.
    Answered,
}

/// One kind of middleware.
pub trait Layer: Debug + Send + Sync {
    /// Looks at a request on its way in.
    ///
    /// Called inside the runtime, so it must not block, unless [`Self::blocks`].
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict;

    /// Whether [`Self::enter`] takes its time: it is called on a thread that runs handlers then.
    fn blocks(&self) -> bool {
        false
    }

    /// Whether the body that follows `head` may be read before [`Self::enter`] is called.
    fn awaits_body(&self, head: &RequestHead) -> bool {
        let _ = head;
        true
    }
}

/// The layers of one table of routes, the outermost first.
pub type Layers = Arc<[Arc<dyn Layer>]>;

/// The layers that a request meets, the outermost first: those of each table on its way.
#[derive(Debug, Clone, Default)]
pub struct Stack(SmallVec<[Layers; 2]>);

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entered {
    /// Through all.
    Through,
    /// It has been answered.
    Answered,
    /// To the layer with this number, which [`blocks`](Layer::blocks).
    Waits(usize),
}

impl Stack {
    /// Puts further layers inside of those that are there.
    pub fn push(&mut self, layers: Layers) {
        self.0.push(layers);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn layers(&self) -> impl Iterator<Item = &dyn Layer> {
        self.0.iter().flat_map(|layers| layers.iter()).map(|layer| &**layer)
    }

    /// Sends a request through the layers, up to the first that blocks.
    pub fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Entered {
        self.run(0..0, request, writer)
    }

    /// The same from the layer with number `at` on, where it may take its time.
    pub fn resume(&self, at: usize, request: &mut Request, writer: &mut ResponseWriter) -> Entered {
        self.run(at..usize::MAX, request, writer)
    }

    /// `may_block`: the numbers of those that may. Those before have been entered already.
    fn run(
        &self,
        may_block: Range<usize>,
        request: &mut Request,
        writer: &mut ResponseWriter,
    ) -> Entered {
        for (at, layer) in self.layers().enumerate().skip(may_block.start) {
            if layer.blocks() && !may_block.contains(&at) {
                return Entered::Waits(at);
            }
            if layer.enter(request, writer) == Verdict::Answered {
                return Entered::Answered;
            }
        }
        Entered::Through
    }

    /// Whether the body that follows `head` may be read before the request enters.
    pub fn awaits_body(&self, head: &RequestHead) -> bool {
        self.layers().all(|layer| layer.awaits_body(head))
    }
}

/// Answers with a status and its name as text.
fn refuse(status: u16, writer: &mut ResponseWriter) -> Verdict {
    let body = format!("{status} {}\n", crate::http::reason_phrase(status));
    refuse_with(ResponseHead::new(status), &body, writer)
}

/// Answers with status and fields of `head`, and a text.
fn refuse_with(mut head: ResponseHead, body: &str, writer: &mut ResponseWriter) -> Verdict {
    head.append(&ResponseHead::text(head.status(), body.len()));
    let body = Bytes::copy_from_slice(body.as_bytes());
    // The only error here is a client gone, whom nothing can be told.
    let _ = writer.respond(head, body);
    Verdict::Answered
}
