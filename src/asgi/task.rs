//! The task of one request, and what follows when it ends.

use std::sync::{Arc, Mutex};

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use super::app::{AsgiApp, AsgiMount};
use super::begin::Admitted;
use super::context::LoopContext;
use super::deadline::{Answering, Deadlines};
use super::exchange::Handles;
use super::websocket::Chat;
use crate::bridge::app;
use crate::bridge::places::Place;
use crate::http::Request;
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
        match task.call_method0(intern!(py, "exception")) {
            Ok(exception) if exception.is_none() => Ok(Self::Returned),
            Ok(exception) => Ok(Self::Raised(PyErr::from_value(exception))),
            // What a cancelled task answers.
            Err(_) if task.call_method0(intern!(py, "cancelled"))?.is_truthy()? => {
                Ok(Self::Cancelled)
            }
            Err(error) => Err(error),
        }
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

    fn answering(&self) -> Arc<dyn Answering> {
        match self {
            Self::Http(handles) => handles.exchange.clone(),
            Self::WebSocket(chat) => chat.answering(),
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
    /// Starts the task of a request. Returns whether it goes on: it has something to wait for, or
    /// has not had its first step, where tasks do not start eagerly.
    pub(super) fn start(self: &Arc<Self>, py: Python<'_>, admitted: Admitted) -> PyResult<bool> {
        let Admitted { request, mut writer, place } = admitted;
        if writer.is_expired() {
            // Its client has its answer: 504.
            return Ok(false);
        }
        let Some(app) = self.app_of(&request) else {
            // Dropped, the writer answers 500.
            log::error!(target: "gohttp.error", "{}: its application was not there when the server started", app::describe(&request.head));
            return Ok(false);
        };
        let what = self.deadlines.as_ref().map(|_| app::describe(&request.head));
        let (scope, subject) = match Handshake::read(&request.head, self.websocket.compress) {
            Ok(None) => {
                let scope = app.scopes.http(py, &request);
                (scope, Subject::Http(Handles::begin(py, self, request, writer)?))
            }
            Ok(Some(handshake)) => {
                let scope = app.scopes.websocket(py, &request, handshake.protocols());
                let chat = Chat::begin(py, self, request, writer, handshake)?;
                (scope, Subject::WebSocket(chat))
            }
            Err(refusal) => {
                refusal.answer(&request.head, &mut writer);
                return Ok(false);
            }
        };
        match scope.and_then(|scope| self.run(py, &app, scope, &subject)) {
            Ok(task) if task.call_method0(intern!(py, "done"))?.is_truthy()? => {
                subject.conclude(py, Outcome::of(&task)?);
            }
            Ok(task) => {
                self.tasks.bind(py).add(&task)?;
                let deadline = self.deadlines.as_ref().zip(what).map(|(deadlines, what)| {
                    let number = deadlines.enter(task.clone().unbind(), subject.answering(), what);
                    (deadlines.clone(), number)
                });
                let ending = Ending { context: self.clone(), subject, deadline, _place: place };
                let concluder = Concluder(Mutex::new(Some(ending)));
                task.call_method1(intern!(py, "add_done_callback"), (concluder,))?;
                return Ok(true);
            }
            Err(error) => subject.conclude(py, Outcome::Raised(error)),
        }
        Ok(false)
    }

    /// The application that is asked for.
    fn app_of(&self, request: &Request) -> Option<Arc<AsgiApp>> {
        match &request.routed {
            None => self.app.clone(),
            Some(routed) => routed.target.downcast_ref::<AsgiMount>()?.ready(),
        }
    }

    fn run<'py>(
        &self,
        py: Python<'py>,
        app: &AsgiApp,
        scope: Bound<'py, PyDict>,
        subject: &Subject,
    ) -> PyResult<Bound<'py, PyAny>> {
        let coroutine = subject.call(app.app.bind(py), scope)?;
        match &self.eager {
            Some((task, keywords)) => task.bind(py).call((coroutine,), Some(keywords.bind(py))),
            None => self.event_loop.bind(py).call_method1(intern!(py, "create_task"), (coroutine,)),
        }
    }
}

/// What is to be done at the end of a task.
struct Ending {
    context: Arc<LoopContext>,
    subject: Subject,
    deadline: Option<(Arc<Deadlines>, u64)>,
    _place: Place,
}

/// Called by asyncio when a request's task has ended.
#[pyclass(frozen, module = "gohttp._gohttp")]
pub(crate) struct Concluder(Mutex<Option<Ending>>);

#[pymethods]
impl Concluder {
    fn __call__(&self, py: Python<'_>, task: &Bound<'_, PyAny>) -> PyResult<()> {
        let Some(ending) = lock(&self.0).take() else { return Ok(()) };
        ending.context.tasks.bind(py).discard(task)?;
        if let Some((deadlines, number)) = &ending.deadline {
            deadlines.leave(*number);
        }
        ending.subject.conclude(py, Outcome::of(task)?);
        Ok(())
    }
}
