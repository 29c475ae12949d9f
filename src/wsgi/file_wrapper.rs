//! `wsgi.file_wrapper` (PEP 3333, "Optional Platform-Specific File Handling").

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::bridge::descriptors::duplicate;
use crate::http::FilePart;

/// A file as an iterator of blocks. Any file-like object will do; `close` is passed on.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct FileWrapper {
    file: Py<PyAny>,
    block_size: usize,
}

impl FileWrapper {
    /// The rest of the file, if it is a plain one that the kernel can send. An object that only
    /// has a descriptor may give other bytes than are in the file (`gzip` does).
    pub(super) fn part(&self, py: Python<'_>) -> PyResult<Option<FilePart>> {
        let io = py.import(intern!(py, "io"))?;
        let file = self.file.bind(py);
        let is = |object: &Bound<'_, PyAny>, name| {
            io.getattr(name).map(|class| object.get_type().is(&class))
        };
        let plain = if is(file, "FileIO")? {
            true
        } else if is(file, "BufferedReader")? || is(file, "BufferedRandom")? {
            is(&file.getattr(intern!(py, "raw"))?, "FileIO")?
        } else {
            false
        };
        if !plain {
            return Ok(None);
        }
        let offset: u64 = file.call_method0(intern!(py, "tell"))?.extract()?;
        let file = duplicate(file.call_method0(intern!(py, "fileno"))?.extract()?)?;
        let found = file.metadata()?;
        // Files of the kernel's own say that they are empty, and are not.
        let rest = found.len().saturating_sub(offset);
        Ok((found.is_file() && rest > 0).then(|| FilePart::new(file, offset, rest)))
    }
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
