//! Which function a request belongs to.

use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock};

use super::compat::ArticleFunction;
use super::error::Fault;
use crate::http::{RequestHead, ResponseHead, redirect};
use crate::mux::{Match, Mux};

/// A handler of the fuller API; see [`super::response::gohttp_handler`].
pub(super) type Function = unsafe extern "C" fn(w: u32, r: u32, data: *mut c_void);

/// A function of C's that answers requests.
#[derive(Debug, Clone, Copy)]
pub(super) enum Target {
    /// As the article has it.
    Article(ArticleFunction),
    /// Of the fuller API, with what it is given besides.
    Full(Function, UserData),
}

/// A pointer of the program's, which only the program follows.
#[derive(Debug, Clone, Copy)]
pub(super) struct UserData(pub(super) *mut c_void);

#[expect(unsafe_code, reason = "raw pointers are not Send by themselves")]
// SAFETY: the library never follows the pointer. It hands it to the program's own functions, which
// are called from many threads, as the header says.
unsafe impl Send for UserData {}

#[expect(unsafe_code, reason = "raw pointers are not Sync by themselves")]
// SAFETY: as for Send.
unsafe impl Sync for UserData {}

#[derive(Debug, Clone)]
struct Route {
    target: Target,
    pattern: Arc<str>,
}

/// Where a request goes.
pub(super) enum Found {
    /// To a function; the pattern that was registered, and what its wildcards took.
    Target(Target, Arc<str>, Vec<(Box<str>, Box<[u8]>)>),
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
