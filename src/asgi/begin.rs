//! The requests that have come are begun, each when its time has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::engine::LoopContext;
use super::inbox::Arrived;
use crate::bridge::log_sink::app_error;
use crate::costs::Kind;

/// What the log calls an error that is not the application's.
const BEFORE: &str = "Exception before the application";

impl LoopContext {
    /// Begins, in a turn of the loop that drives the engine, what is to be begun in it. `busy`: the
    /// loop has something to do whatever is begun.
    pub(super) fn begin_in_turn(
        self: &Arc<Self>,
        py: Python<'_>,
        requests: Vec<Arrived>,
        busy: bool,
    ) {
        self.pace.turn(busy);
        if requests.is_empty() && self.pace.waiting() == 0 {
            return;
        }
        let mut clock = Clock(Some(Instant::now()));
        for arrived in requests {
            let kind = self.pace.kind_of(&arrived.0.head);
            if !kind.is_some_and(|kind| self.pace.is_heavy(kind)) {
                self.begin_one(py, arrived, kind, &mut clock);
            } else if self.is_full(py) {
                let (_, mut writer) = arrived;
                self.refuse(&mut writer);
            } else {
                self.pace.hold(arrived);
            }
        }
        while let Some(arrived) = self.pace.next() {
            let kind = self.pace.kind_of(&arrived.0.head);
            self.begin_one(py, arrived, kind, &mut clock);
        }
    }

    /// Begins all that have come.
    pub(super) fn begin_all(self: &Arc<Self>, py: Python<'_>, requests: Vec<Arrived>) {
        for (request, writer) in self.pace.take_all().into_iter().chain(requests) {
            if let Err(error) = self.start(py, request, writer) {
                app_error(py, BEFORE, &error);
            }
        }
    }

    fn begin_one(
        self: &Arc<Self>,
        py: Python<'_>,
        (request, writer): Arrived,
        kind: Option<Kind>,
        clock: &mut Clock,
    ) {
        match self.start(py, request, writer) {
            Ok(true) => {
                if let Some(took) = clock.lap() {
                    self.pace.note(kind, Some(took));
                }
            }
            // It is over. As long as kinds do not matter, not even the clock is looked at.
            Ok(false) => {
                clock.0 = kind.map(|_| Instant::now());
                if kind.is_some() {
                    self.pace.note(kind, None);
                }
            }
            Err(error) => app_error(py, BEFORE, &error),
        }
    }
}

/// When the request before this one had had its first step; `None` if nobody looked.
struct Clock(Option<Instant>);

impl Clock {
    /// The time since then.
    fn lap(&mut self) -> Option<Duration> {
        let now = Instant::now();
        self.0.replace(now).map(|last| now - last)
    }
}
