//! Which function a request belongs to.

use std::ffi::c_void;
use std::sync::{Arc, PoisonError, RwLock};

use percent_encoding::{AsciiSet, CONTROLS, percent_decode, utf8_percent_encode};

use super::compat::ArticleFunction;
use super::error::Fault;
use crate::http::{RequestHead, ResponseHead};
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
        let host = String::from_utf8_lossy(head.host().unwrap_or_default());
        let host = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
        let path = percent_decode(head.path()).decode_utf8_lossy();
        match mux.find(host, &path) {
            Match::Handler(route) => Found::Target(route.target, route.pattern.clone(), Vec::new()),
            Match::Redirect(path) => Found::Answer(redirect(&encode(&path), head.query())),
            Match::None => Found::Answer(ResponseHead::new(404)),
        }
    }
}

/// A decoded path, percent-encoded anew.
fn encode(path: &str) -> String {
    const PATH: &AsciiSet = &CONTROLS
        .add(b' ')
        .add(b'"')
        .add(b'#')
        .add(b'<')
        .add(b'>')
        .add(b'?')
        .add(b'`')
        .add(b'%')
        .add(b'\\');
    utf8_percent_encode(path, PATH).to_string()
}

/// 301 as Go's mux sends it.
fn redirect(path: &str, query: &[u8]) -> ResponseHead {
    let mut location = path.as_bytes().to_vec();
    if !query.is_empty() {
        location.push(b'?');
        location.extend_from_slice(query);
    }
    let mut head = ResponseHead::new(301);
    match head.push(b"location", &location) {
        Ok(_) => head,
        Err(_) => ResponseHead::new(400),
    }
}
