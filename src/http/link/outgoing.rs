//! What a connection takes of a response.

use std::time::Instant;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::http::file_part::Part;
use crate::http::response::ResponseHead;

/// By when the response must be complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Due {
    /// As the settings say.
    #[default]
    Settings,
    /// Its handler may take as long as it likes.
    Never,
    /// By then.
    At(Instant),
}

impl Due {
    /// Who has set the limit, for the log.
    pub(crate) fn source(self) -> &'static str {
        match self {
            Self::Settings => "request_timeout",
            Self::Never | Self::At(_) => "set_deadline",
        }
    }
}

/// How far the response is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More may come.
    Open,
    /// All has been given.
    Complete,
    /// It will never be complete: the client must not take it for whole.
    Aborted,
}

/// The parts of a response that a connection takes at once.
#[derive(Debug)]
pub struct Outgoing {
    /// Interim responses (1xx) to be sent before the head.
    pub interim: Vec<ResponseHead>,
    /// The head, the first time only.
    pub head: Option<ResponseHead>,
    /// Pieces of the body in order, none of them empty.
    pub body: SmallVec<[Part; 1]>,
    /// Fields that follow the body (RFC 9110 section 6.5), with the end only.
    pub trailers: Option<Box<ResponseHead>>,
    /// How far the response is after these parts.
    pub progress: Progress,
    /// By when it must be complete.
    pub due: Due,
}

impl Outgoing {
    /// A whole body.
    pub(crate) fn whole(body: Bytes) -> Self {
        Self {
            interim: Vec::new(),
            head: None,
            body: SmallVec::from_buf([Part::Data(body)]),
            trailers: None,
            progress: Progress::Complete,
            due: Due::Settings,
        }
    }
}
