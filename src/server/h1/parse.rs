//! From bytes to a request's head. httparse reads; here stands what must be refused beyond that,
//! because two readers could read it in two ways (RFC 9112 sections 3.2, 5, 6.3 and 11.2).

use std::mem::MaybeUninit;

use crate::config::EngineConfig;
use crate::http::{
    RequestHead, RequestHeadBuilder, Version, is_token, list_has, parse_content_length,
};

/// Fields for which there is room on the stack.
const USUAL_FIELDS: usize = 100;

/// A refusal: the status to answer with, and why, for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reject {
    pub(crate) status: u16,
    pub(crate) why: &'static str,
}

const fn bad(why: &'static str) -> Reject {
    Reject { status: 400, why }
}

/// How the body of a request is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// This many bytes, perhaps none.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// A whole head.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) head: Box<RequestHead>,
    /// Bytes of the buffer that it took.
    pub(crate) consumed: usize,
    pub(crate) framing: Framing,
    pub(crate) keep_alive: bool,
    pub(crate) expect_continue: bool,
}

/// Reads a head from the front of `buf`; `None` if it is not complete yet.
pub(crate) fn parse(buf: &[u8], config: &EngineConfig) -> Result<Option<Parsed>, Reject> {
    // Stack space for the usual number of fields; a larger setting takes the heap.
    let mut few = [const { MaybeUninit::uninit() }; USUAL_FIELDS];
    let mut many = Vec::new();
    let fields = match few.get_mut(..config.max_headers) {
        Some(fields) => fields,
        None => {
            many.resize_with(config.max_headers, MaybeUninit::uninit);
            &mut many[..]
        }
    };
    let mut request = httparse::Request::new(&mut []);
    let consumed = match request.parse_with_uninit_headers(buf, fields) {
        Ok(httparse::Status::Complete(consumed)) => consumed,
        Ok(httparse::Status::Partial) => return partial(buf, config).map(|()| None),
        Err(error) => return Err(reject_of(error)),
    };
    if consumed > config.max_head_size {
        return Err(Reject { status: 431, why: "the request head is larger than max_head_size" });
    }
    let raw = &buf[..consumed];
    if has_bare_lf(raw) {
        return Err(bad("a line of the request head ends with a bare LF"));
    }
    let (Some(method), Some(target), Some(minor)) = (request.method, request.path, request.version)
    else {
        return Err(bad("malformed request line"));
    };
    if target.len() > config.max_target_size {
        return Err(Reject {
            status: 414,
            why: "the request target is longer than max_target_size",
        });
    }
    let version = if minor == 0 { Version::Http10 } else { Version::Http11 };
    let mut builder = RequestHeadBuilder::new(method.as_bytes(), version, consumed + 16);
    let mut facts = Facts { keep_alive: version == Version::Http11, ..Facts::default() };
    for header in request.headers.iter() {
        facts.note(header.name, header.value, version)?;
        builder.field(header.name.as_bytes(), header.value);
    }
    set_target(&mut builder, method, target.as_bytes(), facts.host, version)?;
    let framing = match facts.framing {
        Some(Framing::Chunked) => {
            builder.chunked();
            Framing::Chunked
        }
        Some(Framing::Length(length)) => {
            builder.content_length(length);
            if config.max_body_size.is_some_and(|max| length > max) {
                return Err(Reject { status: 413, why: "Content-Length is over max_body_size" });
            }
            Framing::Length(length)
        }
        None => Framing::Length(0),
    };
    Ok(Some(Parsed {
        head: builder.build(),
        consumed,
        framing,
        keep_alive: facts.keep_alive && !facts.close,
        expect_continue: facts.expect_continue && framing != Framing::Length(0),
    }))
}

/// Whether a line ends without CR. (httparse lets that pass.)
fn has_bare_lf(raw: &[u8]) -> bool {
    let before = raw.first() == Some(&b'\n');
    // One pass without a branch per byte: the compiler makes vector code of it.
    let pairs = raw.iter().zip(raw.iter().skip(1));
    before | pairs.fold(false, |bad, (&a, &b)| bad | ((b == b'\n') & (a != b'\r')))
}

/// Whether an incomplete head may still become a good one.
fn partial(buf: &[u8], config: &EngineConfig) -> Result<(), Reject> {
    if buf.len() > config.max_target_size + 64 && memchr::memchr(b'\n', buf).is_none() {
        return Err(Reject { status: 414, why: "the request line is longer than max_target_size" });
    }
    if buf.len() > config.max_head_size {
        return Err(Reject { status: 431, why: "the request head is larger than max_head_size" });
    }
    Ok(())
}

fn reject_of(error: httparse::Error) -> Reject {
    match error {
        httparse::Error::TooManyHeaders => {
            Reject { status: 431, why: "the request has more fields than max_headers" }
        }
        httparse::Error::HeaderName => bad("malformed header name"),
        httparse::Error::HeaderValue => bad("a header value holds a control character"),
        httparse::Error::Version => bad("not an HTTP/1.0 or HTTP/1.1 request"),
        httparse::Error::NewLine => bad("a line of the request head ends with a bare CR"),
        _ => bad("malformed request line"),
    }
}

/// What the fields say about framing and connection.
#[derive(Default)]
struct Facts<'a> {
    framing: Option<Framing>,
    host: Option<&'a [u8]>,
    keep_alive: bool,
    close: bool,
    expect_continue: bool,
}

impl<'a> Facts<'a> {
    fn note(&mut self, name: &str, value: &'a [u8], version: Version) -> Result<(), Reject> {
        // Length first: nearly all fields are of no interest here.
        match name.len() {
            4 if name.eq_ignore_ascii_case("host") => {
                let earlier = self.host.replace(value);
                return earlier.map_or(Ok(()), |_| Err(bad("more than one Host")));
            }
            6 if name.eq_ignore_ascii_case("expect") => {
                let asks = value.eq_ignore_ascii_case(b"100-continue");
                self.expect_continue |= asks && version == Version::Http11;
            }
            10 if name.eq_ignore_ascii_case("connection") => {
                self.close |= list_has(value, b"close");
                self.keep_alive |= list_has(value, b"keep-alive");
            }
            14 if name.eq_ignore_ascii_case("content-length") => {
                let length =
                    parse_content_length(value).ok_or(bad("Content-Length is no number"))?;
                if self.framing.replace(Framing::Length(length)).is_some() {
                    return Err(bad(
                        "more than one Content-Length, or Transfer-Encoding beside it",
                    ));
                }
            }
            17 if name.eq_ignore_ascii_case("transfer-encoding") => {
                if version == Version::Http10 {
                    return Err(bad("Transfer-Encoding in an HTTP/1.0 request"));
                }
                if !value.eq_ignore_ascii_case(b"chunked") {
                    return Err(bad("a Transfer-Encoding other than chunked"));
                }
                if self.framing.replace(Framing::Chunked).is_some() {
                    return Err(bad(
                        "more than one Transfer-Encoding, or Content-Length beside it",
                    ));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

/// Sorts out the four forms of a target (RFC 9112 section 3.2) and the host that goes with it.
fn set_target(
    builder: &mut RequestHeadBuilder,
    method: &str,
    target: &[u8],
    host: Option<&[u8]>,
    version: Version,
) -> Result<(), Reject> {
    if host.is_none() && version == Version::Http11 {
        return Err(bad("no Host in an HTTP/1.1 request"));
    }
    if host.is_some_and(|host| !is_host(host)) {
        return Err(bad("malformed Host"));
    }
    if method == "CONNECT" {
        return Err(Reject { status: 405, why: "CONNECT is for proxies" });
    }
    let plain = target.first() == Some(&b'/') || (target == b"*" && method == "OPTIONS");
    let authority = if plain {
        builder.target(target);
        host
    } else {
        let (authority, rest) = absolute(target).ok_or(bad("malformed request target"))?;
        if !rest.is_empty() && rest[0] != b'/' {
            builder.target(&[b"/", rest].concat());
        } else {
            builder.target(rest);
        }
        Some(authority)
    };
    if let Some(authority) = authority {
        builder.host(authority);
    }
    Ok(())
}

/// Splits `http://authority/path`.
fn absolute(target: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = [&b"http://"[..], b"https://"].iter().find_map(|scheme| {
        let (head, rest) = target.split_at_checked(scheme.len())?;
        head.eq_ignore_ascii_case(scheme).then_some(rest)
    })?;
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, rest) = rest.split_at(end);
    let named = !matches!(authority.first(), None | Some(b':'));
    (named && is_host(authority)).then_some((authority, rest))
}

/// `uri-host [ ":" port ]` in the large (RFC 9110 section 7.2): no user, no path, no space.
pub(crate) fn is_host(host: &[u8]) -> bool {
    let (name, port) = if host.first() == Some(&b'[') {
        let Some(end) = memchr::memchr(b']', host) else { return false };
        let (name, rest) = host.split_at(end + 1);
        if end == 1
            || !name[1..end]
                .iter()
                .all(|&b| b.is_ascii_hexdigit() || matches!(b, b':' | b'.' | b'%' | b'v'))
        {
            return false;
        }
        (name, rest)
    } else {
        host.split_at(memchr::memchr(b':', host).unwrap_or(host.len()))
    };
    let name_ok = name.first() == Some(&b'[')
        || name.iter().all(|&b| {
            b.is_ascii_alphanumeric()
                || matches!(
                    b,
                    b'-' | b'.'
                        | b'_'
                        | b'~'
                        | b'%'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b','
                        | b';'
                        | b'='
                )
        });
    let port_ok = match port {
        [] => true,
        [b':', digits @ ..] => digits.len() <= 5 && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    name_ok && port_ok
}

/// The method of a broken request, if one can be made out; for the log only.
pub(crate) fn method_of(buf: &[u8]) -> Option<&str> {
    let end = memchr::memchr(b' ', &buf[..buf.len().min(32)])?;
    is_token(&buf[..end]).then(|| std::str::from_utf8(&buf[..end]).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(input: &str) -> Result<Option<Parsed>, Reject> {
        parse(input.as_bytes(), &EngineConfig::default())
    }

    fn status(input: &str) -> u16 {
        parsed(input).expect_err(input).status
    }

    #[test]
    fn a_usual_request() {
        let p = parsed(
            "POST /a?b=c HTTP/1.1\r\nHost: x:80\r\nContent-Length: 3\r\nX-A:  v \r\n\r\nabc",
        )
        .expect("good")
        .expect("whole");
        assert_eq!(p.head.method(), b"POST");
        assert_eq!(p.head.path(), b"/a");
        assert_eq!(p.head.query(), b"b=c");
        assert_eq!(p.head.get(b"x-a"), Some(&b"v"[..]));
        assert_eq!(p.framing, Framing::Length(3));
        assert!(p.keep_alive);
    }

    #[test]
    fn ambiguous_requests_are_refused() {
        for bad in [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            "Content-Length: 3\r\nContent-Length: 4\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Content-Length: +3\r\n",
            "Content-Length: 3, 3\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding:\x0bchunked\r\n",
            "X-A : 1\r\n",
            "X-A: 1\r\n folded\r\n",
            "X-A: a\0b\r\n",
            "X-A: 1\nX-B: 2\r\n",
            "X-A: a\rb\r\n",
            "Host: y\r\n",
        ] {
            assert_eq!(status(&format!("POST / HTTP/1.1\r\nHost: x\r\n{bad}\r\n")), 400, "{bad:?}");
        }
    }

    #[test]
    fn hosts_are_checked() {
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        for bad in ["a b", "a/b", "user@a", "a:b", "[::1", "a:123456", "a:80:80"] {
            assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: {bad}\r\n\r\n")), 400, "{bad}");
        }
        for good in ["a", "a.b:80", "[::1]:8000", "", "127.0.0.1:1", "my_host", "a:"] {
            assert!(parsed(&format!("GET / HTTP/1.1\r\nHost: {good}\r\n\r\n")).is_ok(), "{good}");
        }
    }

    #[test]
    fn targets_come_in_their_forms() {
        let p = parsed("GET http://a.b:81/p?q HTTP/1.1\r\nHost: other\r\n\r\n")
            .expect("good")
            .expect("whole");
        assert_eq!((p.head.path(), p.head.query()), (&b"/p"[..], &b"q"[..]));
        assert_eq!(p.head.get(b"host"), Some(&b"a.b:81"[..]));
        let p = parsed("GET http://a?q HTTP/1.1\r\nHost: a\r\n\r\n").expect("good").expect("whole");
        assert_eq!((p.head.path(), p.head.query()), (&b"/"[..], &b"q"[..]));
        assert!(parsed("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").is_ok());
        assert_eq!(status("GET * HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("GET foo HTTP/1.1\r\nHost: a\r\n\r\n"), 400);
        assert_eq!(status("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n"), 405);
    }

    #[test]
    fn too_long_has_its_own_statuses() {
        let long = "a".repeat(17 * 1024);
        assert_eq!(status(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")), 414);
        assert_eq!(status(&format!("GET /{long}")), 414);
        let many = "X: 1\r\n".repeat(101);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\n{many}\r\n")), 431);
        let big = "a".repeat(65 * 1024);
        assert_eq!(status(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {big}")), 431);
    }

    #[test]
    fn a_part_of_a_head_is_waited_for() {
        for part in ["", "GE", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: a\r\n"] {
            assert!(parsed(part).expect("fine so far").is_none());
        }
    }
}
