//! Whether Python still holds an object that the server lent it.

use pyo3::ffi;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;

/// How many references there are to an object, that of `object` among them. If all are known to
/// be the server's, the object may be used again as if it were new.
#[expect(unsafe_code, reason = "pyo3 has no safe call for a reference count")]
pub(crate) fn references<T>(_py: Python<'_>, object: &Py<T>) -> isize {
    // SAFETY: the pointer is of a live object, since `object` owns a reference, and the thread is
    // attached. Only who holds a reference can make another, so a count of our own stays that.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// Whether nobody holds a weak reference to an object either.
pub(crate) fn unwatched(py: Python<'_>, object: &Py<PyAny>) -> bool {
    static COUNT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    COUNT
        .import(py, "_weakref", "getweakrefcount")
        .and_then(|count| count.call1((object,)))
        .and_then(|count| count.extract::<usize>())
        .is_ok_and(|count| count == 0)
}
