//! Functions of C as handlers. Python gives their addresses and sees to it that they stay; what they
//! do is theirs.

use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::sync::Arc;

use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::c::table::API;
use crate::c::{Target, answer};
use crate::crew::Handler;
use crate::http::{Request, ResponseWriter};

/// A function, as a pattern leads to it.
pub(super) struct Function {
    target: Target,
    pattern: Arc<str>,
    /// The names of the pattern's wildcards.
    names: Vec<String>,
    /// The Python objects that the function and its data belong to.
    owners: Py<PyAny>,
}

impl Function {
    /// The function at `address`, of the type FuncPtr or, given `data`, gohttp_handler.
    #[expect(unsafe_code, reason = "an address from Python is taken for a function's")]
    pub(super) fn new(
        address: NonZeroUsize,
        data: Option<usize>,
        pattern: &str,
        names: Vec<String>,
        owners: Py<PyAny>,
    ) -> Self {
        // SAFETY: the caller of `Mux.handle_c` promises a function of this type at the address, as
        // the documentation asks; nothing here could find it out. It stays as long as its owners,
        // which this keeps.
        let target = unsafe {
            match data {
                Some(data) => Target::full(address, data),
                None => Target::article(address),
            }
        };
        Self { target, pattern: pattern.into(), names, owners }
    }

    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owners)
    }
}

/// Calls the functions that routes lead to. It needs no Python.
pub(super) struct Functions;

impl Handler for Functions {
    fn handle(&self, mut request: Request, writer: ResponseWriter) {
        let Some(routed) = &mut request.routed else { return };
        let values = std::mem::take(&mut routed.values);
        // The request keeps the function for as long as C has a handle of it.
        let Some(function) = routed.target.downcast_ref::<Function>() else { return };
        let names = function.names.iter();
        let values = names
            .zip(values)
            .map(|(name, value)| (name.as_str().into(), value.into_bytes().into_boxed_slice()));
        let values = values.collect();
        let (target, pattern) = (function.target, function.pattern.clone());
        answer(target, pattern, values, request, writer);
    }
}

/// The table of functions that handlers in C may call, `struct gohttp_api`, for PyCapsule_Import.
#[pyfunction]
#[expect(unsafe_code, reason = "a capsule of what is not Python's")]
pub(crate) fn c_api(py: Python<'_>) -> PyResult<Bound<'_, PyAny>> {
    // By this name it is found through gohttp.__getattr__.
    let name = c"gohttp._C_API";
    // SAFETY: the table is there for as long as the program, and nobody writes it.
    let capsule = unsafe { PyCapsule::new_with_pointer(py, NonNull::from(&API).cast(), name) }?;
    Ok(capsule.into_any())
}
