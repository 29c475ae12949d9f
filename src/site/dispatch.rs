//! The engine's end of a site: who answers which request.

use std::sync::Arc;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::gate::Gate;
use super::table::{By, Found, Shared};
use super::ways::{Onward, Ways};
use crate::asgi::InboxDispatch;
use crate::bridge::baton::BatonDispatch;
use crate::bridge::places::Places;
use crate::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseWriter, Room};
use crate::middleware::{Entered, Stack};

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
    threads: BatonDispatch,
    ways: Arc<Ways>,
    places: Arc<Places>,
}

impl SiteDispatch {
    /// `root_path`: what a proxy may have left before the paths.
    pub(super) fn new(table: Shared, root_path: &str, runners: Runners) -> Self {
        let root_path = utf8_percent_encode(root_path.trim_end_matches('/'), PATH).to_string();
        let Runners { threads, event_loop, places } = runners;
        Self { table, root_path, threads, ways: Arc::new(Ways::new(event_loop)), places }
    }

    /// Where a request goes, and the layers on its way there.
    fn find(&self, head: &RequestHead) -> (Found, Stack) {
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
        let mut stack = Stack::default();
        let host = head.host().unwrap_or_default();
        let found = match self.table.find(method, host, path, &mut stack) {
            // To clients the prefix is there, whether the proxy has taken it away or not.
            Found::Redirect(path) => Found::Redirect(format!("{}{path}", self.root_path)),
            found => found,
        };
        (found, stack)
    }

    /// Sends a request through the layers. Gives it back if it came through.
    fn enter(
        &self,
        found: Found,
        stack: Stack,
        mut request: Request,
        mut writer: ResponseWriter,
    ) -> Option<(Found, Request, ResponseWriter)> {
        match stack.enter(&mut request, &mut writer) {
            Entered::Through => Some((found, request, writer)),
            Entered::Answered => None,
            Entered::Waits(at) => {
                request.routed = Some(Gate::target(stack, at, found, self.ways.clone()));
                self.threads.dispatch(request, writer);
                None
            }
        }
    }
}

impl Dispatch for SiteDispatch {
    fn dispatch(&self, mut request: Request, writer: ResponseWriter) {
        let (found, stack) = self.find(&request.head);
        let onward = match found {
            found if !stack.is_empty() => self
                .enter(found, stack, request, writer)
                .and_then(|(found, request, writer)| self.ways.go(found, request, writer)),
            // The usual case, without moving everything about.
            Found::To(By::Thread, routed) if request.head.protocol().is_none() => {
                request.routed = Some(routed);
                return self.threads.dispatch(request, writer);
            }
            found => self.ways.go(found, request, writer),
        };
        match onward {
            Some(Onward::Python(request, writer)) => self.threads.dispatch(request, writer),
            Some(Onward::Bare(request, writer)) => self.threads.dispatch_bare(request, writer),
            None => {}
        }
    }

    fn speaks(&self, protocol: &[u8]) -> bool {
        self.ways.speaks(protocol)
    }

    fn tick(&self) {
        self.threads.tick();
        self.places.tick();
        self.ways.tick();
    }

    fn room(&self) -> Room {
        // Who comes next is not known.
        self.ways.room().unwrap_or_else(|| self.threads.room())
    }

    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        match self.find(head) {
            (Found::To(By::Thread | By::Bare, _), stack) if stack.awaits_body(head) => {
                self.threads.prebuffer(head)
            }
            _ => Prebuffer::default(),
        }
    }
}
