//! Names and passwords that a Python function judges.

use std::cell::RefCell;

use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;
use pyo3::types::PyBool;

use crate::bridge::app;
use crate::bridge::convert::type_name;
use crate::http::{Request, ResponseWriter};
use crate::middleware::{Challenge, Credentials, Layer, Verdict};

/// Asks `check(name, password)`, which gives `True` or `False`.
#[derive(Debug)]
pub(super) struct AskedAuth {
    pub(super) challenge: Challenge,
    pub(super) check: Py<PyAny>,
}

impl AskedAuth {
    pub(super) fn visit(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.check)
    }

    fn ask(&self, py: Python<'_>, credentials: &Credentials) -> PyResult<bool> {
        let text = std::str::from_utf8;
        // They were asked for in UTF-8.
        let (Ok(name), Ok(password)) = (text(&credentials.name), text(&credentials.password))
        else {
            return Ok(false);
        };
        let answer = self.check.bind(py).call1((name, password))?;
        // A coroutine, or what a database has found, would pass for yes.
        answer.cast::<PyBool>().map(|answer| answer.is_true()).map_err(|_| {
            PyTypeError::new_err(format!(
                "the function that was given to basic_auth must return True or False, not {}",
                type_name(&answer)
            ))
        })
    }
}

impl Layer for AskedAuth {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        let Some(credentials) = Credentials::of(&request.head) else {
            return self.challenge.refuse(request, writer);
        };
        Python::attach(|py| match self.ask(py, &credentials) {
            Ok(true) => Verdict::Pass,
            Ok(false) => self.challenge.refuse(request, writer),
            Err(error) => {
                let writer = RefCell::new(writer);
                app::fail(py, &app::describe(&request.head), &error, |f| {
                    f(&mut writer.borrow_mut())
                });
                Verdict::Answered
            }
        })
    }

    fn blocks(&self) -> bool {
        true
    }
}
