//! An exception raised in another thread.

use pyo3::ffi;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyType;

/// `gohttp.RequestTimeout`.
fn exception(py: Python<'_>) -> PyResult<Bound<'_, PyType>> {
    let module = py.import(intern!(py, "gohttp._timeout"))?;
    Ok(module.getattr(intern!(py, "RequestTimeout"))?.cast_into()?)
}

/// The exception itself, for a handler that asks for what it cannot have any more.
pub(crate) fn timeout_error(py: Python<'_>) -> PyErr {
    exception(py).map_or_else(|error| error, |class| PyErr::from_type(class, ()))
}

/// Whether an exception is the one that [`interrupt`] raises, or came of it.
pub(crate) fn is_timeout(py: Python<'_>, error: &PyErr) -> bool {
    fn search(error: &Bound<'_, PyAny>, class: &Bound<'_, PyType>, depth: u32) -> bool {
        let next = |name: &str| {
            let caused = error.getattr_opt(name).ok().flatten();
            caused.is_some_and(|cause| search(&cause, class, depth - 1))
        };
        depth > 0
            && !error.is_none()
            && (error.get_type().is(class) || next("__cause__") || next("__context__"))
    }
    exception(py).is_ok_and(|class| search(error.value(py).as_any(), &class, 12))
}

/// A thread as Python numbers it (`threading.get_ident()`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ident(std::ffi::c_ulong);

impl Ident {
    /// The calling thread.
    pub(crate) fn current(py: Python<'_>) -> PyResult<Self> {
        py.import("threading")?.call_method0("get_ident")?.extract().map(Self)
    }

    /// The number, as keys of `sys._current_frames()` have it.
    pub(crate) fn number(self) -> std::ffi::c_ulong {
        self.0
    }
}

/// What [`interrupt`] raises, made ready beforehand.
pub(crate) struct Interruption<'py>(Bound<'py, PyType>);

impl<'py> Interruption<'py> {
    /// # Errors
    /// Only if Python is out of memory.
    pub(crate) fn new(py: Python<'py>) -> PyResult<Self> {
        exception(py).map(Self)
    }
}

/// Whether the exception has reached a thread since this was last asked.
pub(crate) fn was_raised_in(py: Python<'_>, thread: Ident) -> bool {
    py.import(intern!(py, "gohttp._timeout"))
        .and_then(|module| module.call_method1(intern!(py, "was_raised_in"), (thread.0,)))
        .and_then(|raised| raised.is_truthy())
        .unwrap_or(false)
}

/// Has `gohttp.RequestTimeout` raised in a thread, as soon as it runs Python code again.
#[expect(unsafe_code, reason = "pyo3 has no safe call for this")]
pub(crate) fn interrupt(_py: Python<'_>, thread: Ident, what: &Interruption<'_>) {
    // SAFETY: the thread is attached; the call looks the number up among the live threads and does
    // nothing if there is none; it takes its own reference to the type.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread.0 as _, what.0.as_ptr()) };
}

/// Takes back an exception that has not been raised yet.
#[expect(unsafe_code, reason = "pyo3 has no safe call for this")]
pub(crate) fn forgive(_py: Python<'_>, thread: Ident) {
    // SAFETY: as above; a null exception clears what is pending.
    unsafe { ffi::PyThreadState_SetAsyncExc(thread.0 as _, std::ptr::null_mut()) };
}
