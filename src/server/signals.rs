//! SIGTERM and SIGINT: the first asks for a drain, the second ends the process at once, even if
//! nothing of ours gets to run any more.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::SigId;
use signal_hook::consts::{SIGINT, SIGTERM};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{Driver, Server};

/// The signals that stop a server. Dropping it gives them back.
#[derive(Debug)]
pub struct Signals {
    taken: TakenSignals,
    streams: [Signal; 2],
}

/// For as long as this lives, a second signal ends the process. It is for the caller to keep, to
/// its own end: what runs the server may live a little longer, and meanwhile another one begin.
#[derive(Debug)]
#[must_use = "dropped, it gives the signals back"]
pub struct TakenSignals(Vec<SigId>);

impl Signals {
    /// Takes over SIGTERM and SIGINT of this process. `insist`: a second one ends it at once; a
    /// supervised worker can get SIGTERM twice for one stop.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn install(driver: &Driver, insist: bool) -> io::Result<Self> {
        let _entered = driver.enter();
        let streams = [signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
        // In this order: the handler that ends the process sees the flag of an earlier signal.
        let asked = Arc::new(AtomicBool::new(false));
        let mut ids = Vec::new();
        for number in [SIGTERM, SIGINT].into_iter().filter(|_| insist) {
            ids.push(signal_hook::flag::register_conditional_shutdown(
                number,
                128 + number,
                asked.clone(),
            )?);
            ids.push(signal_hook::flag::register(number, asked.clone())?);
        }
        Ok(Self { taken: TakenSignals(ids), streams })
    }

    /// Has the first of the signals begin `server`'s stop.
    pub fn stop(self, driver: &Driver, server: Arc<Server>) -> TakenSignals {
        let _entered = driver.enter();
        let Self { taken, streams: [mut terminate, mut interrupt] } = self;
        let insist = if taken.0.is_empty() { "" } else { "; a second signal ends at once" };
        tokio::spawn(async move {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            log::info!(target: "gohttp.server", "{signal}: stopping{insist}");
            server.drain();
        });
        taken
    }
}

impl Drop for TakenSignals {
    fn drop(&mut self) {
        for id in self.0.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
