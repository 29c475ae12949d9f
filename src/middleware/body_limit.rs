//! How long a request's body may be.

use super::{Layer, Verdict, refuse};
use crate::http::{Request, RequestHead, ResponseWriter};

/// Answers 413 to requests whose body is longer than this many bytes (RFC 9110 section 15.5.14): at
/// once if they say so, else as soon as so much has come and nothing has been answered.
#[derive(Debug, Clone, Copy)]
pub struct BodyLimit(pub u64);

impl Layer for BodyLimit {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        if request.limit_body(self.0) { refuse(413, writer) } else { Verdict::Pass }
    }

    fn awaits_body(&self, head: &RequestHead) -> bool {
        head.content_length().is_none_or(|length| length <= self.0)
    }
}
