//! The Python package `gohttp`, carried in the program: what is in the environment cannot be of
//! another version, and need not be there.

use pyo3::ffi::c_str;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyModule};

/// The package's modules and their sources: all of them, as a test sees to.
const SOURCES: &[(&str, &str)] = &[
    ("__init__", include_str!("../../python/gohttp/__init__.py")),
    ("__main__", include_str!("../../python/gohttp/__main__.py")),
    ("_arguments", include_str!("../../python/gohttp/_arguments.py")),
    ("_asgi", include_str!("../../python/gohttp/_asgi.py")),
    ("_c_functions", include_str!("../../python/gohttp/_c_functions.py")),
    ("_checks", include_str!("../../python/gohttp/_checks.py")),
    ("_coroutines", include_str!("../../python/gohttp/_coroutines.py")),
    ("_embedded", include_str!("../../python/gohttp/_embedded.py")),
    ("_faces", include_str!("../../python/gohttp/_faces.py")),
    ("_form", include_str!("../../python/gohttp/_form.py")),
    ("_native_api", include_str!("../../python/gohttp/_native_api.py")),
    ("_options", include_str!("../../python/gohttp/_options.py")),
    ("_request", include_str!("../../python/gohttp/_request.py")),
    ("_response", include_str!("../../python/gohttp/_response.py")),
    ("_run", include_str!("../../python/gohttp/_run.py")),
    ("_selector", include_str!("../../python/gohttp/_selector.py")),
    ("_slow_loop", include_str!("../../python/gohttp/_slow_loop.py")),
    ("_stacks", include_str!("../../python/gohttp/_stacks.py")),
    ("_timeout", include_str!("../../python/gohttp/_timeout.py")),
    ("_upgrade", include_str!("../../python/gohttp/_upgrade.py")),
    ("_websocket", include_str!("../../python/gohttp/_websocket.py")),
    ("abrupt_end", include_str!("../../python/gohttp/abrupt_end.py")),
    ("activation", include_str!("../../python/gohttp/activation.py")),
    ("advice", include_str!("../../python/gohttp/advice.py")),
    ("banner", include_str!("../../python/gohttp/banner.py")),
    ("c", include_str!("../../python/gohttp/c.py")),
    ("cli", include_str!("../../python/gohttp/cli.py")),
    ("config", include_str!("../../python/gohttp/config.py")),
    ("early_stop", include_str!("../../python/gohttp/early_stop.py")),
    ("envfile", include_str!("../../python/gohttp/envfile.py")),
    ("foreign", include_str!("../../python/gohttp/foreign.py")),
    ("importer", include_str!("../../python/gohttp/importer.py")),
    ("interface", include_str!("../../python/gohttp/interface.py")),
    ("lifespan", include_str!("../../python/gohttp/lifespan.py")),
    ("logs", include_str!("../../python/gohttp/logs.py")),
    ("middleware", include_str!("../../python/gohttp/middleware.py")),
    ("mux", include_str!("../../python/gohttp/mux.py")),
    ("processes", include_str!("../../python/gohttp/processes.py")),
    ("reload", include_str!("../../python/gohttp/reload.py")),
    ("running_loop", include_str!("../../python/gohttp/running_loop.py")),
    ("server", include_str!("../../python/gohttp/server.py")),
    ("serving", include_str!("../../python/gohttp/serving.py")),
    ("setting", include_str!("../../python/gohttp/setting.py")),
    ("sockets", include_str!("../../python/gohttp/sockets.py")),
    ("supervisor", include_str!("../../python/gohttp/supervisor.py")),
    ("testing", include_str!("../../python/gohttp/testing.py")),
    ("tomlfile", include_str!("../../python/gohttp/tomlfile.py")),
    ("worker", include_str!("../../python/gohttp/worker.py")),
];

/// Makes `import gohttp` find the package that the program carries, before any other.
///
/// # Errors
/// Only if Python is out of memory.
pub(super) fn install(py: Python<'_>) -> PyResult<()> {
    let modules = py.import("sys")?.getattr("modules")?;
    let engine = pyo3::wrap_pymodule!(crate::module::_gohttp)(py);
    modules.set_item("gohttp._gohttp", engine)?;
    let sources = PyDict::new(py);
    for (name, source) in SOURCES {
        let whole =
            if *name == "__init__" { "gohttp".to_owned() } else { format!("gohttp.{name}") };
        sources.set_item(whole, source)?;
    }
    let finder = PyModule::from_code(
        py,
        c_str!(include_str!("finder.py")),
        c"gohttp/_finder.py",
        c"gohttp._finder",
    )?;
    finder.call_method1("install", (sources,))?;
    Ok(())
}
