//! One line per response, through the log facade as target `gohttp.access`.

use std::time::Instant;

use crate::http::{ConnInfo, RequestHead, ResponseHead, forwarded};

/// Writes access lines. It exists only where they are asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AccessLog;

/// A line begun when the request's head was read.
#[derive(Debug)]
pub(crate) struct AccessEntry {
    began: Instant,
    line: String,
    /// What the response names the request, with a space before it.
    id: String,
}

impl AccessLog {
    /// Begins the line of a request.
    pub(crate) fn begin(self, conn: &ConnInfo, head: &RequestHead) -> AccessEntry {
        let client = forwarded(head, conn).client.map(|client| client.to_string());
        let peer = client.as_deref().unwrap_or(&conn.peer_host);
        let peer = if peer.is_empty() { "unix" } else { peer };
        let line = format!(
            "{peer} \"{} {} {}\"",
            String::from_utf8_lossy(head.method()),
            String::from_utf8_lossy(&head.target()).escape_default(),
            head.version().as_str()
        );
        AccessEntry { began: Instant::now(), line, id: String::new() }
    }
}

impl AccessEntry {
    /// Notes what the response says of the request: its `X-Request-Id`.
    pub(crate) fn note(&mut self, head: &ResponseHead) {
        if let Some(id) = head.get(b"x-request-id") {
            self.id = format!(" {}", id.escape_ascii());
        }
    }

    /// Writes the line: peer, request, status, bytes of the body, milliseconds, and the request's
    /// name if it has one.
    pub(crate) fn end(self, status: u16, bytes: u64, whole: bool) {
        let milliseconds = self.began.elapsed().as_secs_f64() * 1e3;
        let note = if whole { "" } else { " incomplete" };
        log::info!(target: "gohttp.access", "{} {status} {bytes} {milliseconds:.2}ms{note}{}", self.line, self.id);
    }
}
