//! The opening handshake (RFC 6455 section 4.2, RFC 8441 section 5, RFC 7692 section 7).

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE64;
use sha1::{Digest, Sha1};

use super::deflate::{self, Deflate};
use super::socket::WebSocket;
use crate::config::WebSocketConfig;
use crate::http::{
    FieldError, RequestHead, ResponseHead, ResponseWriter, Version, WriteError, is_token, list_has,
    reason_phrase,
};

/// What a key is answered with, together with this (RFC 6455 section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Why a handshake is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// What to answer with.
    pub status: u16,
    /// For the log.
    pub why: &'static str,
}

impl Refusal {
    /// Answers with the refusal, and notes it in the log.
    pub fn answer(self, head: &RequestHead, writer: &mut ResponseWriter) {
        log::info!(
            target: "gohttp.request",
            "{} for a WebSocket on {}: {}",
            self.status,
            String::from_utf8_lossy(head.path()).escape_default(),
            self.why
        );
        let body = format!("{} {}\n{}\n", self.status, reason_phrase(self.status), self.why);
        let mut response = ResponseHead::text(self.status, body.len());
        if self.status == 426 {
            // RFC 9110 section 15.5.22; HTTP/2 has no such fields (RFC 9113 section 8.2.2).
            if head.version() != Version::Http2 {
                response.push_raw(b"upgrade", b"websocket");
                response.push_raw(b"connection", b"upgrade");
            }
            response.push_raw(b"sec-websocket-version", b"13");
        }
        // The only error here is a client gone, whom nothing can be told.
        let _ = writer.respond(response, body.into());
    }
}

/// Why a WebSocket could not be accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcceptError {
    /// A field of the answer is malformed.
    Field(FieldError),
    /// The answer cannot be given.
    Write(WriteError),
}

impl fmt::Display for AcceptError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(error) => error.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AcceptError {}

/// A well-formed request for a WebSocket.
#[derive(Debug)]
pub struct Handshake {
    /// `Sec-WebSocket-Accept`; HTTP/2 has none.
    accept: Option<String>,
    protocols: Vec<String>,
    deflate: Option<Deflate>,
}

impl Handshake {
    /// Reads the request. `None` if it asks for no WebSocket. `compress`: whether compression may
    /// be agreed on.
    ///
    /// # Errors
    /// [`Refusal`] if it asks in a way that must be refused.
    pub fn read(head: &RequestHead, compress: bool) -> Result<Option<Self>, Refusal> {
        let accept = match head.version() {
            Version::Http2 if head.protocol() == Some(b"websocket") => None,
            Version::Http11
                if head.method() == b"GET"
                    && has(head, b"upgrade", b"websocket")
                    && has(head, b"connection", b"upgrade")
                    // Without these it is an older protocol; a server may ignore what it does
                    // not know (RFC 9110 section 7.8).
                    && ["key", "version"].iter().any(|end| named(head, end)) =>
            {
                Some(accept_of(head)?)
            }
            _ => return Ok(None),
        };
        if head.chunked() || head.content_length().is_some_and(|length| length > 0) {
            // Its body would be taken for frames.
            return Err(Refusal { status: 400, why: "a WebSocket handshake has a body" });
        }
        if value(head, b"sec-websocket-version")? != Some(b"13") {
            return Err(Refusal { status: 426, why: "the WebSocket version is not 13" });
        }
        let protocols = all(head, b"sec-websocket-protocol")
            .flat_map(|value| value.split(|&b| b == b','))
            .map(<[u8]>::trim_ascii)
            .filter(|name| is_token(name))
            .map(|name| String::from_utf8_lossy(name).into_owned())
            .collect();
        let offers = all(head, b"sec-websocket-extensions").filter(|_| compress);
        Ok(Some(Self { accept, protocols, deflate: deflate::agree(offers) }))
    }

    /// The subprotocols that the client offers, in its order.
    pub fn protocols(&self) -> &[String] {
        &self.protocols
    }

    /// Accepts: answers with one of the offered subprotocols, or none, and with further fields.
    ///
    /// # Errors
    /// [`AcceptError`] if a field may not stand in a header, or nothing can be answered any more.
    pub fn accept<'a>(
        &self,
        writer: &mut ResponseWriter,
        config: &WebSocketConfig,
        protocol: Option<&str>,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Arc<WebSocket>, AcceptError> {
        let head = self.response(protocol, fields).map_err(AcceptError::Field)?;
        let (socket, session) = WebSocket::open(self.deflate, config, writer.wake_queue());
        writer.upgrade(Some(head), Box::new(session)).map_err(AcceptError::Write)?;
        Ok(socket)
    }

    fn response<'a>(
        &self,
        protocol: Option<&str>,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<ResponseHead, FieldError> {
        let mut head = ResponseHead::new(if self.accept.is_some() { 101 } else { 200 });
        if let Some(accept) = &self.accept {
            head.push_raw(b"upgrade", b"websocket");
            head.push_raw(b"connection", b"Upgrade");
            head.push_raw(b"sec-websocket-accept", accept.as_bytes());
        }
        if let Some(protocol) = protocol {
            if !is_token(protocol.as_bytes()) {
                return Err(FieldError::Value("sec-websocket-protocol".into()));
            }
            head.push_raw(b"sec-websocket-protocol", protocol.as_bytes());
        }
        if let Some(deflate) = &self.deflate {
            head.push_raw(b"sec-websocket-extensions", deflate.answer().as_bytes());
        }
        for (name, value) in fields {
            // What the handshake itself decides is not the application's to say.
            let ours = [
                &b"sec-websocket-accept"[..],
                b"sec-websocket-extensions",
                b"sec-websocket-protocol",
                b"content-length",
            ];
            if !ours.iter().any(|ours| name.eq_ignore_ascii_case(ours)) {
                head.push(name, value)?;
            }
        }
        Ok(head)
    }
}

fn accept_of(head: &RequestHead) -> Result<String, Refusal> {
    let bad = Refusal { status: 400, why: "Sec-WebSocket-Key is not 16 bytes in base64" };
    let key = value(head, b"sec-websocket-key")?.ok_or(bad)?;
    if !BASE64.decode(key).is_ok_and(|key| key.len() == 16) {
        return Err(bad);
    }
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    Ok(BASE64.encode(&digest))
}

fn named(head: &RequestHead, end: &str) -> bool {
    let names = head.fields().map(|field| field.name);
    names.filter_map(|name| name.strip_prefix(b"sec-websocket-")).any(|rest| rest == end.as_bytes())
}

fn all<'a>(head: &'a RequestHead, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    head.fields().filter(move |field| field.name == name).map(|field| field.value)
}

/// The value of a field that may stand once.
fn value<'a>(head: &'a RequestHead, name: &'static [u8]) -> Result<Option<&'a [u8]>, Refusal> {
    let mut values = all(head, name);
    let first = values.next();
    if values.next().is_some() {
        return Err(Refusal {
            status: 400,
            why: "a field of the WebSocket handshake stands twice",
        });
    }
    Ok(first)
}

fn has(head: &RequestHead, name: &'static [u8], word: &[u8]) -> bool {
    all(head, name).any(|value| list_has(value, word))
}
