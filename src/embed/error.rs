//! What cannot be served, in a sentence.

use std::fmt;

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyString;

/// Why Python, or an application, does not start. As text it is one sentence, without its full stop:
/// what, where, and how to mend it. Where it speaks of something "above" that is
/// [`details`](Self::details), to be shown before it.
#[derive(Debug, Clone)]
pub struct PythonError {
    sentence: String,
    details: String,
}

impl PythonError {
    pub(super) fn new(sentence: impl Into<String>) -> Self {
        Self { sentence: sentence.into(), details: String::new() }
    }

    /// The traceback, if the application's own code raised, or what else it said; mostly empty.
    pub fn details(&self) -> &str {
        &self.details
    }

    /// Of an exception: `GohttpError` says itself what is wrong.
    pub(super) fn of(py: Python<'_>, what: &str, error: &PyErr) -> Self {
        let value = error.value(py);
        let known = py
            .import(intern!(py, "gohttp"))
            .and_then(|package| package.getattr(intern!(py, "GohttpError")))
            .and_then(|class| value.is_instance(&class));
        let text = |object: PyResult<Bound<'_, PyString>>| {
            object.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
        };
        if known.unwrap_or(false) {
            let details = value.getattr(intern!(py, "details"));
            let details = details.and_then(|details| details.extract()).unwrap_or_default();
            let sentence = text(value.str()).trim_end_matches('.').to_owned();
            return Self { sentence, details };
        }
        let traceback = error.traceback(py).and_then(|frames| frames.format().ok());
        let kind = text(error.get_type(py).name());
        Self {
            sentence: format!("{what}: {kind}: {}", text(value.str())),
            details: traceback.unwrap_or_default(),
        }
    }
}

impl fmt::Display for PythonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for PythonError {}
