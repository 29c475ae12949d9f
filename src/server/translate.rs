//! Heads, from the types of the `http` crate to the exchange's and back.

use crate::config::EngineConfig;
use crate::http::{RequestHead, RequestHeadBuilder, ResponseHead, Version};
use crate::server::h1::is_host;

/// Translates a head; an error is the status to answer with. `length`: of the body, if it is known
/// and there is one. On HTTP/2 there must be a host.
pub(crate) fn head_of(
    parts: &::http::request::Parts,
    version: Version,
    target: &[u8],
    length: Option<u64>,
    config: &EngineConfig,
) -> Result<Box<RequestHead>, u16> {
    if target.len() > config.max_target_size {
        return Err(414);
    }
    if parts.headers.len() > config.max_headers {
        return Err(431);
    }
    let protocol = parts.extensions.get::<hyper::ext::Protocol>();
    if parts.method == ::http::Method::CONNECT && protocol.is_none() {
        return Err(405);
    }
    if target == b"*" && parts.method != ::http::Method::OPTIONS {
        return Err(400);
    }
    for once in [::http::header::HOST, ::http::header::CONTENT_LENGTH] {
        if parts.headers.get_all(once).iter().nth(1).is_some() {
            return Err(400);
        }
    }
    let mut head = begin(parts, version, target);
    if let Some(protocol) = protocol {
        head.protocol(protocol.as_str().as_bytes());
    }
    let authority = parts.uri.authority().map(|authority| authority.as_str().as_bytes());
    match authority.or_else(|| parts.headers.get(::http::header::HOST).map(|host| host.as_bytes()))
    {
        Some(host) if is_host(host) => head.host(host),
        None if version != Version::Http2 => {}
        _ => return Err(400),
    }
    if let Some(length) = length {
        if config.max_body_size.is_some_and(|max| length > max) {
            return Err(413);
        }
        head.content_length(length);
    }
    Ok(head.build())
}

/// Method, target and fields of a request.
fn begin(parts: &::http::request::Parts, version: Version, target: &[u8]) -> RequestHeadBuilder {
    let capacity = parts.headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum::<usize>();
    let mut head = RequestHeadBuilder::new(
        parts.method.as_str().as_bytes(),
        version,
        capacity + target.len() + 64,
    );
    head.target(target);
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        if name == ::http::header::COOKIE {
            // Split for compression only (RFC 9113 section 8.2.3).
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
        } else {
            head.field(name.as_str().as_bytes(), value.as_bytes().trim_ascii());
        }
    }
    if !cookies.is_empty() {
        head.field(b"cookie", &cookies);
    }
    head
}

/// Translates a response's head, with a `date` if it is given and there is none.
pub(crate) fn response_of(head: &ResponseHead, date: Option<&[u8; 29]>) -> ::http::Response<()> {
    let mut response = ::http::Response::new(());
    *response.status_mut() = ::http::StatusCode::from_u16(head.status()).unwrap_or_default();
    let headers = response.headers_mut();
    *headers = fields_of(head);
    if let Some(date) = date.filter(|_| !head.has_date())
        && let Ok(value) = ::http::HeaderValue::from_bytes(date)
    {
        headers.insert(::http::header::DATE, value);
    }
    if let Some(length) = head.content_length().filter(|_| head.status() != 204) {
        headers.insert(::http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// The fields of a head.
pub(crate) fn fields_of(head: &ResponseHead) -> ::http::HeaderMap {
    let mut headers = ::http::HeaderMap::new();
    for (name, value) in head.fields() {
        // Both have been checked as they were put in; what http refuses beyond that is left out.
        if let (Ok(name), Ok(value)) =
            (::http::HeaderName::from_bytes(name), ::http::HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    headers
}
