//! The engine's end of a table: who answers which request.

use bytes::Bytes;
use tokio::runtime::Handle;

use super::Mux;
use super::handler::{self, Call};
use super::mux::Target;
use crate::crew::CrewDispatch;
use crate::http::{
    Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter, Routed, redirect,
};
use crate::mux::{Match, mounted_at};

/// Gives requests to async tasks, to threads, or to what is mounted.
pub(super) struct MuxDispatch {
    pub(super) mux: Mux,
    pub(super) threads: CrewDispatch,
    /// Where async handlers run.
    pub(super) runtime: Handle,
}

impl MuxDispatch {
    fn find(&self, head: &RequestHead) -> Match<'_, Target> {
        self.mux.table.find(head.method(), head.host().unwrap_or_default(), head.path())
    }
}

impl Dispatch for MuxDispatch {
    fn dispatch(&self, mut request: Request, mut writer: ResponseWriter) {
        match self.find(&request.head) {
            // Handlers in Rust speak HTTP only, whatever is mounted beside them speaks.
            Match::Handler { handler: Target::Route(_), .. }
                if request.head.protocol().is_some() =>
            {
                writer.fail(501);
            }
            Match::Handler { handler: Target::Route(route), values, .. } => {
                let text = |(_, value)| String::from_utf8_lossy(value).into_owned();
                let values: Vec<String> = values.iter().map(text).collect();
                match &route.call {
                    Call::Async(_) => {
                        let answer = handler::run(route.clone(), request, values, writer);
                        self.runtime.spawn(answer);
                    }
                    Call::Blocking(_) => {
                        request.routed = Some(Routed { target: route.clone(), values });
                        self.threads.dispatch(request, writer);
                    }
                }
            }
            Match::Handler { handler: Target::Files(files), pattern, .. } => {
                let path = request.head.path();
                files.answer(&request.head, &path[mounted_at(pattern, path)..], writer);
            }
            Match::Handler { handler: Target::Mount(mounted), .. } => match mounted.started.get() {
                Some(app) => app.dispatch(request, writer),
                // A server begins when all is started.
                None => writer.fail(503),
            },
            Match::Redirect(path) => {
                // The only error here is a client gone, whom nothing can be told.
                let _ = writer.respond(redirect(&request.head, &path), Bytes::new());
            }
            Match::MethodNotAllowed(allow) => {
                let body = "405 Method Not Allowed\n";
                let mut head = ResponseHead::text(405, body.len());
                head.push_raw(b"allow", allow.join(", ").as_bytes());
                let _ = writer.respond(head, body.into());
            }
            Match::None => writer.fail(404),
        }
    }

    fn tick(&self) {
        self.threads.tick();
        for (_, mounted) in &self.mux.mounts {
            if let Some(app) = mounted.started.get() {
                app.tick();
            }
        }
    }

    fn speaks(&self, protocol: &[u8]) -> bool {
        let mut apps = self.mux.mounts.iter().filter_map(|(_, mounted)| mounted.started.get());
        apps.any(|app| app.speaks(protocol))
    }

    fn prebuffer(&self, head: &RequestHead) -> Prebuffer {
        match self.find(head) {
            Match::Handler { handler: Target::Route(route), .. } => match route.call {
                Call::Async(_) => Prebuffer::default(),
                Call::Blocking(_) => self.threads.prebuffer(head),
            },
            Match::Handler { handler: Target::Mount(mounted), .. } => {
                mounted.started.get().map(|app| app.prebuffer(head)).unwrap_or_default()
            }
            _ => Prebuffer::default(),
        }
    }
}
