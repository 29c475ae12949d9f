//! Header fields as a mapping that does not mind case and may hold a name several times.

use std::sync::Mutex;

use pyo3::exceptions::{PyKeyError, PyTypeError};
use pyo3::prelude::*;
use pyo3::types::{PyIterator, PyList};

use crate::http::RequestHead;
use crate::wake::lock;

/// Header fields: names without regard to case, in the order they came, a name as often as it
/// came. `headers[name]` is the first value; a request's headers cannot be changed.
#[pyclass(frozen, mapping, module = "gohttp._gohttp")]
pub(crate) struct Headers {
    fields: Mutex<Vec<(String, String)>>,
    read_only: bool,
}

/// Bytes as text, one character each, as HTTP means them.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

impl Headers {
    pub(super) fn empty() -> Self {
        Self { fields: Mutex::default(), read_only: false }
    }

    pub(super) fn of(head: &RequestHead) -> Self {
        let fields = head.fields().map(|field| (text(field.name), text(field.value))).collect();
        Self { fields: Mutex::new(fields), read_only: true }
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

    fn check_writable(&self) -> PyResult<()> {
        if self.read_only {
            return Err(PyTypeError::new_err("the headers of a request cannot be changed"));
        }
        Ok(())
    }
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.first(name).ok_or_else(|| PyKeyError::new_err(name.to_string()))
    }

    /// Replaces all values of the name by one.
    fn __setitem__(&self, name: String, value: String) -> PyResult<()> {
        self.check_writable()?;
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

    fn __iter__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyIterator>> {
        self.keys(py)?.try_iter()
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

    /// Adds a value beside those that the name has.
    fn add(&self, name: String, value: String) -> PyResult<()> {
        self.check_writable()?;
        lock(&self.fields).push((name, value));
        Ok(())
    }

    /// The names, a repeated one as often as it came.
    fn keys<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.snapshot().into_iter().map(|(name, _)| name))
    }

    /// The values.
    fn values<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.snapshot().into_iter().map(|(_, value)| value))
    }

    /// Pairs of name and value.
    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        PyList::new(py, self.snapshot())
    }
}
