//! Sending clients to another path of this server.

use super::head::RequestHead;
use super::response::ResponseHead;

/// The answer to `request` that leads to `path`, which is percent-encoded; the query stays. Go's
/// mux sends 301, of which clients make a GET of a POST; 308 has them ask as before.
pub(crate) fn redirect(request: &RequestHead, path: &str) -> ResponseHead {
    let status = if matches!(request.method(), b"GET" | b"HEAD") { 301 } else { 308 };
    // `//host/` would lead to another server.
    let mut location = format!("/{}", path.trim_start_matches('/')).into_bytes();
    if !request.query().is_empty() {
        location.push(b'?');
        location.extend_from_slice(request.query());
    }
    let mut head = ResponseHead::new(status);
    match head.push(b"location", &location) {
        Ok(_) => head,
        Err(_) => ResponseHead::new(400),
    }
}
