//! What follows once it is known where a request goes.

use bytes::Bytes;

use super::table::{By, Found};
use crate::asgi::InboxDispatch;
use crate::http::{Dispatch, Request, ResponseHead, ResponseWriter, Room, reason_phrase, redirect};
use crate::native::Route;

/// A request that is for a thread.
pub(super) enum Onward {
    /// With Python.
    Python(Request, ResponseWriter),
    /// Without.
    Bare(Request, ResponseWriter),
}

/// Answers requests, or gives them to the event loop.
pub(super) struct Ways {
    /// Where there are ASGI applications.
    event_loop: Option<InboxDispatch>,
}

impl Ways {
    pub(super) fn new(event_loop: Option<InboxDispatch>) -> Self {
        Self { event_loop }
    }

    /// Sends a request where it goes. Gives it back if that is a thread.
    pub(super) fn go(
        &self,
        found: Found,
        mut request: Request,
        mut writer: ResponseWriter,
    ) -> Option<Onward> {
        match found {
            Found::To(by, routed) => {
                let only_http = !matches!(by, By::Loop) && !routed.target.is::<Route>();
                request.routed = Some(routed);
                match (by, &self.event_loop) {
                    // 200 would tell the client that its protocol is spoken (RFC 8441 section 5).
                    _ if only_http && request.head.protocol().is_some() => writer.fail(501),
                    (By::Thread, _) => return Some(Onward::Python(request, writer)),
                    (By::Bare, _) => return Some(Onward::Bare(request, writer)),
                    (By::Loop, Some(event_loop)) => event_loop.dispatch(request, writer),
                    // There is a loop where there are applications for it.
                    (By::Loop, None) => writer.fail(500),
                    (By::Engine(answers), _) => answers.dispatch(request, writer),
                }
            }
            Found::Redirect(path) => {
                respond_with(redirect(&request.head, &path), Bytes::new(), &mut writer);
            }
            Found::NotAllowed(allow) => {
                let mut head = plain(405);
                // Methods are tokens.
                let _ = head.push(b"allow", allow.join(", ").as_bytes());
                respond(head, &mut writer);
            }
            // What the server as a whole can do (RFC 9110 section 9.3.7): nothing to tell, as Go.
            Found::Nothing if request.head.path() == b"*" && request.head.protocol().is_none() => {
                let mut head = ResponseHead::new(200);
                head.set_content_length(0);
                respond_with(head, Bytes::new(), &mut writer);
            }
            Found::Nothing => respond(plain(404), &mut writer),
        }
        None
    }

    /// Whether a client may have its stream speak `protocol`, as far as that depends on no path.
    pub(super) fn speaks(&self, protocol: &[u8]) -> bool {
        // Native handlers speak it; so does the loop, if there is one.
        protocol == b"websocket"
    }

    pub(super) fn tick(&self) {
        if let Some(event_loop) = &self.event_loop {
            event_loop.tick();
        }
    }

    /// The event loop's, if there is one.
    pub(super) fn room(&self) -> Option<Room> {
        self.event_loop.as_ref().map(Dispatch::room)
    }
}

fn plain(status: u16) -> ResponseHead {
    ResponseHead::text(status, body(status).len())
}

fn body(status: u16) -> String {
    format!("{status} {}\n", reason_phrase(status))
}

fn respond(head: ResponseHead, writer: &mut ResponseWriter) {
    let body = body(head.status());
    respond_with(head, body.into(), writer);
}

fn respond_with(head: ResponseHead, body: Bytes, writer: &mut ResponseWriter) {
    // The only error here is a client gone, whom nothing can be told.
    let _ = writer.respond(head, body);
}
