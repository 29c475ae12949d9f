//! Header fields as a mapping that does not mind case and may hold a name several times.

use std::sync::Mutex;

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use super::typed::{TextIterator, Typed};
use crate::bridge::convert::from_latin1;
use crate::http::{RequestHead, check_trailer};
use crate::wake::lock;

/// Header fields: names without regard to case, in the order they came, a name as often as it
/// came. `headers[name]` is the first value; a request's headers cannot be changed.
#[pyclass(frozen, mapping, module = "gohttp._gohttp")]
pub(crate) struct Headers {
    fields: Mutex<Vec<(String, String)>>,
    kind: Kind,
}

/// Whose fields they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request's: they cannot be changed.
    Request,
    /// Those before a response's body; they are checked when they are sent.
    Response,
    /// Those behind it; they are checked as they are set, since they are sent when the handler has
    /// ended.
    Trailers,
}

/// Bytes as text, one character each, as HTTP means them.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

impl Headers {
    pub(super) fn empty(kind: Kind) -> Self {
        Self { fields: Mutex::default(), kind }
    }

    pub(super) fn of(head: &RequestHead) -> Self {
        let fields = head.fields().map(|field| (text(field.name), text(field.value))).collect();
        Self { fields: Mutex::new(fields), kind: Kind::Request }
    }

    /// Has `look`, which must not call Python, see all fields.
    pub(super) fn seen_by<T>(&self, look: impl FnOnce(&[(String, String)]) -> T) -> T {
        look(&lock(&self.fields))
    }

    /// Forgets all fields.
    pub(super) fn clear(&self) {
        lock(&self.fields).clear();
    }

    /// A copy of all fields.
    fn snapshot(&self) -> Vec<(String, String)> {
        lock(&self.fields).clone()
    }

    fn first(&self, name: &str) -> Option<String> {
        lock(&self.fields)
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.clone())
    }

    /// The names, each once.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (name, _) in lock(&self.fields).iter() {
            if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                names.push(name.clone());
            }
        }
        names
    }

    fn check_writable(&self) -> PyResult<()> {
        if self.kind == Kind::Request {
            return Err(PyTypeError::new_err("the headers of a request cannot be changed"));
        }
        Ok(())
    }

    fn check(&self, name: &str, value: &str) -> PyResult<()> {
        self.check_writable()?;
        if self.kind == Kind::Trailers {
            let value = from_latin1(value.trim()).ok_or_else(|| {
                PyValueError::new_err(format!("trailer {name:?} holds characters beyond latin-1"))
            })?;
            check_trailer(name.as_bytes(), &value)
                .map_err(|error| PyValueError::new_err(error.to_string()))?;
        }
        Ok(())
    }
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.first(name).ok_or_else(|| PyKeyError::new_err(name.to_string()))
    }

    /// Replaces all values of the name by one. Raises `TypeError` for a request's fields, and in
    /// trailers `ValueError` for what cannot stand there (RFC 9110 section 6.5.1).
    fn __setitem__(&self, name: String, value: String) -> PyResult<()> {
        self.check(&name, &value)?;
        let mut fields = lock(&self.fields);
        match fields.iter().position(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            None => fields.push((name, value)),
            Some(at) => {
                fields[at].1 = value;
                let mut index = 0;
                fields.retain(|(known, _)| {
                    index += 1;
                    index - 1 <= at || !known.eq_ignore_ascii_case(&name)
                });
            }
        }
        Ok(())
    }

    fn __delitem__(&self, name: &str) -> PyResult<()> {
        self.check_writable()?;
        let mut fields = lock(&self.fields);
        let before = fields.len();
        fields.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        if fields.len() == before { Err(PyKeyError::new_err(name.to_string())) } else { Ok(()) }
    }

    fn __contains__(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    fn __len__(&self) -> usize {
        lock(&self.fields).len()
    }

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Typed<'py, TextIterator>> {
        Ok(Typed::new(PyList::new(py, self.keys())?.try_iter()?.into_any()))
    }

    fn __repr__(&self) -> String {
        format!("Headers({:?})", self.snapshot())
    }

    /// The first value of the name, or `default`.
    #[pyo3(signature = (name, default=None))]
    fn get(&self, name: &str, default: Option<String>) -> Option<String> {
        self.first(name).or(default)
    }

    /// All values of the name, in order.
    fn get_all(&self, name: &str) -> Vec<String> {
        let same =
            |(known, value): (String, String)| known.eq_ignore_ascii_case(name).then_some(value);
        self.snapshot().into_iter().filter_map(same).collect()
    }

    /// Adds a value beside those that the name has. Raises as setting one does.
    fn add(&self, name: String, value: String) -> PyResult<()> {
        self.check(&name, &value)?;
        lock(&self.fields).push((name, value));
        Ok(())
    }

    /// The names, a repeated one as often as it came.
    fn keys(&self) -> Vec<String> {
        self.snapshot().into_iter().map(|(name, _)| name).collect()
    }

    /// The values.
    fn values(&self) -> Vec<String> {
        self.snapshot().into_iter().map(|(_, value)| value).collect()
    }

    /// Pairs of name and value.
    fn items(&self) -> Vec<(String, String)> {
        self.snapshot()
    }
}
