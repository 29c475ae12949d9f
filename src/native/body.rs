//! A request's body as a native handler reads it: whole, or piece by piece.

use std::sync::{Arc, Mutex};
use std::task::Context;

use bytes::Bytes;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::turns::{Turn, Turns};
use crate::bridge::baton::Baton;
use crate::bridge::convert::body_error;
use crate::bridge::fresh_bytes::{WORTH, receive};
use crate::http::{BodyEvent, Request};
use crate::wake::lock;

#[derive(Default)]
enum State {
    /// Nothing has been read.
    #[default]
    Fresh,
    /// All of it, and how much of that `read` has given.
    Whole(Py<PyBytes>, usize),
    /// It is read in pieces; what has come of the last one.
    Pieces(Bytes),
}

/// See the module's text.
#[derive(Default)]
pub(super) struct Body {
    /// Changed by who has the turn.
    state: Mutex<State>,
    turns: Turns,
}

impl Body {
    /// Waits until no other thread is reading; none does as long as the result lives.
    pub(super) fn turn(&self, py: Python<'_>, baton: &Arc<Baton>) -> Turn<'_> {
        self.turns.wait(py, baton)
    }

    /// The whole body, however often it is asked for.
    pub(super) fn whole(
        &self,
        py: Python<'_>,
        request: &Request,
        baton: &Arc<Baton>,
    ) -> PyResult<Py<PyBytes>> {
        if let State::Whole(body, _) = &*lock(&self.state) {
            return Ok(body.clone_ref(py));
        }
        let _turn = self.turn(py, baton);
        let in_pieces = match &*lock(&self.state) {
            State::Whole(body, _) => return Ok(body.clone_ref(py)),
            State::Pieces(_) => true,
            State::Fresh => false,
        };
        if in_pieces {
            return Err(PyRuntimeError::new_err(
                "the body cannot be had as a whole any more: some of it has been given by read()",
            ));
        }
        let body = receive_all(py, request, baton)?;
        *lock(&self.state) = State::Whole(body.clone_ref(py), 0);
        Ok(body)
    }

    /// Up to `size` bytes, at least one but at the end; `None` is what there is up to the end.
    pub(super) fn read(
        &self,
        py: Python<'_>,
        request: &Request,
        baton: &Arc<Baton>,
        size: Option<usize>,
    ) -> PyResult<Py<PyBytes>> {
        let _turn = self.turn(py, baton);
        let Some(size) = size else {
            return self.read_rest(py, request, baton);
        };
        let mut piece = {
            let mut state = lock(&self.state);
            match &mut *state {
                State::Whole(body, at) => {
                    let left = &body.as_bytes(py)[*at..];
                    let part = Bytes::copy_from_slice(&left[..left.len().min(size)]);
                    *at += part.len();
                    drop(state);
                    return Ok(PyBytes::new(py, &part).unbind());
                }
                State::Pieces(rest) => std::mem::take(rest),
                State::Fresh => {
                    *state = State::Pieces(Bytes::new());
                    Bytes::new()
                }
            }
        };
        if piece.is_empty() && size > 0 {
            piece = match baton.wait(py, |cx| request.poll_body(cx)) {
                BodyEvent::Data(data) => data,
                BodyEvent::End => Bytes::new(),
                BodyEvent::Failed(error) => return Err(body_error(py, baton, error)),
            };
        }
        let rest = piece.split_off(piece.len().min(size));
        *lock(&self.state) = State::Pieces(rest);
        Ok(PyBytes::new(py, &piece).unbind())
    }

    fn read_rest(
        &self,
        py: Python<'_>,
        request: &Request,
        baton: &Arc<Baton>,
    ) -> PyResult<Py<PyBytes>> {
        if matches!(*lock(&self.state), State::Fresh) {
            self.whole(py, request, baton)?;
        }
        if let State::Whole(body, at @ 0) = &mut *lock(&self.state) {
            // The very bytes: a body is not copied to be read.
            *at = body.as_bytes(py).len();
            return Ok(body.clone_ref(py));
        }
        let mut all = Vec::new();
        loop {
            let piece = self.read(py, request, baton, Some(usize::MAX))?;
            let piece = piece.as_bytes(py);
            if piece.is_empty() {
                return Ok(PyBytes::new(py, &all).unbind());
            }
            all.extend_from_slice(piece);
        }
    }
}

fn receive_all(py: Python<'_>, request: &Request, baton: &Arc<Baton>) -> PyResult<Py<PyBytes>> {
    if let Some(length) = request.head.content_length().and_then(|n| usize::try_from(n).ok())
        && WORTH.contains(&length)
    {
        let poll = |sink: &mut _, cx: &mut Context<'_>| request.poll_body_into(sink, cx);
        return Ok(receive(py, baton, &[], length, poll)?.unbind());
    }
    let mut received = Vec::new();
    loop {
        match baton.wait(py, |cx| request.poll_body(cx)) {
            BodyEvent::Data(data) => received.extend_from_slice(&data),
            BodyEvent::End => return Ok(PyBytes::new(py, &received).unbind()),
            BodyEvent::Failed(error) => return Err(body_error(py, baton, error)),
        }
    }
}
