//! A request's head as every face reads it: flat buffers and spans into them.
//!
//! Names of fields are lower case already. Nothing here is decoded: paths keep their percent
//! signs, values their bytes.

use std::sync::Arc;

use smallvec::SmallVec;

use super::fields::list_has;

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

/// The fields of a request, and what they say of its host and body. Requests that repeat the
/// fields of the one before share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FieldBlock {
    buf: Vec<u8>,
    spans: SmallVec<[FieldSpan; 12]>,
    host: Option<Span>,
    content_length: Option<u64>,
    chunked: bool,
    id: Option<Span>,
}

impl FieldBlock {
    fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.buf.len() as u32;
        self.buf.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    /// Where the field `host` stands.
    fn host_at(&self) -> Option<usize> {
        self.spans.iter().position(|f| f.name.of(&self.buf) == b"host")
    }
}

/// Method, target and version of a request.
#[derive(Debug, Clone)]
struct Line {
    /// A usual one costs no memory of its own.
    buf: SmallVec<[u8; 80]>,
    method: Span,
    path: Span,
    query: Span,
    protocol: Option<Span>,
    version: Version,
}

impl Line {
    fn new(method: &[u8], version: Version) -> Self {
        let mut line = Self {
            buf: SmallVec::new(),
            method: Span::default(),
            path: Span::default(),
            query: Span::default(),
            protocol: None,
            version,
        };
        line.method = line.push(method);
        line
    }

    fn push(&mut self, bytes: &[u8]) -> Span {
        let start = self.buf.len() as u32;
        self.buf.extend_from_slice(bytes);
        Span { start, len: bytes.len() as u32 }
    }

    fn set_target(&mut self, path_and_query: &[u8]) {
        // A fragment is no part of a request's target (RFC 9112 section 3.2).
        let end = memchr::memchr(b'#', path_and_query).unwrap_or(path_and_query.len());
        let whole = self.push(&path_and_query[..end]);
        let bytes = whole.of(&self.buf);
        match memchr::memchr(b'?', bytes) {
            Some(at) => {
                let at = at as u32;
                self.path = Span { start: whole.start, len: at };
                self.query = Span { start: whole.start + at + 1, len: whole.len - at - 1 };
            }
            None => self.path = whole,
        }
        if self.path.len == 0 {
            self.path = self.push(b"/");
        }
    }
}

/// Method, target, version and fields of a request.
#[derive(Debug, Clone)]
pub struct RequestHead {
    line: Line,
    fields: Arc<FieldBlock>,
}

impl RequestHead {
    /// A head with the fields of another request.
    pub(crate) fn repeat(
        method: &[u8],
        version: Version,
        path_and_query: &[u8],
        fields: Arc<FieldBlock>,
    ) -> Box<Self> {
        let mut line = Line::new(method, version);
        line.set_target(path_and_query);
        Box::new(Self { line, fields })
    }

    /// What a further request with the same fields needs of this one.
    pub(crate) fn field_block(&self) -> &Arc<FieldBlock> {
        &self.fields
    }

    /// The method, a token (`GET`).
    pub fn method(&self) -> &[u8] {
        self.line.method.of(&self.line.buf)
    }

    /// Whether the method is HEAD.
    pub fn is_head(&self) -> bool {
        self.method() == b"HEAD"
    }

    /// The path as received, percent signs kept; begins with `/`, or is `*`.
    pub fn path(&self) -> &[u8] {
        self.line.path.of(&self.line.buf)
    }

    /// What stood behind the `?`, without it; empty if there was none.
    pub fn query(&self) -> &[u8] {
        self.line.query.of(&self.line.buf)
    }

    /// Host and port that the client asked for: `Host`, `:authority` or the absolute target.
    pub fn host(&self) -> Option<&[u8]> {
        self.fields.host.map(|span| span.of(&self.fields.buf))
    }

    /// The protocol that the client wants to speak on its stream (RFC 8441 section 4).
    pub fn protocol(&self) -> Option<&[u8]> {
        self.line.protocol.map(|span| span.of(&self.line.buf))
    }

    /// The version that the client spoke.
    pub fn version(&self) -> Version {
        self.line.version
    }

    /// The body's length in bytes, if the client declared one.
    pub fn content_length(&self) -> Option<u64> {
        self.fields.content_length
    }

    /// Whether the body comes in chunks of HTTP/1.1.
    pub fn chunked(&self) -> bool {
        self.fields.chunked
    }

    /// All fields in the order received.
    pub fn fields(&self) -> impl ExactSizeIterator<Item = Field<'_>> {
        let buf = &self.fields.buf;
        self.fields.spans.iter().map(|f| Field { name: f.name.of(buf), value: f.value.of(buf) })
    }

    /// The first value of the field with this lower-case name.
    pub fn get(&self, lower: &[u8]) -> Option<&[u8]> {
        self.fields().find(|f| f.name == lower).map(|f| f.value)
    }

    /// Whether the client offers to speak another protocol on the connection (RFC 9110 section 7.8).
    /// An `Upgrade` that `Connection` does not name was passed on by a proxy that knows nothing of
    /// it, and goes on to speak HTTP; a body would be taken for the other protocol.
    pub fn offers_upgrade(&self) -> bool {
        self.version() == Version::Http11
            && self.get(b"upgrade").is_some()
            && self.fields().any(|f| f.name == b"connection" && list_has(f.value, b"upgrade"))
            && !self.chunked()
            && self.content_length().unwrap_or(0) == 0
    }

    /// What logs call the request, if it has been given a name.
    pub fn id(&self) -> Option<&[u8]> {
        self.fields.id.map(|span| span.of(&self.fields.buf))
    }

    /// Names the request: from now on that is its `X-Request-Id`, whatever the client sent.
    pub fn set_id(&mut self, id: &[u8]) {
        // Requests that share these fields keep theirs.
        let fields = Arc::make_mut(&mut self.fields);
        let name = fields.push(b"x-request-id");
        let value = fields.push(id);
        let buf = &fields.buf;
        fields.spans.retain(|field| field.name.of(buf) != b"x-request-id");
        fields.spans.push(FieldSpan { name, value });
        fields.id = Some(value);
    }

    /// Whether the other head has the same fields in the same order.
    pub fn same_fields(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fields, &other.fields) || self.fields().eq(other.fields())
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
    line: Line,
    fields: FieldBlock,
}

impl RequestHeadBuilder {
    /// An empty head for `method`, with room for `capacity` bytes of fields.
    pub fn new(method: &[u8], version: Version, capacity: usize) -> Self {
        let fields = FieldBlock { buf: Vec::with_capacity(capacity), ..FieldBlock::default() };
        Self { line: Line::new(method, version), fields }
    }

    /// Path and query as received.
    pub fn target(&mut self, path_and_query: &[u8]) {
        self.line.set_target(path_and_query);
    }

    /// A field; the name is put in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        let fields = &mut self.fields;
        let name = fields.push(name);
        fields.buf[name.start as usize..].make_ascii_lowercase();
        let value = fields.push(value);
        fields.spans.push(FieldSpan { name, value });
    }

    /// The protocol that the client wants to speak on its stream.
    pub fn protocol(&mut self, protocol: &[u8]) {
        self.line.protocol = Some(self.line.push(protocol));
    }

    /// The host of the request. Where no `host` field was given it is added first, so that faces
    /// find it among the fields.
    pub fn host(&mut self, host: &[u8]) {
        let fields = &mut self.fields;
        let value = match fields.host_at() {
            Some(at) if fields.spans[at].value.of(&fields.buf) == host => fields.spans[at].value,
            Some(at) => {
                fields.spans[at].value = fields.push(host);
                fields.spans[at].value
            }
            None => {
                let value = fields.push(host);
                let name = fields.push(b"host");
                fields.spans.insert(0, FieldSpan { name, value });
                value
            }
        };
        fields.host = Some(value);
    }

    /// The declared length of the body.
    pub fn content_length(&mut self, length: u64) {
        self.fields.content_length = Some(length);
    }

    /// The body comes in chunks.
    pub fn chunked(&mut self) {
        self.fields.chunked = true;
    }

    /// The finished head.
    pub fn build(self) -> Box<RequestHead> {
        Box::new(RequestHead { line: self.line, fields: Arc::new(self.fields) })
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
        for hosts in [&[&b"other.org"[..]][..], &[b"example.org", b"other.org"]] {
            let mut b = RequestHeadBuilder::new(b"GET", Version::Http2, 64);
            b.field(b"Accept", b"*/*");
            hosts.iter().for_each(|host| b.host(host));
            let head = b.build();
            assert_eq!(head.fields().next().map(|f| f.name), Some(&b"host"[..]));
            assert_eq!(head.get(b"host"), Some(&b"other.org"[..]));
            assert_eq!(head.host(), Some(&b"other.org"[..]));
            assert_eq!(head.fields().len(), 2);
        }
    }
}
