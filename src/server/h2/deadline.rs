//! By when a stream's response must have begun.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use crate::http::Due;

/// See the module's text.
pub(super) struct Deadline {
    settings: Option<Instant>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl Deadline {
    /// So long from now, if its handler says nothing else.
    pub(super) fn new(timeout: Option<Duration>) -> Self {
        Self {
            settings: timeout.and_then(|timeout| Instant::now().checked_add(timeout)),
            sleep: None,
        }
    }

    /// When it is.
    pub(super) fn instant(&self, due: Due) -> Option<Instant> {
        match due {
            Due::Settings => self.settings,
            Due::Never => None,
            Due::At(at) => Some(at.into()),
        }
    }

    /// Ready when it has passed.
    pub(super) fn poll(&mut self, due: Due, cx: &mut Context<'_>) -> Poll<()> {
        let Some(at) = self.instant(due) else { return Poll::Pending };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        if sleep.deadline() != at {
            sleep.as_mut().reset(at);
        }
        sleep.as_mut().poll(cx)
    }
}
