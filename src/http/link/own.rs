//! A link that serves one request after another of its connection.

use std::ops::Deref;
use std::sync::{Arc, PoisonError};

use super::{Link, LinkWaker, State};
use crate::http::dispatch::ConnInfo;

/// A connection's hold on the link of its request in hand. The link serves for the next request
/// too, if the handler has let go of it by then; dropped, it is closed.
#[derive(Debug)]
pub(crate) struct OwnLink(Arc<Link>);

impl OwnLink {
    /// The link of a connection without a request.
    pub(crate) fn new(conn: Arc<ConnInfo>, connection: LinkWaker) -> Self {
        Self(Link::new(conn, connection, false))
    }

    /// Begins a request. `has_body`: whether request bytes may follow.
    pub(crate) fn renew(&mut self, has_body: bool) {
        match Arc::get_mut(&mut self.0) {
            Some(link) => {
                *link.state.get_mut().unwrap_or_else(PoisonError::into_inner) =
                    State::new(has_body);
                *link.gone.get_mut() = false;
                *link.news.get_mut() = false;
                *link.expired.get_mut() = false;
            }
            None => {
                self.0.close();
                self.0 = Link::new(self.0.conn.clone(), self.0.connection.clone(), has_body);
            }
        }
    }

    /// The exchange is over: whoever still waits on it is told.
    pub(crate) fn finish(&self) {
        if Arc::strong_count(&self.0) > 1 {
            self.0.close();
        }
    }

    /// A hold for the handler's side.
    pub(crate) fn share(&self) -> Arc<Link> {
        self.0.clone()
    }
}

impl Deref for OwnLink {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.0
    }
}

impl Drop for OwnLink {
    fn drop(&mut self) {
        self.finish();
    }
}
