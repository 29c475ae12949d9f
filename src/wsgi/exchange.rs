//! One request and its response, and the three objects that an application gets of it.
//!
//! Making and freeing Python objects costs more than all else that is done for a small response,
//! so a thread uses them again when the application has let go of them.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard};

use pyo3::intern;
use pyo3::prelude::*;

use super::input::{Buffer, Input};
use super::start_response::{StartResponse, Write};
use crate::bridge::app;
use crate::bridge::baton::Baton;
use crate::bridge::refcount::{references, unwatched};
use crate::http::{Request, ResponseWriter, WriteError};
use crate::wake::lock;

/// What `wsgi.input`, `start_response` and `write` share.
pub(crate) struct Exchange {
    state: Mutex<State>,
    baton: Arc<Baton>,
}

/// Request and response of the exchange; neither while it waits for its next use.
#[derive(Default)]
pub(super) struct State {
    pub(super) request: Option<Request>,
    pub(super) writer: Option<ResponseWriter>,
    pub(super) received: Buffer,
    /// The application has taken the connection over.
    pub(super) hijacked: bool,
}

impl Exchange {
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    pub(super) fn baton(&self) -> &Arc<Baton> {
        &self.baton
    }

    /// Does something with the writer, which is locked meanwhile: no Python may be called.
    pub(super) fn write<T>(
        &self,
        f: impl FnOnce(&mut ResponseWriter) -> Result<T, WriteError>,
    ) -> Result<T, WriteError> {
        self.state().writer.as_mut().map_or(Err(WriteError::Ended), f)
    }

    /// Whether the client has been told that its request took too long.
    pub(super) fn is_expired(&self) -> bool {
        self.write(|writer| Ok(writer.is_expired())) == Ok(true)
    }

    /// As [`Self::write`], for `length` bytes of the body: the GIL is not held while many are
    /// compressed.
    pub(super) fn give<T: Send>(
        &self,
        py: Python<'_>,
        length: usize,
        f: impl FnOnce(&mut ResponseWriter) -> Result<T, WriteError> + Send,
    ) -> Result<T, WriteError> {
        let mut state = self.state();
        match &mut state.writer {
            Some(writer) if !writer.takes_time(length) => f(writer),
            Some(_) => {
                drop(state);
                py.detach(|| self.write(f))
            }
            None => Err(WriteError::Ended),
        }
    }

    /// The request in a log line.
    pub(super) fn describe(&self) -> String {
        self.state().request.as_ref().map(|r| app::describe(&r.head)).unwrap_or_default()
    }

    /// Logs an error of the application, and answers 500 or cuts the response.
    pub(super) fn fail(&self, py: Python<'_>, error: &PyErr) {
        app::fail(py, &self.describe(), error, |f| {
            if let Some(writer) = &mut self.state().writer {
                f(writer);
            }
        });
    }
}

/// An exchange with its Python objects.
pub(super) struct Handles {
    pub(super) exchange: Arc<Exchange>,
    pub(super) input: Py<Input>,
    /// The bound method: a call of it costs less than one of an object.
    pub(super) start_response: Py<PyAny>,
    pub(super) early_hints: Py<PyAny>,
    pub(super) starter: Py<StartResponse>,
}

thread_local! {
    /// The handles of this thread's last request.
    static SPARE: RefCell<Option<Handles>> = const { RefCell::new(None) };
}

impl Handles {
    /// Handles for a request, to be given back with [`Self::finish`].
    pub(super) fn begin(
        py: Python<'_>,
        baton: &Arc<Baton>,
        request: Request,
        writer: ResponseWriter,
    ) -> PyResult<Self> {
        let spare = SPARE.take().filter(|spare| Arc::ptr_eq(&spare.exchange.baton, baton));
        let handles = match spare {
            Some(spare) => spare,
            None => Self::new(py, baton)?,
        };
        let mut state = handles.exchange.state();
        state.request = Some(request);
        state.writer = Some(writer);
        drop(state);
        Ok(handles)
    }

    fn new(py: Python<'_>, baton: &Arc<Baton>) -> PyResult<Self> {
        let exchange = Arc::new(Exchange { state: Mutex::default(), baton: baton.clone() });
        let write = Py::new(py, Write(exchange.clone()))?;
        let starter = Py::new(py, StartResponse { exchange: exchange.clone(), write })?;
        Ok(Self {
            input: Py::new(py, Input(exchange.clone()))?,
            start_response: starter.getattr(py, intern!(py, "start_response"))?,
            early_hints: starter.getattr(py, intern!(py, "early_hints"))?,
            starter,
            exchange,
        })
    }

    /// The application has ended. An answer that is missing is a 500.
    pub(super) fn finish(self, py: Python<'_>) {
        let mut state = self.exchange.state();
        if let Some(writer) = &mut state.writer
            && !writer.ended()
        {
            // An application that keeps `start_response` must not keep the client waiting.
            writer.fail(500);
        }
        if !self.let_go(py) {
            return;
        }
        // Dropped after the lock.
        let _ended = std::mem::take(&mut *state);
        drop(state);
        SPARE.set(Some(self));
    }

    /// Whether the application holds none of the objects any more.
    fn let_go(&self, py: Python<'_>) -> bool {
        references(py, &self.input) == 1
            && references(py, &self.start_response) == 1
            && references(py, &self.early_hints) == 1
            // The methods' and ours.
            && references(py, &self.starter) == 3
            && references(py, &self.starter.get().write) == 1
            && unwatched(py, &self.start_response)
            && unwatched(py, &self.early_hints)
    }
}
