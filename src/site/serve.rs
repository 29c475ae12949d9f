//! From a table of routes to a server.

use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::dispatch::{Runners, SiteDispatch};
use super::functions::Functions;
use super::handler::SiteHandler;
use super::table::{Mounted, Routes, Shared};
use crate::asgi::AsgiEngine;
use crate::bridge::baton::{Baton, BatonDispatch};
use crate::bridge::descriptors::listeners;
use crate::bridge::mount::Mount;
use crate::bridge::places::Places;
use crate::bridge::serve::serve_sync;
use crate::bridge::settings::Settings;
use crate::native::NativeHandler;

/// Tells applications where they are, in a table that is frozen. `states`: what the lifespans of the ASGI applications left,
/// in the order of [`Routes::asgi_apps`].
fn prepare(
    py: Python<'_>,
    table: &Shared,
    settings: &Settings,
    states: Vec<Option<Py<PyDict>>>,
) -> PyResult<()> {
    let mut states = states.into_iter();
    for (number, (prefix, mounted)) in (1..).zip(table.mounts("")) {
        let mount = Mount { number, prefix };
        match mounted {
            Mounted::Wsgi(app) => app.prepare(py, settings, mount)?,
            Mounted::Asgi(app) => {
                let state = states.next().flatten();
                app.prepare(py, &settings.root_path, &mount, state)?;
            }
        }
    }
    Ok(())
}

/// Serves routes without ASGI applications; see [`serve_sync`]. `run_coroutine(coroutine, w, req)`
/// is given the coroutines of `async def` handlers.
#[pyfunction]
pub(crate) fn serve_site(
    py: Python<'_>,
    routes: &Routes,
    run_coroutine: Py<PyAny>,
    settings: Settings,
    descriptors: Vec<i32>,
    on_ready: Py<PyAny>,
) -> PyResult<bool> {
    let listeners = listeners(descriptors)?;
    let table = routes.0.clone();
    prepare(py, &table, &settings, Vec::new())?;
    let places: Arc<Places> = Arc::default();
    places.allow(settings.max_tasks());
    let handler = SiteHandler(NativeHandler::new(run_coroutine, places.clone()));
    let root_path = settings.root_path.clone();
    let route = |threads: BatonDispatch| {
        threads.0.add_crew(Box::new(Functions));
        let runners = Runners { threads, event_loop: None, places };
        Arc::new(SiteDispatch::new(table, &root_path, runners)) as Arc<_>
    };
    serve_sync(py, Box::new(handler), route, &settings, listeners, on_ready)
}

/// Begins to accept connections for routes of which some lead to ASGI applications, which run on
/// the running event loop; the others run on threads beside it. `states`: what the lifespans left, in the
/// order of [`Routes::asgi_apps`].
#[pyfunction]
pub(crate) fn start_site(
    py: Python<'_>,
    engine: &AsgiEngine,
    routes: &Routes,
    run_coroutine: Py<PyAny>,
    settings: Settings,
    descriptors: Vec<i32>,
    states: Vec<Option<Py<PyDict>>>,
) -> PyResult<()> {
    let listeners = listeners(descriptors)?;
    let table = routes.0.clone();
    prepare(py, &table, &settings, states)?;
    let places = engine.places().clone();
    let handler = SiteHandler(NativeHandler::new(run_coroutine, places.clone()));
    let baton = Baton::beside_a_loop(engine.driver().clone(), Box::new(handler), settings.limits());
    baton.add_crew(Box::new(Functions));
    let threads = BatonDispatch(baton.clone());
    let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?.unbind();
    engine.begin(py, None, event_loop, &settings, listeners, |inbox| {
        let runners = Runners { threads, event_loop: Some(inbox), places };
        Arc::new(SiteDispatch::new(table, &settings.root_path, runners))
    })?;
    engine.attach(baton)
}
