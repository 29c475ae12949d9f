//! Which function a request belongs to, and the crew's handler that calls it.

use std::sync::{Arc, PoisonError, RwLock};

use bytes::Bytes;

use super::call::{Values, answer};
use super::error::Fault;
use super::target::Target;
use crate::crew::Handler;
use crate::http::{Request, RequestHead, ResponseHead, ResponseWriter, redirect};
use crate::mux::{Match, Mux};

#[derive(Debug, Clone)]
struct Route {
    target: Target,
    pattern: Arc<str>,
}

/// Where a request goes.
pub(super) enum Found {
    /// To a function; the pattern that was registered, and what its wildcards took.
    Target(Target, Arc<str>, Values),
    /// Nowhere: this is the answer.
    Answer(ResponseHead),
}

/// Patterns and their functions. They may be added to while requests are served.
#[derive(Debug, Default)]
pub(super) struct Routes(RwLock<Mux<Route>>);

impl Routes {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Registers a function.
    pub(super) fn handle(&self, pattern: &str, target: Target) -> Result<(), Fault> {
        let route = Route { target, pattern: pattern.into() };
        let mut mux = self.0.write().unwrap_or_else(PoisonError::into_inner);
        Ok(mux.handle(pattern, route)?)
    }

    /// Finds a request's function. All that is known here of the mux is in this function.
    pub(super) fn find(&self, head: &RequestHead) -> Found {
        let mux = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match mux.find(head.method(), head.host().unwrap_or_default(), head.path()) {
            Match::Handler { handler, values, .. } => {
                let values = values.iter().map(|(name, value)| (name.into(), value.into()));
                Found::Target(handler.target, handler.pattern.clone(), values.collect())
            }
            Match::Redirect(path) => Found::Answer(redirect(head, &path)),
            Match::MethodNotAllowed(allow) => {
                let mut answer = ResponseHead::new(405);
                // Methods are tokens.
                let _ = answer.push(b"allow", allow.join(", ").as_bytes());
                Found::Answer(answer)
            }
            Match::None => Found::Answer(ResponseHead::new(404)),
        }
    }
}

/// Answers requests by functions of C.
pub(super) struct Functions(pub(super) Arc<Routes>);

impl Handler for Functions {
    fn handle(&self, request: Request, mut writer: ResponseWriter) {
        match self.0.find(&request.head) {
            Found::Target(target, pattern, values) => {
                answer(target, pattern, values, request, writer);
            }
            Found::Answer(head) if head.status() == 404 => writer.fail(404),
            Found::Answer(head) => {
                // The only error here is a client gone, whom nothing can be told.
                let _ = writer.respond(head, Bytes::new());
            }
        }
    }
}
