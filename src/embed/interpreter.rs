//! The interpreter that the program hosts: started once, with the packages of an environment.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use pyo3::prelude::*;
use pyo3::types::PyList;

use super::error::PythonError;
use super::package;
use crate::wake::lock;

/// How Python is started. There is one in a process: the first [`Interpreter::start`] counts, and
/// each [`PythonApp`](super::PythonApp) makes that call if the program has not.
///
/// ```no_run
/// gohttp::Interpreter::new().environment("/srv/shop/.venv").start()?;
/// # Ok::<(), gohttp::PythonError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Interpreter {
    environment: Option<PathBuf>,
    paths: Vec<PathBuf>,
}

/// Whether ours has been made ready, or why it could not be.
static READY: Mutex<bool> = Mutex::new(false);

impl Interpreter {
    /// Python as it is found: with the packages of the environment that is active, as
    /// `VIRTUAL_ENV` says, or else with its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// With the packages of this virtual environment. It must be of the version of Python that the
    /// program is linked with.
    #[must_use]
    pub fn environment(mut self, directory: impl Into<PathBuf>) -> Self {
        self.environment = Some(directory.into());
        self
    }

    /// With a directory before those that Python searches for modules; may be called for several.
    #[must_use]
    pub fn path(mut self, directory: impl Into<PathBuf>) -> Self {
        self.paths.push(directory.into());
        self
    }

    /// Starts Python, unless the program has done so itself, and makes the package `gohttp`
    /// known to it. What a call finds started already is left as it is.
    ///
    /// # Errors
    /// [`PythonError`] if the environment is none, or of another version.
    pub fn start(&self) -> Result<(), PythonError> {
        Python::initialize();
        // The lock must not be waited for by a thread that keeps Python from the one inside.
        Python::attach(|py| {
            py.detach(|| {
                let mut ready = lock(&READY);
                if !*ready {
                    Python::attach(|py| self.prepare(py))?;
                    *ready = true;
                }
                Ok(())
            })
        })
    }

    fn prepare(&self, py: Python<'_>) -> Result<(), PythonError> {
        let active = || std::env::var_os("VIRTUAL_ENV").map(PathBuf::from);
        if let Some(environment) = self.environment.clone().or_else(active) {
            let packages = site_packages(py, &environment)?;
            let added = add_site(py, &packages);
            added.map_err(|error| PythonError::of(py, "The environment cannot be used", &error))?;
        }
        let prepared = (|| {
            let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
            for directory in self.paths.iter().rev() {
                path.insert(0, directory)?;
            }
            package::install(py)
        })();
        prepared.map_err(|error| PythonError::of(py, "Python cannot be set up", &error))
    }
}

/// Where an environment has its packages.
fn site_packages(py: Python<'_>, environment: &Path) -> Result<PathBuf, PythonError> {
    let version = py.version_info();
    let ours = format!("python{}.{}", version.major, version.minor);
    let shown = environment.display();
    if !environment.join("pyvenv.cfg").is_file() {
        return Err(PythonError::new(format!(
            "{shown} is no virtual environment: it has no pyvenv.cfg; make one with: {ours} -m venv \
             {shown}"
        )));
    }
    let packages = environment.join("lib").join(&ours).join("site-packages");
    if packages.is_dir() {
        return Ok(packages);
    }
    let theirs = environment.join("lib").read_dir().ok().and_then(|mut found| {
        found.find_map(|entry| {
            entry.ok()?.file_name().into_string().ok().filter(|name| name.starts_with("python"))
        })
    });
    let theirs = theirs.unwrap_or_else(|| "another version".to_owned());
    Err(PythonError::new(format!(
        "The environment {shown} is of {theirs}, and this program is linked with {ours}; make the \
         environment with {ours}, or build the program with PYO3_PYTHON={shown}/bin/python"
    )))
}

/// Adds a directory of packages as Python itself does, `.pth` files and all, but before those of
/// the installation: the environment's packages win.
fn add_site(py: Python<'_>, packages: &Path) -> PyResult<()> {
    let path = py.import("sys")?.getattr("path")?.cast_into::<PyList>()?;
    let before = path.len();
    py.import("site")?.call_method1("addsitedir", (packages,))?;
    let added = path.get_slice(before, path.len());
    // The standard library stays first: nothing installed may take the place of its modules.
    let at = path
        .iter()
        .position(|entry| entry.extract::<String>().is_ok_and(|entry| entry.ends_with("-packages")))
        .unwrap_or(before);
    path.del_slice(before, path.len())?;
    path.set_slice(at, at, added.as_any())
}
