//! Cross-origin resource sharing (Fetch standard, section 3.2, "CORS protocol").

use std::sync::Arc;

use bytes::Bytes;

use super::{Layer, Misuse, Verdict, refuse_with};
use crate::http::{Filter, Request, ResponseHead, ResponseWriter, is_token};

/// What pages of other origins may do.
#[derive(Debug, Clone, Default)]
pub struct CorsRules {
    /// Who: `https://example.org`, `https://*.example.org` (any host below that), `null`, or `*`
    /// (anybody).
    pub origins: Vec<String>,
    /// By which methods. None named: by any.
    pub methods: Vec<String>,
    /// With which request fields beside those that are always allowed. None: with any.
    pub headers: Option<Vec<String>>,
    /// Whether with cookies and authentication.
    pub credentials: bool,
    /// For how many seconds browsers may remember that.
    pub max_age: Option<u32>,
    /// Which fields of responses they may read beside those that they always may.
    pub expose: Vec<String>,
}

/// Tells browsers what pages of other origins may do, and answers their preflight requests.
///
/// It refuses nothing but those: who is no browser is not bound by CORS. What a handler says of
/// CORS itself is replaced, except which fields may be read where [`CorsRules::expose`] is empty.
#[derive(Debug)]
pub struct Cors(Arc<Checked>);

#[derive(Debug)]
struct Checked {
    /// `None`: anybody.
    origins: Option<Vec<Origin>>,
    methods: Option<Vec<u8>>,
    headers: Option<Vec<u8>>,
    credentials: bool,
    max_age: Option<Vec<u8>>,
    expose: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Origin {
    Exact(Vec<u8>),
    /// What stands before and behind the part of the host that may be anything.
    Below(Vec<u8>, Vec<u8>),
}

impl Origin {
    fn parse(text: &str) -> Result<Self, Misuse> {
        let wrong = || {
            Misuse(format!(
                "an origin is like 'https://example.org', 'http://localhost:8000' or \
                 'https://*.example.org', without a path, not {text:?}"
            ))
        };
        let lower = text.to_ascii_lowercase();
        if lower == "null" {
            return Ok(Self::Exact(lower.into_bytes()));
        }
        let (scheme, host) = lower.split_once("://").ok_or_else(wrong)?;
        let (below, host) = match host.strip_prefix("*.") {
            Some(host) => (true, host),
            None => (false, host),
        };
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._:[]".contains(&b);
        if scheme.is_empty() || !is_token(scheme.as_bytes()) || host.is_empty() {
            return Err(wrong());
        }
        if !host.bytes().all(plain) {
            return Err(wrong());
        }
        let usual = match scheme {
            "http" => Some(":80"),
            "https" => Some(":443"),
            _ => None,
        };
        if let Some(name) = usual.and_then(|port| host.strip_suffix(port)) {
            let below = if below { "*." } else { "" };
            return Err(Misuse(format!(
                "browsers leave the usual port out of an origin, so {text:?} would never be met: \
                 write '{scheme}://{below}{name}'"
            )));
        }
        Ok(match below {
            true => Self::Below(format!("{scheme}://").into(), format!(".{host}").into()),
            false => Self::Exact(lower.into_bytes()),
        })
    }

    fn is(&self, sent: &[u8]) -> bool {
        match self {
            Self::Exact(known) => known == sent,
            Self::Below(scheme, host) => sent
                .strip_prefix(&scheme[..])
                .and_then(|rest| rest.strip_suffix(&host[..]))
                .is_some_and(|below| {
                    let label = |b: &u8| b.is_ascii_alphanumeric() || b"-._".contains(b);
                    !below.is_empty() && below.iter().all(label)
                }),
        }
    }
}

fn tokens(names: &[String], what: &str) -> Result<Vec<u8>, Misuse> {
    match names.iter().find(|name| !is_token(name.as_bytes())) {
        Some(bad) => Err(Misuse(format!("{bad:?} cannot be the name of a {what}"))),
        None => Ok(names.join(", ").into_bytes()),
    }
}

impl Cors {
    /// Checks the rules.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn new(rules: &CorsRules) -> Result<Self, Misuse> {
        let anybody = rules.origins.iter().any(|origin| origin == "*");
        if anybody && rules.origins.len() > 1 {
            return Err(Misuse("'*' is every origin: no other can be named beside it".to_owned()));
        }
        if anybody && rules.credentials {
            return Err(Misuse(
                "credentials cannot be allowed to every origin ('*'): name those that may use them"
                    .to_owned(),
            ));
        }
        let origins = match anybody {
            true => None,
            false => {
                Some(rules.origins.iter().map(|o| Origin::parse(o)).collect::<Result<_, _>>()?)
            }
        };
        let methods = tokens(&rules.methods, "method")?;
        let headers = rules.headers.as_ref().map(|names| tokens(names, "header")).transpose()?;
        Ok(Self(Arc::new(Checked {
            origins,
            methods: (!methods.is_empty()).then_some(methods),
            headers,
            credentials: rules.credentials,
            max_age: rules.max_age.map(|seconds| seconds.to_string().into_bytes()),
            expose: tokens(&rules.expose, "header")?,
        })))
    }
}

impl Layer for Cors {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        let head = &request.head;
        let origin = head.get(b"origin");
        let allowed = self.0.allowed(origin);
        if head.method() == b"OPTIONS"
            && let (Some(_), Some(method)) = (origin, head.get(b"access-control-request-method"))
        {
            let headers = head.get(b"access-control-request-headers");
            return self.0.answer(allowed, method, headers, writer);
        }
        writer.add_filter(Arc::new(Told { rules: self.0.clone(), allowed }));
        Verdict::Pass
    }
}

impl Checked {
    /// What `Access-Control-Allow-Origin` says to it.
    fn allowed(&self, origin: Option<&[u8]>) -> Option<Vec<u8>> {
        match &self.origins {
            None => Some(b"*".to_vec()),
            Some(known) => {
                origin.filter(|sent| known.iter().any(|one| one.is(sent))).map(<[u8]>::to_vec)
            }
        }
    }

    fn admit(&self, head: &mut ResponseHead, allowed: Option<&[u8]>) {
        if self.origins.is_some() {
            // Said to everybody: a cache must know that others are told something else.
            head.vary_on(b"origin");
        }
        if let Some(allowed) = allowed {
            head.push_raw(b"access-control-allow-origin", allowed);
            if self.credentials {
                head.push_raw(b"access-control-allow-credentials", b"true");
            }
        }
    }

    /// Answers a preflight request. One of an origin that may do nothing is refused in words, for
    /// whoever looks into it; else the browser compares what is allowed with what it wants.
    fn answer(
        &self,
        allowed: Option<Vec<u8>>,
        method: &[u8],
        headers: Option<&[u8]>,
        writer: &mut ResponseWriter,
    ) -> Verdict {
        let mut head = ResponseHead::new(if allowed.is_some() { 204 } else { 403 });
        self.admit(&mut head, allowed.as_deref());
        head.push_raw(b"vary", b"access-control-request-method, access-control-request-headers");
        if allowed.is_none() {
            return refuse_with(head, "this origin is not allowed (CORS)\n", writer);
        }
        let asked = |value: &[u8]| is_list(value).then(|| value.to_vec());
        if let Some(methods) = self.methods.clone().or_else(|| asked(method)) {
            head.push_raw(b"access-control-allow-methods", &methods);
        }
        let headers = self.headers.clone().or_else(|| headers.and_then(asked));
        if let Some(headers) = headers.filter(|headers| !headers.is_empty()) {
            head.push_raw(b"access-control-allow-headers", &headers);
        }
        if let Some(seconds) = &self.max_age {
            head.push_raw(b"access-control-max-age", seconds);
        }
        // The only error here is a client gone, whom nothing can be told.
        let _ = writer.respond(head, Bytes::new());
        Verdict::Answered
    }
}

/// Whether a value is tokens between commas.
fn is_list(value: &[u8]) -> bool {
    value.split(|&b| b == b',').all(|item| is_token(item.trim_ascii()))
}

/// What is said with a response that is no preflight's.
#[derive(Debug)]
struct Told {
    rules: Arc<Checked>,
    allowed: Option<Vec<u8>>,
}

impl Filter for Told {
    fn fields(&self, head: &mut ResponseHead) {
        head.remove(b"access-control-allow-origin");
        head.remove(b"access-control-allow-credentials");
        head.remove(b"access-control-allow-methods");
        head.remove(b"access-control-allow-headers");
        head.remove(b"access-control-max-age");
        if self.allowed.is_none() {
            head.remove(b"access-control-expose-headers");
        }
        self.rules.admit(head, self.allowed.as_deref());
        if self.allowed.is_some() && !self.rules.expose.is_empty() {
            head.replace(b"access-control-expose-headers", &self.rules.expose);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(origins: &[&str]) -> CorsRules {
        let origins = origins.iter().map(|&origin| origin.to_owned()).collect();
        CorsRules { origins, ..CorsRules::default() }
    }

    #[test]
    fn origins_are_compared_whole() {
        let origins = ["https://a.example", "http://localhost:8000", "https://*.b.example", "null"];
        let cors = Cors::new(&rules(&origins)).expect("good rules");
        for good in [
            "https://a.example",
            "http://localhost:8000",
            "https://x.b.example",
            "https://y.x.b.example",
            "null",
        ] {
            assert_eq!(cors.0.allowed(Some(good.as_bytes())), Some(good.into()), "{good}");
        }
        for bad in [
            "http://a.example",
            "https://a.example:444",
            "https://a.example.evil",
            "https://xa.example",
            "https://b.example",
            "https://.b.example",
            "https://xb.example",
            "https://evil.example/.b.example",
            "https://evil.example#.b.example",
            "https://user@x.b.example",
            "http://localhost",
            "",
        ] {
            assert_eq!(cors.0.allowed(Some(bad.as_bytes())), None, "{bad}");
        }
        assert_eq!(cors.0.allowed(None), None);
    }

    #[test]
    fn rules_that_no_browser_would_follow_are_refused() {
        for bad in [
            "a.example",
            "https://a.example/",
            "https://a.example/path",
            "https://",
            "://a.example",
            "https://*",
            "https://a.*.example",
            "https://a.example:443",
            "http://a.example:80",
            "http://*.a.example:80",
            "http://[::1]:80",
            "",
        ] {
            assert!(Cors::new(&rules(&[bad])).is_err(), "{bad}");
        }
        for other in ["https://a.example:80", "http://a.example:443", "http://a.example:8080"] {
            assert!(Cors::new(&rules(&[other])).is_ok(), "{other}");
        }
        let usual = Cors::new(&rules(&["http://*.a.example:80"])).expect_err("a usual port");
        assert!(usual.to_string().ends_with("write 'http://*.a.example'"), "{usual}");
        assert!(Cors::new(&rules(&["*", "https://a.example"])).is_err());
        assert!(Cors::new(&CorsRules { credentials: true, ..rules(&["*"]) }).is_err());
        let named = |name: &str| vec![name.to_owned()];
        assert!(Cors::new(&CorsRules { methods: named("G T"), ..rules(&["*"]) }).is_err());
        assert!(Cors::new(&CorsRules { headers: Some(named("a:")), ..rules(&["*"]) }).is_err());
        assert!(Cors::new(&CorsRules { expose: named("a\r\n"), ..rules(&["*"]) }).is_err());
    }
}
