//! Whether Python still holds an object that the server lent it.

use pyo3::ffi;
use pyo3::prelude::*;

/// How many references there are to an object, that of `object` among them. If all are known to
/// be the server's, the object may be used again as if it were new.
#[expect(unsafe_code, reason = "pyo3 has no safe call for a reference count")]
pub(crate) fn references<T>(_py: Python<'_>, object: &Py<T>) -> isize {
    // SAFETY: the pointer is of a live object, since `object` owns a reference, and the thread is
    // attached. Only who holds a reference can make another, so a count of our own stays that.
    unsafe { ffi::Py_REFCNT(object.as_ptr()) }
}

/// Whether nobody holds a weak reference to a bound method of an extension type either.
#[expect(unsafe_code, reason = "counting weak references by a call costs as much as a new method")]
pub(crate) fn unwatched(_py: Python<'_>, method: &Py<PyAny>) -> bool {
    // SAFETY: the pointer is of a live object and the thread is attached; the field is read only
    // if the object is of the type that has it.
    unsafe {
        ffi::PyCFunction_CheckExact(method.as_ptr()) != 0
            && (*method.as_ptr().cast::<ffi::PyCFunctionObject>()).m_weakreflist.is_null()
    }
}
