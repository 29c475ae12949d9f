//! The requests that have come are begun, each when its time has come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use pyo3::prelude::*;

use super::context::LoopContext;
use super::inbox::Arrived;
use crate::bridge::log_sink::app_error;
use crate::bridge::places::Place;
use crate::costs::Kind;
use crate::http::{Request, ResponseWriter};

/// What the log calls an error that is not the application's.
const BEFORE: &str = "Exception before the application";

/// A request that has its place among those at once, and keeps it while it waits to be begun.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) request: Request,
    pub(super) writer: ResponseWriter,
    pub(super) place: Place,
}

impl LoopContext {
    /// Gives a request its place, or 503.
    fn admit(&self, (request, mut writer): Arrived) -> Option<Admitted> {
        let place = self.places.take();
        if place.is_none() {
            self.places.refuse(&mut writer);
        }
        place.map(|place| Admitted { request, writer, place })
    }

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
            let Some(admitted) = self.admit(arrived) else { continue };
            let kind = self.pace.kind_of(&admitted.request.head);
            if kind.is_some_and(|kind| self.pace.is_heavy(kind)) {
                self.pace.hold(admitted);
            } else {
                self.begin_one(py, admitted, kind, &mut clock);
            }
        }
        while let Some(admitted) = self.pace.next() {
            let kind = self.pace.kind_of(&admitted.request.head);
            self.begin_one(py, admitted, kind, &mut clock);
        }
    }

    /// Begins all that have come.
    pub(super) fn begin_all(self: &Arc<Self>, py: Python<'_>, requests: Vec<Arrived>) {
        let mut start = |admitted| {
            if let Err(error) = self.start(py, admitted) {
                app_error(py, BEFORE, &error);
            }
        };
        self.pace.take_all().into_iter().for_each(&mut start);
        // One after the other: each that ends at once gives its place to the next.
        for arrived in requests {
            self.admit(arrived).into_iter().for_each(&mut start);
        }
    }

    fn begin_one(
        self: &Arc<Self>,
        py: Python<'_>,
        admitted: Admitted,
        kind: Option<Kind>,
        clock: &mut Clock,
    ) {
        match self.start(py, admitted) {
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
