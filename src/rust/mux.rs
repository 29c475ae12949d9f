//! The table of routes.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::handler::{Call, Route};
use super::{IntoResponse, Request};
use crate::files::Files;
use crate::http::Dispatch;
use crate::mux::{self, PatternError};

/// What a pattern leads to.
pub(super) enum Target {
    Route(Arc<Route>),
    Files(Files),
    Mount(Arc<Mounted>),
}

/// Something that answers all below a prefix, once its server has begun.
pub(super) struct Mounted {
    pub(super) mount: Box<dyn Mount>,
    pub(super) started: OnceLock<Arc<dyn Dispatch>>,
}

/// What has been started, until it is stopped: when a server has ended, or does not begin after all.
#[derive(Default)]
pub(super) struct Started(Vec<Arc<Mounted>>);

impl Started {
    /// Stops all, the last to start first; `left` says how much time there is.
    pub(super) fn stop(&mut self, left: impl Fn() -> Duration) {
        while let Some(mounted) = self.0.pop() {
            mounted.mount.stop(left());
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // No request has come, or none is answered any more.
        self.stop(|| Duration::ZERO);
    }
}

/// What can be mounted in a [`Mux`]: with the feature `embed` a `PythonApp`, and whatever else
/// answers requests of the engine.
pub trait Mount: Send + Sync + 'static {
    /// Makes what answers, for the server that begins. `prefix` is where it is, decoded and without
    /// a slash at the end; requests come with their whole path.
    ///
    /// # Errors
    /// Why it cannot be served, in a sentence.
    fn start(&self, prefix: &str) -> Result<Arc<dyn Dispatch>, Box<dyn Error + Send + Sync>>;

    /// The server has ended, or does not begin after all: no request is in flight any more, unless
    /// the stop has cut it. Called once for each [`Self::start`] that has succeeded. May wait, for
    /// `timeout` at most and a moment more.
    fn stop(&self, timeout: Duration) {
        let _ = timeout;
    }
}

/// Patterns and their handlers, as Go's ServeMux: the most specific pattern wins, whatever the
/// order of registration.
///
/// A pattern is `[METHOD ][HOST]/[PATH]`: see [`crate::mux`]. `GET` patterns take HEAD too; a path
/// that is there with other methods only gets 405.
///
/// ```
/// use gohttp::{Mux, Request, Response};
///
/// # fn main() -> Result<(), gohttp::mux::PatternError> {
/// let mut mux = Mux::new();
/// mux.handle("GET /items/{id}", async |req: Request| {
///     Response::text(format!("item {}", req.value("id").unwrap_or_default()))
/// })?;
/// mux.handle_blocking("POST /items", |mut req: Request| {
///     std::io::read_to_string(&mut req).map_err(|error| (400, error.to_string()))
/// })?;
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Mux {
    pub(super) table: mux::Mux<Target>,
    /// In the table too; here with their prefixes.
    pub(super) mounts: Vec<(String, Arc<Mounted>)>,
}

impl Mux {
    /// A table without routes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Has an async handler answer a pattern. All of a server's run on its one thread that drives
    /// the I/O at the time, unless it is given a [runtime](super::Builder::runtime): they must not
    /// block. If the client goes, the handler is dropped where it waits.
    ///
    /// # Errors
    /// [`PatternError`] if the pattern is malformed, or in conflict with another.
    pub fn handle<H, F>(&mut self, pattern: &str, handler: H) -> Result<(), PatternError>
    where
        H: Fn(Request) -> F + Send + Sync + 'static,
        F: Future<Output: IntoResponse> + Send + 'static,
    {
        let call = move |request| {
            let answering = handler(request);
            Box::pin(async move { answering.await.into_response() }) as _
        };
        self.register(pattern, Call::Async(Box::new(call)))
    }

    /// Has a handler answer a pattern that may block: it runs on a thread, while others serve.
    ///
    /// # Errors
    /// As [`Self::handle`].
    pub fn handle_blocking<H, R>(&mut self, pattern: &str, handler: H) -> Result<(), PatternError>
    where
        H: Fn(Request) -> R + Send + Sync + 'static,
        R: IntoResponse,
    {
        let call = move |request| handler(request).into_response();
        self.register(pattern, Call::Blocking(Box::new(call)))
    }

    fn register(&mut self, pattern: &str, call: Call) -> Result<(), PatternError> {
        let names = mux::wildcards(pattern)?;
        let route = Route { pattern: pattern.into(), names, call };
        self.table.handle(pattern, Target::Route(Arc::new(route)))
    }

    /// Serves the files of `directory` below a prefix, as [`Files`] does.
    ///
    /// # Errors
    /// If it is no directory, or may not be entered; `InvalidInput` with a [`PatternError`] for the
    /// prefix.
    pub fn files(&mut self, prefix: &str, directory: impl AsRef<Path>) -> io::Result<()> {
        let directory = directory.as_ref();
        let files = Files::open(directory).map_err(|error| {
            io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
        })?;
        self.table.mount(prefix, Target::Files(files)).map_err(invalid)
    }

    /// Has `app` answer all below a prefix, with all methods. It is started with the server.
    ///
    /// # Errors
    /// [`PatternError`] if the prefix has a method or wildcards, or is malformed or taken.
    pub fn mount(&mut self, prefix: &str, app: impl Mount) -> Result<(), PatternError> {
        let mounted = Mounted { mount: Box::new(app), started: OnceLock::new() };
        let mounted = Arc::new(mounted);
        self.table.mount(prefix, Target::Mount(mounted.clone()))?;
        self.mounts.push((prefix.to_owned(), mounted));
        Ok(())
    }

    /// Registers all of `other` below a prefix: its `GET /x` under `/v1` becomes `GET /v1/x`.
    ///
    /// # Errors
    /// [`PatternError`] if that is malformed or in conflict; nothing is registered then.
    pub fn merge(&mut self, prefix: &str, other: Self) -> Result<(), PatternError> {
        let Self { table, mounts } = other;
        self.table.merge(prefix, table)?;
        for (below, mounted) in mounts {
            // A host stands in one of them at most, or they could not have been merged.
            let (host, path) = below.split_at(below.find('/').unwrap_or(0));
            self.mounts.push((format!("{host}{}{path}", prefix.trim_end_matches('/')), mounted));
        }
        Ok(())
    }

    /// Starts what is mounted, for a server that begins.
    ///
    /// # Errors
    /// The prefix of the one that cannot be, and why. Those before it have been stopped.
    pub(super) fn start(&self) -> Result<Started, (String, Box<dyn Error + Send + Sync>)> {
        let mut all = Started::default();
        for (prefix, mounted) in &self.mounts {
            let started = mounted.mount.start(&place(prefix));
            let started = started.map_err(|error| (prefix.clone(), error))?;
            // A table is started once.
            let _ = mounted.started.set(started);
            all.0.push(mounted.clone());
        }
        Ok(all)
    }
}

/// A prefix without its host, as applications see it.
fn place(prefix: &str) -> String {
    let path = &prefix[prefix.find('/').unwrap_or(prefix.len())..];
    let path = percent_encoding::percent_decode_str(path.trim_end_matches('/'));
    path.decode_utf8_lossy().into_owned()
}

fn invalid(error: PatternError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

impl fmt::Debug for Mux {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.table.patterns().map(|(pattern, _)| pattern)).finish()
    }
}
