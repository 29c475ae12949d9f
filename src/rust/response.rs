//! What handlers in Rust answer with.

use std::future::poll_fn;

use bytes::Bytes;
use http_body::{Body as _, Frame};

use super::body::{Body, Kind, Stream};
use super::handler::What;
use crate::http::{FieldError, ResponseHead, ResponseWriter, WriteError};

/// A response: status, headers, body.
///
/// ```
/// use gohttp::Response;
///
/// let made = Response::json(r#"{"id": 7}"#).with_status(201).with_header("Location", "/items/7");
/// assert_eq!(made.status(), 201);
/// ```
#[derive(Debug)]
pub struct Response {
    head: ResponseHead,
    body: Body,
    /// A header that may not be sent.
    fault: Option<FieldError>,
}

impl Response {
    /// A response without headers. `status` is 200 to 999; anything else is sent as 500.
    pub fn new(status: u16, body: impl Into<Body>) -> Self {
        Self { head: ResponseHead::new(final_status(status)), body: body.into(), fault: None }
    }

    /// A 200 of plain text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::of_type("text/plain; charset=utf-8", text.into())
    }

    /// A 200 of HTML.
    pub fn html(html: impl Into<String>) -> Self {
        Self::of_type("text/html; charset=utf-8", html.into())
    }

    /// A 200 of JSON, which the caller has made.
    pub fn json(json: impl Into<String>) -> Self {
        Self::of_type("application/json", json.into())
    }

    /// A 200 of this media type.
    pub fn of_type(media_type: &str, body: impl Into<Body>) -> Self {
        Self::new(200, body).with_header("content-type", media_type)
    }

    /// Leads the client elsewhere, to be asked with GET (303). `location` is a URL or a path, as it
    /// is to be sent.
    pub fn redirect(location: &str) -> Self {
        Self::new(303, Bytes::new()).with_header("location", location)
    }

    /// With another status, 200 to 999.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.head.set_status(final_status(status));
        self
    }

    /// With one more header. Those of the framing (`Transfer-Encoding`, …) are the server's and are
    /// left out. A name or value that may not stand in a header, such as one with a line break,
    /// makes a 500 of the response, and a line in the log.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        if let Err(error) = self.head.push(name.as_bytes(), value.as_ref()) {
            self.fault.get_or_insert(error);
        }
        self
    }

    /// The status.
    pub fn status(&self) -> u16 {
        self.head.status()
    }

    /// Whether all of it is there: [`Self::send`] then waits for nobody.
    pub(super) fn is_whole(&self) -> bool {
        matches!(self.body.0, Kind::Whole(_))
    }

    /// Sends it; `what` is the request, for the log.
    pub(super) async fn send(self, what: &What, mut writer: ResponseWriter) {
        if let Some(fault) = self.fault {
            log::error!(target: "gohttp.error", "{what}: {fault}; answered with 500");
            return writer.fail(500);
        }
        let sent = match (writer.start(self.head), self.body.0) {
            (Ok(()), Kind::Whole(bytes)) => {
                // To HEAD, too, it is told.
                writer.declare_length(bytes.len() as u64);
                writer.finish(bytes)
            }
            (Ok(()), Kind::Stream(body)) => stream(body, what, &mut writer).await,
            (Err(error), _) => Err(error),
        };
        // A client that has gone is nobody's error.
        if let Err(error @ WriteError::Short(_)) = sent {
            log::error!(target: "gohttp.error", "{what}: {error}; the connection was closed");
        }
    }
}

/// A final response's status (RFC 9110 section 15); interim ones are none.
fn final_status(status: u16) -> u16 {
    if (200..=999).contains(&status) { status } else { 500 }
}

/// Sends a body piece by piece, as the client takes it. If the client goes, the body is dropped
/// where it waits.
async fn stream(
    mut body: Stream,
    what: &What,
    writer: &mut ResponseWriter,
) -> Result<(), WriteError> {
    if let Some(length) = body.size_hint().exact() {
        writer.declare_length(length);
    }
    if what.is_head {
        // A stream may be endless, and none of it is sent.
        return writer.finish(Bytes::new());
    }
    loop {
        poll_fn(|cx| writer.poll_room(cx)).await;
        let next = poll_fn(|cx| {
            let next = body.as_mut().poll_frame(cx);
            if next.is_pending() {
                // The head leaves before a long wait. A client gone is met just below.
                let _ = writer.flush();
                return writer.poll_closed(cx).map(|()| Err(WriteError::Gone));
            }
            next.map(Ok)
        });
        match next.await? {
            None => return writer.finish(Bytes::new()),
            Some(Ok(frame)) => {
                if !give(writer, frame)? {
                    return Ok(());
                }
            }
            Some(Err(error)) => {
                log::error!(target: "gohttp.error", "{what}: its body failed: {error}; the response was cut");
                writer.abort();
                return Ok(());
            }
        }
    }
}

/// Gives a part of the body. Returns whether more may follow.
fn give(writer: &mut ResponseWriter, frame: Frame<Bytes>) -> Result<bool, WriteError> {
    match frame.into_data() {
        Ok(data) => writer.write(data).map(|()| true),
        Err(frame) => {
            let mut trailers = ResponseHead::new(200);
            if let Ok(fields) = frame.into_trailers() {
                for (name, value) in &fields {
                    // What http allows in a field, ours does too, or it is left out.
                    let _ = trailers.push(name.as_str().as_bytes(), value.as_bytes());
                }
            }
            writer.finish_with_trailers(trailers).map(|()| false)
        }
    }
}

/// What a handler may return.
///
/// ```
/// use gohttp::{IntoResponse, Response};
///
/// fn find(id: u32) -> Result<String, (u16, &'static str)> {
///     if id == 7 { Ok("seven".into()) } else { Err((404, "there is no such item")) }
/// }
///
/// assert_eq!(find(7).into_response().status(), 200);
/// assert_eq!(find(8).into_response().status(), 404);
/// ```
pub trait IntoResponse {
    /// The response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

/// Plain text.
impl IntoResponse for &'static str {
    fn into_response(self) -> Response {
        Response::of_type("text/plain; charset=utf-8", self)
    }
}

/// Plain text.
impl IntoResponse for String {
    fn into_response(self) -> Response {
        Response::text(self)
    }
}

/// Bytes of no known type.
impl IntoResponse for Bytes {
    fn into_response(self) -> Response {
        Response::of_type("application/octet-stream", self)
    }
}

/// Bytes of no known type.
impl IntoResponse for Vec<u8> {
    fn into_response(self) -> Response {
        Response::of_type("application/octet-stream", self)
    }
}

/// An empty response with this status.
impl IntoResponse for u16 {
    fn into_response(self) -> Response {
        Response::new(self, Bytes::new())
    }
}

/// The same with another status.
impl<R: IntoResponse> IntoResponse for (u16, R) {
    fn into_response(self) -> Response {
        self.1.into_response().with_status(self.0)
    }
}

/// `None` is a 404.
impl<R: IntoResponse> IntoResponse for Option<R> {
    fn into_response(self) -> Response {
        match self {
            Some(response) => response.into_response(),
            None => (404, "404 Not Found\n").into_response(),
        }
    }
}

impl<R: IntoResponse, E: IntoResponse> IntoResponse for Result<R, E> {
    fn into_response(self) -> Response {
        match self {
            Ok(response) => response.into_response(),
            Err(response) => response.into_response(),
        }
    }
}

/// What the client's fault is answered with: 413 for [`BodyError::TooLarge`], 400, 408.
///
/// [`BodyError::TooLarge`]: crate::http::BodyError::TooLarge
impl IntoResponse for crate::http::BodyError {
    fn into_response(self) -> Response {
        (self.status(), format!("{self}\n")).into_response()
    }
}
