//! The task of one request, and what follows when it ends.

use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::engine::LoopContext;
use super::exchange::Handles;
use super::websocket::Chat;
use crate::http::{Request, ResponseWriter};
use crate::wake::lock;
use crate::websocket::Handshake;

/// How a task ended.
pub(super) enum Outcome {
    Returned,
    Raised(PyErr),
    Cancelled,
}

impl Outcome {
    fn of(task: &Bound<'_, PyAny>) -> PyResult<Self> {
        let py = task.py();
        if task.call_method0(intern!(py, "cancelled"))?.is_truthy()? {
            return Ok(Self::Cancelled);
        }
        let exception = task.call_method0(intern!(py, "exception"))?;
        Ok(if exception.is_none() {
            Self::Returned
        } else {
            Self::Raised(PyErr::from_value(exception))
        })
    }
}

/// What a task speaks with the client about.
pub(super) enum Subject {
    Http(Handles),
    WebSocket(Chat),
}

impl Subject {
    fn conclude(self, py: Python<'_>, outcome: Outcome) {
        match self {
            Self::Http(handles) => handles.conclude(py, outcome),
            Self::WebSocket(chat) => chat.conclude(py, outcome),
        }
    }

    fn call<'py>(
        &self,
        app: &Bound<'py, PyAny>,
        scope: Bound<'py, PyDict>,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self {
            Self::Http(handles) => app.call1((scope, &handles.receive, &handles.send)),
            Self::WebSocket(chat) => app.call1((scope, &chat.receive, &chat.send)),
        }
    }
}

impl LoopContext {
    /// Starts the task of a request.
    pub(super) fn start(
        self: &Arc<Self>,
        py: Python<'_>,
        request: Request,
        mut writer: ResponseWriter,
    ) -> PyResult<()> {
        let (scope, subject) = match Handshake::read(&request.head, self.websocket.compress) {
            Ok(None) => {
                let scope = self.scopes.http(py, &request);
                (scope, Subject::Http(Handles::begin(py, self, request, writer)?))
            }
            Ok(Some(handshake)) => {
                let scope = self.scopes.websocket(py, &request, handshake.protocols());
                let chat = Chat::begin(py, self, request, writer, handshake)?;
                (scope, Subject::WebSocket(chat))
            }
            Err(refusal) => {
                refusal.answer(&request.head, &mut writer);
                return Ok(());
            }
        };
        match scope.and_then(|scope| self.run(py, scope, &subject)) {
            Ok(task) if task.call_method0(intern!(py, "done"))?.is_truthy()? => {
                subject.conclude(py, Outcome::of(&task)?);
            }
            Ok(task) => {
                self.tasks.bind(py).add(&task)?;
                let concluder = Concluder(Mutex::new(Some((self.clone(), subject))));
                task.call_method1(intern!(py, "add_done_callback"), (concluder,))?;
            }
            Err(error) => subject.conclude(py, Outcome::Raised(error)),
        }
        Ok(())
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        scope: Bound<'py, PyDict>,
        subject: &Subject,
    ) -> PyResult<Bound<'py, PyAny>> {
        let coroutine = subject.call(self.app.bind(py), scope)?;
        match &self.eager {
            Some((task, keywords)) => task.bind(py).call((coroutine,), Some(keywords.bind(py))),
            None => self.event_loop.bind(py).call_method1(intern!(py, "create_task"), (coroutine,)),
        }
    }
}

/// Called by asyncio when a request's task has ended.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Concluder(Mutex<Option<(Arc<LoopContext>, Subject)>>);

#[pymethods]
impl Concluder {
    fn __call__(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some((context, subject)) = lock(&self.0).take() else { return Ok(()) };
        context.tasks.bind(py).discard(task)?;
        subject.conclude(py, Outcome::of(task)?);
        Ok(())
    }
}
