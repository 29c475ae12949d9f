//! A request as handlers in Rust see it.

use std::borrow::Cow;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::str;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};

use super::handler::Route;
use crate::crew;
use crate::http::{self, BodyError, BodyEvent, Field, Peer, RequestHead, Version};

/// A request. Its head is there at once, its body comes as it is read: by [`Self::body`] or
/// [`Self::chunk`] in async handlers, by [`io::Read`] in blocking ones.
pub struct Request {
    inner: http::Request,
    route: Arc<Route>,
    /// What the pattern's wildcards took, in its order.
    values: Vec<String>,
    /// Of the piece in hand, what [`io::Read`] has not given yet.
    rest: Bytes,
}

impl Request {
    pub(super) fn new(inner: http::Request, route: Arc<Route>, values: Vec<String>) -> Self {
        Self { inner, route, values, rest: Bytes::new() }
    }

    /// The method, such as `GET`.
    pub fn method(&self) -> &str {
        // A token (RFC 9110 section 9.1), so ASCII.
        str::from_utf8(self.head().method()).unwrap_or_default()
    }

    /// The path as the client sent it, percent-encoded; bytes that are not UTF-8 are replaced.
    pub fn path(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.head().path())
    }

    /// What stood behind the `?`, percent-encoded; empty if nothing did.
    pub fn query(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.head().query())
    }

    /// What the pattern's wildcard of this name took of the path, decoded: for
    /// `"GET /items/{id}"`, `value("id")`. It may hold slashes and `..` that were encoded.
    pub fn value(&self, name: &str) -> Option<&str> {
        let at = self.route.names.iter().position(|known| known == name)?;
        self.values.get(at).map(String::as_str)
    }

    /// The pattern that led here, as it was registered.
    pub fn pattern(&self) -> &str {
        &self.route.pattern
    }

    /// The first header of this name, in whatever case, if it is there and is UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let same = |field: &Field<'_>| field.name.eq_ignore_ascii_case(name.as_bytes());
        self.head().fields().find(same).and_then(|field| str::from_utf8(field.value).ok())
    }

    /// All headers in the order received: names in lower case, values as bytes.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = (&str, &[u8])> {
        // Names are tokens, so ASCII.
        self.head().fields().map(|f| (str::from_utf8(f.name).unwrap_or_default(), f.value))
    }

    /// The version that the client spoke.
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// The client's address; `None` on a Unix socket. Of a proxy it is the proxy's.
    pub fn remote_addr(&self) -> Option<SocketAddr> {
        match self.inner.conn().peer {
            Peer::Tcp(address) => Some(address),
            Peer::Unix(_) => None,
        }
    }

    /// The whole body, if it has at most `limit` bytes.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] if it has more, else why it did not come.
    pub async fn body(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        if self.head().content_length().is_some_and(|length| length > limit as u64) {
            return Err(BodyError::TooLarge);
        }
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let mut more = self.chunk().await?;
        if more.is_none() && first.len() <= limit {
            return Ok(first);
        }
        let mut whole = BytesMut::from(first);
        while let Some(chunk) = more {
            whole.extend_from_slice(&chunk);
            if whole.len() > limit {
                return Err(BodyError::TooLarge);
            }
            more = self.chunk().await?;
        }
        if whole.len() > limit { Err(BodyError::TooLarge) } else { Ok(whole.freeze()) }
    }

    /// The next piece of the body, never an empty one; `None` at its end.
    ///
    /// # Errors
    /// Why there will be no more of it.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        if !self.rest.is_empty() {
            return Ok(Some(std::mem::take(&mut self.rest)));
        }
        piece(poll_fn(|cx| self.inner.poll_body(cx)).await)
    }

    /// Whether the client has gone: nobody will read the answer.
    pub fn is_gone(&self) -> bool {
        self.inner.is_gone()
    }

    /// The engine's view of the head: everything as bytes.
    pub fn head(&self) -> &RequestHead {
        &self.inner.head
    }
}

fn piece(event: BodyEvent) -> Result<Option<Bytes>, BodyError> {
    match event {
        BodyEvent::Data(data) => Ok(Some(data)),
        BodyEvent::End => Ok(None),
        BodyEvent::Failed(error) => Err(error),
    }
}

/// Reads the body. Blocks while it waits for the client: for blocking handlers, whose server is
/// served by other threads meanwhile.
impl io::Read for Request {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.rest.is_empty() && !buf.is_empty() {
            let received = piece(crew::next_piece(&self.inner));
            self.rest = received.map_err(io::Error::other)?.unwrap_or_default();
        }
        let n = self.rest.len().min(buf.len());
        self.rest.copy_to_slice(&mut buf[..n]);
        Ok(n)
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method())
            .field("path", &self.path())
            .field("pattern", &self.pattern())
            .finish_non_exhaustive()
    }
}
