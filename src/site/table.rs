//! The table of routes that Python fills, and what a path finds in it.

use std::any::Any;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use percent_encoding::percent_decode_str;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use rustc_hash::FxHashMap;

use super::functions::Function;
use super::layer::ReadyLayer;
use super::static_files::StaticFiles;
use crate::asgi::AsgiMount;
use crate::files::Files;
use crate::http::{Dispatch, Routed};
use crate::middleware::{Layer, Layers, Stack};
use crate::mux::{Match, Mux, PatternError};
use crate::native::Route;
use crate::wsgi::WsgiMount;

/// What a pattern leads to.
#[derive(Clone)]
enum Target {
    Native(Arc<Route>),
    Function(Arc<Function>),
    Wsgi(Arc<WsgiMount>),
    Asgi(Arc<AsgiMount>),
    /// Another table, under a prefix of so many segments.
    Table(Arc<Py<Routes>>, usize),
    /// What the engine answers itself, under a prefix of so many segments.
    Engine(Arc<dyn Dispatch>, usize),
}

impl Target {
    /// Where what it shares with its clones is.
    fn address(&self) -> *const () {
        match self {
            Self::Native(route) => Arc::as_ptr(route).cast(),
            Self::Function(function) => Arc::as_ptr(function).cast(),
            Self::Wsgi(mount) => Arc::as_ptr(mount).cast(),
            Self::Asgi(mount) => Arc::as_ptr(mount).cast(),
            Self::Table(inner, _) => Arc::as_ptr(inner).cast(),
            Self::Engine(answers, _) => Arc::as_ptr(answers).cast(),
        }
    }
}

/// Who answers a request.
#[derive(Clone)]
pub(super) enum By {
    /// A thread.
    Thread,
    /// The event loop.
    Loop,
    /// A thread without Python.
    Bare,
    /// The engine itself.
    Engine(Arc<dyn Dispatch>),
}

/// Where a request goes.
#[derive(Clone)]
pub(super) enum Found {
    To(By, Routed),
    /// To another path, escaped.
    Redirect(String),
    /// Nowhere with this method; what `Allow` says.
    NotAllowed(Vec<String>),
    Nothing,
}

/// An application under its whole prefix.
pub(super) enum Mounted {
    Wsgi(Arc<WsgiMount>),
    Asgi(Arc<AsgiMount>),
}

#[derive(Default)]
struct Table {
    mux: Mux<Target>,
    /// What all requests meet that come here.
    layers: Option<Layers>,
    /// The objects of Python's that those belong to.
    layer_objects: Vec<Py<ReadyLayer>>,
    /// Prefixes and what is mounted there, in order.
    mounts: Vec<(String, Target)>,
    /// Where this table itself is mounted.
    mounted_at: Option<String>,
    /// How many servers have it: what must be there from the start cannot come while one does.
    serving: usize,
}

impl Table {
    /// Shows the collector what the table alone holds: a handler often refers to the `Mux` that
    /// it is registered in. A target or layers that a request still has are not shown, and so not collected.
    fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let mut here: FxHashMap<*const (), (usize, &Target)> = FxHashMap::default();
        for target in self.mux.handlers().chain(self.mounts.iter().map(|(_, target)| target)) {
            here.entry(target.address()).or_insert((0, target)).0 += 1;
        }
        for (count, target) in here.into_values() {
            match target {
                Target::Native(route) if Arc::strong_count(route) == count => route.visit(visit)?,
                Target::Function(function) if Arc::strong_count(function) == count => {
                    function.visit(visit)?;
                }
                Target::Wsgi(mount) if Arc::strong_count(mount) == count => mount.visit(visit)?,
                Target::Asgi(mount) if Arc::strong_count(mount) == count => mount.visit(visit)?,
                Target::Table(inner, _) if Arc::strong_count(inner) == count => {
                    visit.call(&**inner)?;
                }
                _ => {}
            }
        }
        if self.layers.as_ref().is_some_and(|layers| Arc::strong_count(layers) == 1) {
            self.layer_objects.iter().try_for_each(|layer| visit.call(layer))?;
        }
        Ok(())
    }
}

/// A table that several hold.
#[derive(Clone, Default)]
pub(super) struct Shared(Arc<RwLock<Table>>);

impl Shared {
    fn read(&self) -> RwLockReadGuard<'_, Table> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Table> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds what a path, as sent, leads to. The layers on the way there are put on `stack`.
    pub(super) fn find(&self, method: &[u8], host: &[u8], path: &[u8], stack: &mut Stack) -> Found {
        let table = self.read();
        if let Some(layers) = &table.layers {
            stack.push(layers.clone());
        }
        let (target, values) = match table.mux.find(method, host, path) {
            Match::Handler { handler, values, .. } => {
                let text = |(_, value): (_, &[u8])| String::from_utf8_lossy(value).into_owned();
                (handler, values.iter().map(text).collect())
            }
            Match::Redirect(path) => return Found::Redirect(path),
            Match::MethodNotAllowed(allow) => return Found::NotAllowed(allow),
            Match::None => return Found::Nothing,
        };
        let to = |by, target: Arc<dyn Any + Send + Sync>, values| {
            Found::To(by, Routed { target, values })
        };
        match target {
            Target::Native(route) => to(By::Thread, route.clone(), values),
            Target::Function(function) => to(By::Bare, function.clone(), values),
            Target::Wsgi(mount) => to(By::Thread, mount.clone(), values),
            Target::Asgi(mount) => to(By::Loop, mount.clone(), values),
            Target::Engine(answers, segments) => {
                // What lies below the prefix, as sent: its one value.
                let (_, below) = split_prefix(path, *segments);
                let below = String::from_utf8_lossy(below).into_owned();
                to(By::Engine(answers.clone()), Arc::new(()), vec![below])
            }
            Target::Table(inner, segments) => {
                let (prefix, below) = split_prefix(path, *segments);
                let below = if below.is_empty() { b"/" } else { below };
                match inner.get().0.find(method, host, below, stack) {
                    Found::Redirect(below) => {
                        Found::Redirect(format!("{}{below}", String::from_utf8_lossy(prefix)))
                    }
                    found => found,
                }
            }
        }
    }

    /// All applications with their whole prefixes, this table being at `prefix`.
    pub(super) fn mounts(&self, prefix: &str) -> Vec<(String, Mounted)> {
        let table = self.read();
        let mut all = Vec::new();
        for (place, target) in &table.mounts {
            let whole = format!("{prefix}{place}");
            match target {
                Target::Wsgi(mount) => all.push((whole, Mounted::Wsgi(mount.clone()))),
                Target::Asgi(mount) => all.push((whole, Mounted::Asgi(mount.clone()))),
                Target::Table(inner, _) => all.extend(inner.get().0.mounts(&whole)),
                Target::Native(_) | Target::Function(_) | Target::Engine(..) => {}
            }
        }
        all
    }

    /// One server more has it, and what is mounted in it, or one less. What is mounted does not
    /// change in between.
    fn count_server(&self, count: fn(usize, usize) -> usize) {
        let mut table = self.write();
        table.serving = count(table.serving, 1);
        for (_, target) in &table.mounts {
            if let Target::Table(inner, _) = target {
                inner.get().0.count_server(count);
            }
        }
    }

    /// Whether this is, or holds, `other`.
    fn holds(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || self.read().mounts.iter().any(|(_, target)| match target {
                Target::Table(inner, _) => inner.get().0.holds(other),
                _ => false,
            })
    }
}

/// A path's first `segments` segments, each with the slash before it, and the rest.
fn split_prefix(path: &[u8], segments: usize) -> (&[u8], &[u8]) {
    let end = memchr::memchr_iter(b'/', path).nth(segments).unwrap_or(path.len());
    path.split_at(if segments == 0 { 0 } else { end })
}

/// Patterns and what they lead to, as Go's ServeMux.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Routes(pub(super) Shared);

impl Routes {
    fn mount(&self, prefix: &str, make: impl FnOnce(usize) -> Target) -> PyResult<()> {
        let path = &prefix[prefix.find('/').unwrap_or(prefix.len())..];
        let path = path.strip_suffix('/').unwrap_or(path);
        let target = make(path.matches('/').count());
        let mut table = self.0.write();
        if table.serving > 0 {
            return Err(PyRuntimeError::new_err(format!(
                "nothing can be mounted at {prefix:?} any more: the server is running; mount it \
                 before that"
            )));
        }
        // As applications see it: decoded.
        let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
        table.mux.mount(prefix, target.clone()).map_err(refused)?;
        table.mounts.push((path, target));
        Ok(())
    }
}

fn refused(error: PatternError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

#[pymethods]
impl Routes {
    #[new]
    fn new() -> Self {
        Self(Shared::default())
    }

    /// Registers a handler. Raises `ValueError` for a pattern that is malformed, or in conflict
    /// with another.
    fn handle(&self, pattern: &str, handler: Py<PyAny>, is_async: bool) -> PyResult<()> {
        let names = crate::mux::wildcards(pattern).map_err(refused)?;
        let route = Route { handler, is_async, pattern: pattern.to_owned(), names };
        self.0.write().mux.handle(pattern, Target::Native(Arc::new(route))).map_err(refused)
    }

    /// Puts layers inside of those that are there, around all that the table leads to. Raises
    /// `RuntimeError` while a server runs.
    #[pyo3(name = "use")]
    fn use_layers(&self, layers: Vec<Py<ReadyLayer>>) -> PyResult<()> {
        let mut table = self.0.write();
        if table.serving > 0 {
            return Err(PyRuntimeError::new_err(
                "no middleware can be added any more: the server is running; call use() before that",
            ));
        }
        let before = table.layers.iter().flat_map(|layers| layers.iter().cloned());
        let all: Vec<Arc<dyn Layer>> =
            before.chain(layers.iter().map(|layer| layer.get().layer.clone())).collect();
        table.layers = (!all.is_empty()).then(|| all.into());
        table.layer_objects.extend(layers);
        Ok(())
    }

    /// Registers a function of C that is at `address`: with `data` one of the type gohttp_handler,
    /// else a FuncPtr. `owners` is kept for as long as it may be called.
    fn handle_c(
        &self,
        pattern: &str,
        address: NonZeroUsize,
        data: Option<usize>,
        owners: Py<PyAny>,
    ) -> PyResult<()> {
        let names = crate::mux::wildcards(pattern).map_err(refused)?;
        let function = Arc::new(Function::new(address, data, pattern, names, owners));
        self.0.write().mux.handle(pattern, Target::Function(function)).map_err(refused)
    }

    /// Mounts a WSGI application. Raises `ValueError` for a bad prefix, `RuntimeError` while a
    /// server runs; so do the others.
    fn mount_wsgi(&self, prefix: &str, app: Py<PyAny>) -> PyResult<()> {
        self.mount(prefix, |_| Target::Wsgi(Arc::new(WsgiMount::new(app))))
    }

    /// Mounts an ASGI application.
    fn mount_asgi(&self, prefix: &str, app: Py<PyAny>) -> PyResult<()> {
        self.mount(prefix, |_| Target::Asgi(Arc::new(AsgiMount::new(app))))
    }

    /// Mounts a directory of files. Raises `OSError` if it is none, and as the others.
    fn mount_files(&self, prefix: &str, directory: PathBuf, dot_files: bool) -> PyResult<()> {
        let files = Files::open(&directory).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", directory.display()))
        })?;
        let files = files.with_dot_files(dot_files);
        self.mount(prefix, |segments| Target::Engine(Arc::new(StaticFiles(files)), segments))
    }

    /// Mounts another table, once.
    fn mount_routes(&self, prefix: &str, other: Py<Self>) -> PyResult<()> {
        let inner = &other.get().0.clone();
        if inner.holds(&self.0) {
            return Err(PyValueError::new_err("a Mux cannot be mounted in itself"));
        }
        if let Some(at) = &inner.read().mounted_at {
            return Err(PyValueError::new_err(format!("this Mux is mounted at {at:?} already")));
        }
        self.mount(prefix, |segments| Target::Table(Arc::new(other), segments))?;
        inner.write().mounted_at = Some(prefix.to_owned());
        Ok(())
    }

    /// A server has it from now on: nothing can be mounted until all have called `thaw`.
    fn freeze(&self) {
        self.0.count_server(usize::saturating_add);
    }

    /// A server has ended that had called `freeze`.
    fn thaw(&self) {
        self.0.count_server(usize::saturating_sub);
    }

    /// The ASGI applications in it and in what is mounted in it, with their prefixes.
    fn asgi_apps(&self, py: Python<'_>) -> Vec<(String, Py<PyAny>)> {
        let asgi = |(prefix, mounted)| match mounted {
            Mounted::Asgi(mount) => Some((prefix, mount.app().clone_ref(py))),
            Mounted::Wsgi(_) => None,
        };
        self.0.mounts("").into_iter().filter_map(asgi).collect()
    }

    fn __bool__(&self) -> bool {
        !self.0.read().mux.is_empty()
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Who writes to it is using it. A server's requests are no objects that can be visited.
        match self.0.0.try_read() {
            Ok(table) if table.serving == 0 => table.visit(&visit),
            _ => Ok(()),
        }
    }

    fn __clear__(&self) {
        let table = std::mem::take(&mut *self.0.write());
        // After the lock: what ends may be Python code.
        drop(table);
    }
}
