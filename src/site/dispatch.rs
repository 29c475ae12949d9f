//! The engine's end of a site: who answers which request.

use std::sync::Arc;

use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::table::{By, Found, Shared};
use crate::asgi::InboxDispatch;
use crate::bridge::baton::BatonDispatch;
use crate::bridge::places::Places;
use crate::http::{
    Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter, Room, reason_phrase,
    redirect,
};

/// What may not stand in a path as it is (RFC 3986 section 3.3); `%` may be an escape already.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Who runs requests.
pub(super) struct Runners {
    pub(super) threads: BatonDispatch,
    /// Where there are ASGI applications.
    pub(super) event_loop: Option<InboxDispatch>,
    /// What limits coroutines, those of `async def` handlers too.
    pub(super) places: Arc<Places>,
}

/// Gives requests to threads, to the event loop, or answers them.
pub(super) struct SiteDispatch {
    table: Shared,
    /// As clients send it: percent-encoded.
    root_path: String,
    runners: Runners,
}

impl SiteDispatch {
    /// `root_path`: what a proxy may have left before the paths.
    pub(super) fn new(table: Shared, root_path: &str, runners: Runners) -> Self {
        let root_path = utf8_percent_encode(root_path.trim_end_matches('/'), PATH).to_string();
        Self { table, root_path, runners }
    }

    fn find(&self, head: &RequestHead) -> Found {
        let whole = head.path();
        let path = match whole.strip_prefix(self.root_path.as_bytes()) {
            Some([]) => b"/",
            Some(below) if below[0] == b'/' => below,
            _ => whole,
        };
        // On HTTP/2 a WebSocket begins with CONNECT where HTTP/1.1 has GET (RFC 8441 section 5).
        let method = match head.protocol() {
            Some(b"websocket") => b"GET",
            _ => head.method(),
        };
        match self.table.find(method, head.host().unwrap_or_default(), path) {
            // To clients the prefix is there, whether the proxy has taken it away or not.
            Found::Redirect(path) => Found::Redirect(format!("{}{path}", self.root_path)),
            found => found,
        }
    }
}

impl Dispatch for SiteDispatch {
    fn dispatch(&self, mut request: Request, mut writer: ResponseWriter) {
        match self.find(&request.head) {
            Found::To(by, routed) => {
                request.routed = Some(routed);
                match (by, &self.runners.event_loop) {
                    (By::Thread, _) => self.runners.threads.dispatch(request, writer),
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
            Found::Nothing if request.head.path() == b"*" => {
                let mut head = ResponseHead::new(200);
                head.set_content_length(0);
                respond_with(head, Bytes::new(), &mut writer);
            }
            Found::Nothing => respond(plain(404), &mut writer),
        }
    }

    fn tick(&self) {
        self.runners.threads.tick();
        self.runners.places.tick();
        if let Some(event_loop) = &self.runners.event_loop {
            event_loop.tick();
        }
    }

    fn room(&self) -> Room {
        // Who comes next is not known.
        match &self.runners.event_loop {
            Some(event_loop) => event_loop.room(),
            None => self.runners.threads.room(),
        }
    }

    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        match self.find(head) {
            Found::To(By::Thread, _) => self.runners.threads.prebuffer(head),
            _ => Prebuffer::default(),
        }
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
