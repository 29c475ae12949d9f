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
    ids: Vec<SigId>,
    streams: [Signal; 2],
}

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
        Ok(Self { ids, streams })
    }

    /// Has the first of the signals begin `server`'s stop. The signals stay taken over for as long
    /// as `driver` lives.
    pub fn stop(mut self, driver: &Driver, server: Arc<Server>) {
        let _entered = driver.enter();
        tokio::spawn(async move {
            let [terminate, interrupt] = &mut self.streams;
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            let insist = if self.ids.is_empty() { "" } else { "; a second signal ends at once" };
            log::info!(target: "gohttp.server", "{signal}: stopping{insist}");
            server.drain();
            std::future::pending::<()>().await;
        });
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        for id in self.ids.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}
