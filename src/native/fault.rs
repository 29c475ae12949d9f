//! What can go wrong while a response is locked.

use pyo3::exceptions::{PyConnectionResetError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

use crate::bridge::app;
use crate::http::{FieldError, WriteError};

/// It becomes an exception only after the lock: making one may let go of the GIL, to a thread that
/// waits for the lock.
pub(super) enum Fault {
    Write(WriteError),
    Header(String),
    File(std::io::Error),
}

impl From<WriteError> for Fault {
    fn from(error: WriteError) -> Self {
        Self::Write(error)
    }
}

impl From<FieldError> for Fault {
    fn from(error: FieldError) -> Self {
        Self::Header(error.to_string())
    }
}

impl Fault {
    pub(super) fn raise(self, py: Python<'_>) -> PyErr {
        match self {
            Self::Write(error @ WriteError::Gone) => {
                app::of_client(py, PyConnectionResetError::new_err(error.to_string()))
            }
            Self::Write(error) => PyRuntimeError::new_err(error.to_string()),
            Self::Header(text) => PyValueError::new_err(text),
            Self::File(error) if error.kind() == std::io::ErrorKind::NotConnected => {
                app::of_client(py, error.into())
            }
            Self::File(error) => error.into(),
        }
    }
}
