//! Ready-made middleware as Python makes it: thin functions, whose arguments `gohttp.middleware`
//! describes.

use std::sync::Arc;
use std::time::Duration;

use pyo3::exceptions::PyValueError;
use pyo3::gc::{PyTraverseError, PyVisit};
use pyo3::prelude::*;

use super::credentials::AskedAuth;
use crate::middleware::{
    BasicAuth, BodyLimit, Challenge, Coding, Compress, Cors, CorsRules, Layer, Misuse, RateLimit,
    RequestId,
};

/// Ready-made middleware, for `Mux.use`: it runs before any Python, for all that the `Mux` leads
/// to.
#[pyclass(frozen, module = "gohttp._gohttp", name = "Layer")]
pub(crate) struct ReadyLayer {
    pub(super) layer: Arc<dyn Layer>,
    /// The function of `gohttp.middleware` that makes it.
    name: &'static str,
    /// The same as `layer`, if it has an object of Python's.
    asked: Option<Arc<AskedAuth>>,
}

#[pymethods]
impl ReadyLayer {
    fn __repr__(&self) -> String {
        format!("middleware.{}()", self.name)
    }

    /// Tables hold the object beside the layer, and show it to the collector unless a request has
    /// the layer: so whoever else has what is shown here is found too.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        self.asked.as_ref().map_or(Ok(()), |asked| asked.visit(&visit))
    }
}

fn ready(name: &'static str, layer: impl Layer + 'static) -> ReadyLayer {
    ReadyLayer { layer: Arc::new(layer), name, asked: None }
}

fn misused(misuse: Misuse) -> PyErr {
    PyValueError::new_err(misuse.to_string())
}

/// See `gohttp.middleware.request_id`.
#[pyfunction]
pub(crate) fn request_id(keep: bool) -> ReadyLayer {
    ready("request_id", RequestId { keep })
}

/// See `gohttp.middleware.body_limit`.
#[pyfunction]
pub(crate) fn body_limit(max_bytes: u64) -> ReadyLayer {
    ready("body_limit", BodyLimit(max_bytes))
}

/// See `gohttp.middleware.cors`.
#[pyfunction]
pub(crate) fn cors(
    origins: Vec<String>,
    methods: Vec<String>,
    headers: Option<Vec<String>>,
    credentials: bool,
    max_age: Option<u32>,
    expose: Vec<String>,
) -> PyResult<ReadyLayer> {
    let rules = CorsRules { origins, methods, headers, credentials, max_age, expose };
    Cors::new(&rules).map(|layer| ready("cors", layer)).map_err(misused)
}

/// See `gohttp.middleware.basic_auth`. `users`: names and passwords.
#[pyfunction]
pub(crate) fn basic_auth(users: Vec<(String, String)>, realm: &str) -> PyResult<ReadyLayer> {
    let users = users.iter().map(|(name, password)| (&**name, &**password));
    let challenge = Challenge::new(realm).map_err(misused)?;
    BasicAuth::new(challenge, users).map(|layer| ready("basic_auth", layer)).map_err(misused)
}

/// See `gohttp.middleware.basic_auth`. `check(name, password)` returns `True` or `False`.
#[pyfunction]
pub(crate) fn asked_auth(check: Py<PyAny>, realm: &str) -> PyResult<ReadyLayer> {
    let challenge = Challenge::new(realm).map_err(misused)?;
    let asked = Arc::new(AskedAuth { challenge, check });
    Ok(ReadyLayer { layer: asked.clone(), name: "basic_auth", asked: Some(asked) })
}

/// See `gohttp.middleware.rate_limit`.
#[pyfunction]
pub(crate) fn rate_limit(requests: f64, seconds: f64, burst: u32) -> PyResult<ReadyLayer> {
    // What is no duration is refused with what is none of use.
    let per = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    RateLimit::new(requests, per, burst).map(|layer| ready("rate_limit", layer)).map_err(misused)
}

/// See `gohttp.middleware.compress`. `codings`: names and levels, `None` for the usual one.
#[pyfunction]
pub(crate) fn compress(
    codings: Vec<(String, Option<i32>)>,
    min_size: u64,
    types: Option<Vec<String>>,
) -> PyResult<ReadyLayer> {
    let known = |(name, level): (String, Option<i32>)| match Coding::named(&name) {
        Some(coding) => Ok((coding, level)),
        None => {
            Err(PyValueError::new_err(format!("a coding is 'zstd', 'br' or 'gzip', not {name:?}")))
        }
    };
    let codings = codings.into_iter().map(known).collect::<PyResult<_>>()?;
    Compress::new(codings, min_size, types.as_deref())
        .map(|layer| ready("compress", layer))
        .map_err(misused)
}
