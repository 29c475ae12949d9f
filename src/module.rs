//! The Python module `gohttp._gohttp`: what Rust offers to `python/gohttp`.

#![allow(missing_docs, reason = "the module's items are documented where they are made")]

use pyo3::prelude::*;

/// The engine and the faces, compiled.
// Free-threaded builds have not been tested: what is told by reference counts needs the GIL.
#[pymodule(gil_used = true)]
pub(crate) mod _gohttp {
    #[pymodule_export]
    use crate::asgi::AsgiEngine;
    #[pymodule_export]
    use crate::bridge::log_sink::{flush, install_logging};
    #[pymodule_export]
    use crate::bridge::serve::{SyncServer, in_handler};
    #[pymodule_export]
    use crate::native::{Headers, NativeRequest, NativeWebSocket, NativeWriter};
    #[pymodule_export]
    use crate::site::{
        ReadyLayer, asked_auth, basic_auth, body_limit, compress, cors, rate_limit, request_id,
    };
    #[pymodule_export]
    use crate::site::{Routes, c_api, serve_site, start_site};
    #[pymodule_export]
    use crate::wsgi::{FileWrapper, serve_wsgi};

    #[pymodule_export]
    #[allow(non_upper_case_globals)]
    const __version__: &str = env!("CARGO_PKG_VERSION");
}
