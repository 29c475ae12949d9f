//! The way of a response's parts to the connection: as they are, or through filters.

use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::file_part::Part;
use super::filter::{Filter, Leaving, Recoder};
use super::link::{Link, Progress};
use super::recode;
use super::response::ResponseHead;

/// How a response is changed.
#[derive(Debug)]
enum Filtered {
    Not,
    /// By what the filters say when the head leaves.
    Waiting,
    /// Its body is coded.
    Coding(Box<dyn Recoder>),
}

/// See the module's text.
#[derive(Debug)]
pub(super) struct Outlet {
    link: Arc<Link>,
    head_request: bool,
    filtered: Filtered,
}

impl Outlet {
    pub(super) fn new(link: Arc<Link>, head_request: bool) -> Self {
        Self { link, head_request, filtered: Filtered::Not }
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    /// Has `filter` change the response. To be called before its head leaves.
    pub(super) fn add_filter(&mut self, filter: Arc<dyn Filter>) {
        self.filtered = Filtered::Waiting;
        self.link.push_filter(filter);
    }

    /// Whether the parts are changed on their way, or may be.
    pub(super) fn is_filtered(&self) -> bool {
        !matches!(self.filtered, Filtered::Not)
    }

    /// Gives a part, behind `head` if that has not left. Returns whether the client is still there.
    pub(super) fn give(
        &mut self,
        head: Option<ResponseHead>,
        part: Option<Part>,
        progress: Progress,
    ) -> bool {
        if self.is_filtered() {
            self.give_filtered(head, part, progress)
        } else {
            self.link.give(head, part, progress)
        }
    }

    fn give_filtered(
        &mut self,
        mut head: Option<ResponseHead>,
        part: Option<Part>,
        progress: Progress,
    ) -> bool {
        let mut coder = match std::mem::replace(&mut self.filtered, Filtered::Not) {
            Filtered::Coding(coder) => Some(coder),
            _ => None,
        };
        if let Some(head) = &mut head {
            let leaving =
                Leaving { first: part.as_ref(), progress, head_request: self.head_request };
            coder = recode::leave(&self.link, head, &leaving);
        }
        if coder.is_none() {
            return self.link.give(head, part, progress);
        }
        let there = recode::give(&self.link, &mut coder, head, part, progress);
        self.filtered = coder.map_or(Filtered::Not, Filtered::Coding);
        there
    }

    /// Ends a body that is coded: what comes last of it; `None` if it is not.
    ///
    /// # Errors
    /// What the coding's library says.
    pub(super) fn end_coding(&mut self) -> io::Result<Option<Bytes>> {
        match std::mem::replace(&mut self.filtered, Filtered::Not) {
            Filtered::Coding(mut coder) => coder.recode(Bytes::new(), true).map(Some),
            _ => Ok(None),
        }
    }
}
