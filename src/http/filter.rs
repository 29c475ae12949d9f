//! What stands between a handler's response and the connection: fields that are added to its head,
//! and a coding of its body.

use std::fmt;
use std::io;

use bytes::Bytes;

use super::file_part::Part;
use super::link::Progress;
use super::response::ResponseHead;

/// Changes a response as it leaves. Made for one request by what looked at it on its way in.
pub trait Filter: fmt::Debug + Send + Sync {
    /// Sets fields of the head. Called also for answers that the server itself gives in the
    /// handler's place, such as 413 and 504.
    fn fields(&self, head: &mut ResponseHead);

    /// Says what codes the body, if anything does. It is called after [`Self::fields`], and has to
    /// say in the head what will be done; the length is the writer's to set. For an answer to HEAD
    /// it says so too, and what is returned is not used.
    fn recoder(&self, head: &mut ResponseHead, leaving: &Leaving<'_>) -> Option<Box<dyn Recoder>> {
        let _ = (head, leaving);
        None
    }
}

/// What is known of a body as its head leaves.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// What is given with the head.
    pub first: Option<&'a Part>,
    /// How far the response is with that.
    pub progress: Progress,
    /// It answers HEAD: there is no body whatever the head says.
    pub head_request: bool,
}

impl Leaving<'_> {
    /// The length of the body, if it is known: declared in `head`, or all there.
    pub fn length(&self, head: &ResponseHead) -> Option<u64> {
        head.content_length().or_else(|| match (self.progress, self.first) {
            (Progress::Complete, _) if self.head_request => None,
            (Progress::Complete, None) => Some(0),
            (Progress::Complete, Some(part)) => Some(part.len()),
            _ => None,
        })
    }
}

/// Codes a body.
pub trait Recoder: fmt::Debug + Send + Sync {
    /// Takes the next bytes, perhaps none. What it returns ends in such a way that a client can
    /// read all that was taken so far; if `last`, it ends the coding.
    ///
    /// # Errors
    /// What the coding's library says.
    fn recode(&mut self, data: Bytes, last: bool) -> io::Result<Bytes>;

    /// Where the coding of files may be done, if it is known.
    fn runtime(&self) -> Option<tokio::runtime::Handle> {
        None
    }
}
