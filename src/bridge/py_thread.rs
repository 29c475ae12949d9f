//! Threads that call Python for engines, which never take the GIL.

use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

use pyo3::prelude::*;

type Job = Box<dyn FnOnce(Python<'_>) + Send>;

/// A thread that is started when it is first needed, and lives as long as the process.
pub(crate) struct PyThread {
    name: &'static str,
    jobs: OnceLock<Option<Sender<Job>>>,
}

impl PyThread {
    pub(crate) const fn new(name: &'static str) -> Self {
        Self { name, jobs: OnceLock::new() }
    }

    /// Runs `job`, after those that came before. From any thread, with the GIL or without.
    pub(crate) fn run(&self, job: impl FnOnce(Python<'_>) + Send + 'static) {
        if let Some(jobs) = self.jobs.get_or_init(|| self.start()) {
            // Its other end lives as long as the process.
            let _ = jobs.send(Box::new(job));
        }
    }

    fn start(&self) -> Option<Sender<Job>> {
        let (sender, receiver) = channel::<Job>();
        let started = std::thread::Builder::new().name(self.name.into()).spawn(move || {
            while let Ok(job) = receiver.recv() {
                Python::attach(job);
            }
        });
        match started {
            Ok(_) => Some(sender),
            Err(error) => {
                log::error!(target: "gohttp.server", "the thread {} cannot be started: {error}", self.name);
                None
            }
        }
    }
}
