//! Header fields as a mapping that does not mind case and may hold a name several times.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock};

use pyo3::exceptions::{PyKeyError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use super::typed::{Fallback, Fields, TextIterator, Typed};
use crate::bridge::convert::from_latin1;
use crate::http::{FieldError, RequestHead, check_field, check_trailer, parse_content_length};
use crate::wake::lock;

/// Header fields: names without regard to case, in the order they came, a name as often as it
/// came. `headers[name]` is the first value; a request's headers cannot be changed. To
/// `isinstance` it is a `collections.abc.MutableMapping`.
#[pyclass(frozen, mapping, module = "gohttp._gohttp")]
pub(crate) struct Headers {
    fields: Mutex<Vec<(String, String)>>,
    kind: Kind,
    /// They have been sent: what is changed now is sent to nobody.
    sent: AtomicBool,
    /// The first name that was changed after that.
    late: OnceLock<String>,
}

/// Whose fields they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A request's: they cannot be changed.
    Request,
    /// Those before a response's body.
    Response,
    /// Those behind it.
    Trailers,
}

/// Bytes as text, one character each, as HTTP means them.
fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|&b| char::from(b)).collect()
}

impl Headers {
    pub(super) fn empty(kind: Kind) -> Self {
        Self::new(Vec::new(), kind)
    }

    pub(super) fn of(head: &RequestHead) -> Self {
        let fields = head.fields().map(|field| (text(field.name), text(field.value))).collect();
        Self::new(fields, Kind::Request)
    }

    fn new(fields: Vec<(String, String)>, kind: Kind) -> Self {
        let (sent, late) = (AtomicBool::new(false), OnceLock::new());
        Self { fields: Mutex::new(fields), kind, sent, late }
    }

    /// They have been sent.
    pub(super) fn note_sent(&self) {
        self.sent.store(true, Relaxed);
    }

    /// The first name that was changed when they had been sent.
    pub(super) fn late(&self) -> Option<&str> {
        self.late.get().map(String::as_str)
    }

    fn note_change(&self, name: &str) {
        if self.sent.load(Relaxed) {
            self.late.get_or_init(|| name.to_owned());
        }
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

    /// Removes all values of the name, and gives the first.
    fn remove(&self, name: &str) -> Option<String> {
        let mut first = None;
        lock(&self.fields).retain_mut(|(known, value)| {
            let other = !known.eq_ignore_ascii_case(name);
            if !other && first.is_none() {
                first = Some(std::mem::take(value));
            }
            other
        });
        if first.is_some() {
            self.note_change(name);
        }
        first
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

    /// Whether the field may be set: an error names the line of the handler that does it.
    fn check(&self, name: &str, value: &str) -> PyResult<()> {
        self.check_writable()?;
        let value = from_latin1(value.trim()).ok_or_else(|| {
            let kind = if self.kind == Kind::Trailers { "trailer" } else { "header" };
            PyValueError::new_err(format!("{kind} {name:?} holds characters beyond latin-1"))
        })?;
        if self.kind == Kind::Trailers {
            check_trailer(name.as_bytes(), &value)
        } else {
            check_field(name.as_bytes(), &value).and_then(|()| check_length(name, &value))
        }
        .map_err(|error| PyValueError::new_err(error.to_string()))
    }

    /// Sets what `other` gives: a mapping, or an iterable of pairs. Fields of other `Headers`
    /// stay as often as they stand there.
    fn set_all(&self, other: &Bound<'_, PyAny>) -> PyResult<()> {
        if let Ok(other) = other.cast::<Self>() {
            let (fields, names) = (other.get().snapshot(), other.get().names());
            for (name, value) in &fields {
                self.check(name, value)?;
            }
            if let Some(first) = names.first() {
                self.note_change(first);
            }
            let mut own = lock(&self.fields);
            own.retain(|(known, _)| !names.iter().any(|name| known.eq_ignore_ascii_case(name)));
            own.extend(fields);
            return Ok(());
        }
        if other.hasattr("keys")? {
            for name in other.call_method0("keys")?.try_iter()? {
                let name = name?;
                let value = other.get_item(&name)?;
                self.__setitem__(name.extract()?, value.extract()?)?;
            }
            return Ok(());
        }
        for pair in other.try_iter()? {
            let [name, value]: [String; 2] = pair?.extract()?;
            self.__setitem__(name, value)?;
        }
        Ok(())
    }
}

/// A length that is no number would be found only when the head is sent.
fn check_length(name: &str, value: &[u8]) -> Result<(), FieldError> {
    let is_length = name.len() == 14 && name.eq_ignore_ascii_case("content-length");
    if is_length && parse_content_length(value).is_none() {
        return Err(FieldError::ContentLength(String::from_utf8_lossy(value).into_owned()));
    }
    Ok(())
}

#[pymethods]
impl Headers {
    fn __getitem__(&self, name: &str) -> PyResult<String> {
        self.first(name).ok_or_else(|| PyKeyError::new_err(name.to_string()))
    }

    /// Replaces all values of the name by one. Raises `TypeError` for a request's fields,
    /// `ValueError` for what no header can hold (RFC 9110 section 5) and, in trailers, for what
    /// cannot stand there (section 6.5.1).
    fn __setitem__(&self, name: String, value: String) -> PyResult<()> {
        self.check(&name, &value)?;
        self.note_change(&name);
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
        self.remove(name).map(drop).ok_or_else(|| PyKeyError::new_err(name.to_string()))
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
        self.note_change(&name);
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

    /// Sets fields as those of a dictionary: of a mapping or of pairs, then those named. All values
    /// of a name give way to the new one; what other `Headers` hold several times is kept so.
    /// Raises as setting one does; the fields before a wrong one are set.
    #[pyo3(signature = (other=None, /, **fields: "str"))]
    fn update(
        &self,
        other: Option<Fields<'_>>,
        fields: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<()> {
        self.check_writable()?;
        if let Some(Fields(other)) = other {
            self.set_all(&other)?;
        }
        fields.map_or(Ok(()), |fields| self.set_all(fields))
    }

    /// The first value of the name, which is set to `default` if there is none. Raises as setting
    /// one does.
    fn setdefault(&self, name: String, default: String) -> PyResult<String> {
        self.check(&name, &default)?;
        let mut fields = lock(&self.fields);
        if let Some((_, value)) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name))
        {
            return Ok(value.clone());
        }
        self.note_change(&name);
        fields.push((name, default.clone()));
        Ok(default)
    }

    /// Removes all values of the name, and gives the first; without one `default`, and without
    /// that raises `KeyError`. `TypeError` for a request's fields.
    #[pyo3(signature = (name, default=Fallback::Absent))]
    fn pop<'py>(
        &self,
        py: Python<'py>,
        name: &str,
        default: Fallback<'py>,
    ) -> PyResult<Bound<'py, PyAny>> {
        self.check_writable()?;
        match (self.remove(name), default) {
            (Some(value), _) => Ok(value.into_pyobject(py)?.into_any()),
            (None, Fallback::Given(default)) => Ok(default),
            (None, Fallback::Absent) => Err(PyKeyError::new_err(name.to_string())),
        }
    }

    /// Removes the last field and gives its name and value. Raises `KeyError` if there is none,
    /// `TypeError` for a request's fields.
    fn popitem(&self) -> PyResult<(String, String)> {
        self.check_writable()?;
        let last = lock(&self.fields).pop();
        let last = last.ok_or_else(|| PyKeyError::new_err("there are no fields"))?;
        self.note_change(&last.0);
        Ok(last)
    }

    /// Removes all fields. Raises `TypeError` for a request's.
    #[pyo3(name = "clear")]
    fn remove_all(&self) -> PyResult<()> {
        self.check_writable()?;
        let fields = std::mem::take(&mut *lock(&self.fields));
        if let Some((name, _)) = fields.first() {
            self.note_change(name);
        }
        Ok(())
    }
}
