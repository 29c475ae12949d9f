//! A name for each request, the same in all logs.

use std::sync::Arc;

use rustix::rand::{GetRandomFlags, getrandom};

use super::{Layer, Verdict};
use crate::http::{Filter, Request, RequestHead, ResponseHead, ResponseWriter};

/// The longest name that is taken from a client.
const MAX_LEN: usize = 128;

/// Names requests: what the client (or a proxy) sent as `X-Request-Id` if that is sane, else 32
/// random hexadecimal digits. Handlers find the name among the request's fields, the client among
/// the response's, and it stands in log lines.
///
/// Sane is one field of 1 to 128 letters, digits, and `-._~+/=:@`.
#[derive(Debug, Clone, Copy)]
pub struct RequestId {
    /// Whether names that clients send are kept.
    pub keep: bool,
}

impl Layer for RequestId {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        let sent = self.keep.then(|| sane(&request.head)).flatten();
        let id = sent.map_or_else(fresh, <[u8]>::to_vec);
        request.head.set_id(&id);
        writer.add_filter(Arc::new(Named(id)));
        Verdict::Pass
    }
}

/// Tells the client.
#[derive(Debug)]
struct Named(Vec<u8>);

impl Filter for Named {
    fn fields(&self, head: &mut ResponseHead) {
        head.replace(b"x-request-id", &self.0);
    }
}

fn sane(head: &RequestHead) -> Option<&[u8]> {
    let mut sent = head.fields().filter(|field| field.name == b"x-request-id");
    let id = sent.next()?.value;
    let good = |b: &u8| b.is_ascii_alphanumeric() || b"-._~+/=:@".contains(b);
    let sane = (1..=MAX_LEN).contains(&id.len()) && id.iter().all(good) && sent.next().is_none();
    sane.then_some(id)
}

fn fresh() -> Vec<u8> {
    let mut random = [0u8; 16];
    // So few bytes are given whole, or not at all; then names may be the same, which harms nobody.
    let _ = getrandom(&mut random, GetRandomFlags::empty());
    data_encoding::HEXLOWER.encode(&random).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    fn sent(values: &[&str]) -> Option<String> {
        let mut builder = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        for value in values {
            builder.field(b"X-Request-ID", value.as_bytes());
        }
        sane(&builder.build()).map(|id| String::from_utf8_lossy(id).into_owned())
    }

    #[test]
    fn what_could_mislead_a_reader_of_logs_is_not_kept() {
        assert_eq!(sent(&["7b:a_b.C/d="]).as_deref(), Some("7b:a_b.C/d="));
        assert_eq!(sent(&["x".repeat(128).as_str()]).map(|id| id.len()), Some(128));
        for bad in ["", "a b", "a\"b", "a,b", "é", "x".repeat(129).as_str()] {
            assert_eq!(sent(&[bad]), None, "{bad}");
        }
        assert_eq!(sent(&[]), None);
        assert_eq!(sent(&["a", "a"]), None);
    }

    #[test]
    fn fresh_names_differ() {
        let (a, b) = (fresh(), fresh());
        assert_eq!((a.len(), b.len()), (32, 32));
        assert_ne!(a, b);
    }

    #[test]
    fn a_name_takes_the_place_of_all_that_were_sent() {
        let mut builder = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        for (name, value) in [("x-request-id", "a"), ("accept", "*/*"), ("x-request-id", "b")] {
            builder.field(name.as_bytes(), value.as_bytes());
        }
        let mut head = builder.build();
        head.set_id(b"c");
        let fields: Vec<_> = head.fields().map(|field| (field.name, field.value)).collect();
        assert_eq!(fields, [(&b"accept"[..], &b"*/*"[..]), (b"x-request-id", b"c")]);
        assert_eq!(head.id(), Some(&b"c"[..]));
    }
}
