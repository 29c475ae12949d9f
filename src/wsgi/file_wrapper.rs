//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A file as an iterator of blocks. Any file-like object will do; `close` is passed on.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

#[pymethods]
impl FileWrapper {
    #[new]
    #[pyo3(signature = (filelike, block_size=65536, /))]
    fn new(filelike: Py<PyAny>, block_size: usize) -> Self {
        Self { file: filelike, block_size: block_size.max(1) }
    }

    fn __iter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let data = self.file.bind(py).call_method1(intern!(py, "read"), (self.block_size,))?;
        let ended = data.cast::<PyBytes>().is_ok_and(|data| data.as_bytes().is_empty());
        Ok((!ended).then_some(data))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        match self.file.bind(py).getattr_opt(intern!(py, "close"))? {
            Some(close) => close.call0().map(drop),
            None => Ok(()),
        }
    }
}
