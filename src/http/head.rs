//! A request's head as every face reads it: one flat buffer and spans into it.
//!
//! Names of fields are lower case already. Nothing here is decoded: paths keep their percent
//! signs, values their bytes.

use smallvec::SmallVec;

/// The protocol version that the client spoke.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    Http11,
    /// HTTP/2
    Http2,
}

impl Version {
    /// As `SERVER_PROTOCOL` has it: `HTTP/1.1`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
        }
    }

    /// As ASGI's `http_version` has it: `1.1`.
    pub const fn number(self) -> &'static str {
        match self {
            Self::Http10 => "1.0",
            Self::Http11 => "1.1",
            Self::Http2 => "2",
        }
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Span {
    start: u32,
    len: u32,
}

impl Span {
    fn of(self, buf: &[u8]) -> &[u8] {
        &buf[self.start as usize..(self.start + self.len) as usize]
    }
}

/// Where one field's name and value lie.
#[derive(Debug, Clone, Copy)]
struct FieldSpan {
    name: Span,
    value: Span,
}

/// One header field: the name in lower case, the value without surrounding space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// Lower-case name.
    pub name: &'a [u8],
    /// Value as received.
    pub value: &'a [u8],
}

/// Method, target, version and fields of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    buf: Vec<u8>,
    method: Span,
    path: Span,
    query: Span,
    host: Option<Span>,
    protocol: Option<Span>,
    version: Version,
    content_length: Option<u64>,
    chunked: bool,
    fields: SmallVec<[FieldSpan; 12]>,
    id: Option<Span>,
}

impl RequestHead {
    /// The method, a token (`GET`).
    pub fn method(&self) -> &[u8] {
        self.method.of(&self.buf)
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// The path as received, percent signs kept; begins with `/`, or is `*`.
    pub fn path(&self) -> &[u8] {
        self.path.of(&self.buf)
    }

    /// What stood behind the `?`, without it; empty if there was none.
    pub fn query(&self) -> &[u8] {
        self.query.of(&self.buf)
    }

    /// Host and port that the client asked for: `Host`, `:authority` or the absolute target.
    pub fn host(&self) -> Option<&[u8]> {
        self.host.map(|span| span.of(&self.buf))
    }

    /// The protocol that the client wants to speak on its stream (RFC 8441 section 4).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.protocol.map(|span| span.of(&self.buf))
    }

    /// The version that the client spoke.
    pub fn version(&self) -> Version {
        self.version
    }

    /// The body's length in bytes, if the client declared one.
    pub fn content_length(&self) -> Option<u64> {
        self.content_length
    }

    /// Whether the body comes in chunks of HTTP/1.1.
    pub fn chunked(&self) -> bool {
        self.chunked
    }

    /// All fields in the order received.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        self.fields
            .iter()
            .map(|f| Field { name: f.name.of(&self.buf), value: f.value.of(&self.buf) })
    }

    /// The first value of the field with this lower-case name.
    pub fn get(&self, lower: &[u8]) -> Option<&[u8]> {
        self.fields().find(|f| f.name == lower).map(|f| f.value)
    }

    /// What logs call the request, if it has been given a name.
    pub fn id(&self) -> Option<&[u8]> {
        self.id.map(|span| span.of(&self.buf))
    }

    /// Names the request: from now on that is its `X-Request-Id`, whatever the client sent.
    pub fn set_id(&mut self, id: &[u8]) {
        let name = self.push(b"x-request-id");
        let value = self.push(id);
        let buf = &self.buf;
        self.fields.retain(|field| field.name.of(buf) != b"x-request-id");
        self.fields.push(FieldSpan { name, value });
        self.id = Some(value);
    }

    fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.buf.len() as u32;
        self.buf.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    /// Whether the other head has the same fields in the same order.
    pub fn same_fields(&self, other: &Self) -> bool {
        self.fields().eq(other.fields())
    }

    /// The target in origin-form: path and query as received.
    pub fn target(&self) -> Vec<u8> {
        let mut target = self.path().to_vec();
        if !self.query().is_empty() {
            target.push(b'?');
            target.extend_from_slice(self.query());
        }
        target
    }
}

/// Fills a [`RequestHead`]; the protocols' own code checks what it puts in.
pub struct RequestHeadBuilder {
    head: Box<RequestHead>,
}

impl RequestHeadBuilder {
    /// An empty head for `method`, with room for `capacity` bytes.
    pub fn new(method: &[u8], version: Version, capacity: usize) -> Self {
        let mut builder = Self {
            head: Box::new(RequestHead {
                buf: Vec::with_capacity(capacity),
                method: Span::default(),
                path: Span::default(),
                query: Span::default(),
                host: None,
                protocol: None,
                version,
                content_length: None,
                chunked: false,
                fields: SmallVec::new(),
                id: None,
            }),
        };
        builder.head.method = builder.push(method);
        builder
    }

    fn push(&mut self, bytes: &[u8]) -> Span {
        self.head.push(bytes)
    }

    /// Path and query as received.
    pub fn target(&mut self, path_and_query: &[u8]) {
        // A fragment is no part of a request's target (RFC 9112 section 3.2).
        let end = memchr::memchr(b'#', path_and_query).unwrap_or(path_and_query.len());
        let whole = self.push(&path_and_query[..end]);
        let bytes = whole.of(&self.head.buf);
        match memchr::memchr(b'?', bytes) {
            Some(at) => {
                let at = at as u32;
                self.head.path = Span { start: whole.start, len: at };
                self.head.query = Span { start: whole.start + at + 1, len: whole.len - at - 1 };
            }
            None => self.head.path = whole,
        }
        if self.head.path.len == 0 {
            self.head.path = self.push(b"/");
        }
    }

    /// A field; the name is put in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        let name = self.push(name);
        self.head.buf[name.start as usize..].make_ascii_lowercase();
        let value = self.push(value);
        self.head.fields.push(FieldSpan { name, value });
    }

    /// The protocol that the client wants to speak on its stream.
    pub fn protocol(&mut self, protocol: &[u8]) {
        self.head.protocol = Some(self.push(protocol));
    }

    /// The host of the request. Where no `host` field was given it is added first, so that faces
    /// find it among the fields.
    pub fn host(&mut self, host: &[u8]) {
        let at = self.head.fields.iter().position(|f| f.name.of(&self.head.buf) == b"host");
        let same = at.is_some_and(|at| self.head.fields[at].value.of(&self.head.buf) == host);
        if !same {
            let value = self.push(host);
            match at {
                Some(at) => self.head.fields[at].value = value,
                None => {
                    let name = self.push(b"host");
                    self.head.fields.insert(0, FieldSpan { name, value });
                }
            }
        }
        self.head.host =
            self.head.fields.iter().find(|f| f.name.of(&self.head.buf) == b"host").map(|f| f.value);
    }

    /// The declared length of the body.
    pub fn content_length(&mut self, length: u64) {
        self.head.content_length = Some(length);
    }

    /// The body comes in chunks.
    pub fn chunked(&mut self) {
        self.head.chunked = true;
    }

    /// The head so far.
    pub fn head(&self) -> &RequestHead {
        &self.head
    }

    /// The finished head.
    pub fn build(self) -> Box<RequestHead> {
        self.head
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn target_is_split_at_the_first_question_mark() {
        let mut b = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        b.target(b"/a%20b?x=1?y#frag");
        let head = b.build();
        assert_eq!(head.path(), b"/a%20b");
        assert_eq!(head.query(), b"x=1?y");
        assert_eq!(head.target(), b"/a%20b?x=1?y");
    }

    #[test]
    fn host_replaces_or_becomes_the_field() {
        let mut b = RequestHeadBuilder::new(b"GET", Version::Http2, 64);
        b.field(b"Accept", b"*/*");
        b.host(b"example.org");
        assert_eq!(b.head().fields().next().map(|f| f.name), Some(&b"host"[..]));
        b.host(b"other.org");
        assert_eq!(b.head().get(b"host"), Some(&b"other.org"[..]));
        assert_eq!(b.head().host(), Some(&b"other.org"[..]));
        assert_eq!(b.head().fields().len(), 2);
    }
}
