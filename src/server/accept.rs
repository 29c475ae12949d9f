//! The accept loop, and the wait for the last connection at a stop.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use super::connection;
use super::context::Context;
use super::listener::{Listener, Transport};
use super::timeouts::Registry;
use crate::http::{ConnInfo, Peer, Room};
use crate::words::were;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How often a process whose threads are all busy looks whether a connection is still there, before
/// it takes it from its neighbours.
const LOOKS: u32 = 6;
/// Pause before each look.
const BETWEEN_LOOKS: Duration = Duration::from_millis(2);

/// Accepts until the drain begins, then takes what the backlog still holds.
pub(crate) async fn run<L: Listener>(listener: L, cx: Arc<Context>) {
    let mut complained = false;
    loop {
        let changed = cx.registry.changed.notified();
        if cx.registry.draining() {
            break;
        }
        if cx.config.max_connections.is_some_and(|max| cx.registry.open() >= max) {
            changed.await;
            continue;
        }
        tokio::select! {
            biased;
            accepted = accept(&listener, &cx) => match accepted {
                Ok(accepted) => {
                    complained = false;
                    start(accepted, &cx);
                    take_waiting(&listener, &cx);
                    // A neighbour process that shares the socket gets its turn too.
                    tokio::task::yield_now().await;
                }
                Err(error) => refused(&error, &mut complained).await,
            },
            () = wait_drain(&cx.registry) => break,
        }
    }
    // Clients in the backlog have connected already: to close on them would lose their requests.
    // The driver has to look at the sockets once more to know of the last of them.
    tokio::task::yield_now().await;
    tokio::task::yield_now().await;
    while let Some(accepted) = listener.try_accept() {
        start(accepted, &cx);
    }
}

/// Accepts a connection. Where several processes share the socket, one without a free thread lets
/// the others go first.
async fn accept<L: Listener>(listener: &L, cx: &Context) -> io::Result<(L::Io, Peer, Peer)> {
    if cx.config.accept_burst > 1 {
        return listener.accept().await;
    }
    loop {
        let mut accept = pin!(listener.accept());
        let room = poll_fn(|task| match cx.dispatch.room() {
            Room::Free => accept.as_mut().poll(task).map(Ok),
            other => Poll::Ready(Err(other)),
        });
        match room.await {
            Ok(accepted) => return accepted,
            Err(Room::None) => {
                if left_by_neighbours(listener, cx).await
                    && let Some(accepted) = listener.try_accept()
                {
                    return Ok(accepted);
                }
            }
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// Whether a connection waits that nobody else takes, while there is nobody here for it either.
async fn left_by_neighbours<L: Listener>(listener: &L, cx: &Context) -> bool {
    // What is there at one look may have come just then; what is there at each was left.
    for _ in 0..LOOKS {
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if !listener.has_waiting() || cx.dispatch.room() != Room::None {
            return false;
        }
    }
    true
}

/// Accepts a few more that wait already: their requests are then read, and run, in one turn, and
/// what runs together finds its code in the processor's caches.
fn take_waiting<L: Listener>(listener: &L, cx: &Arc<Context>) {
    for _ in 1..cx.config.accept_burst {
        if cx.config.max_connections.is_some_and(|max| cx.registry.open() >= max) {
            return;
        }
        let Some(accepted) = listener.try_accept() else { return };
        start(accepted, cx);
    }
}

async fn wait_drain(registry: &Registry) {
    loop {
        let changed = registry.changed.notified();
        if registry.draining() {
            return;
        }
        changed.await;
    }
}

fn start<I>((io, peer, local): (I, Peer, Peer), cx: &Arc<Context>)
where
    I: Transport,
{
    let watch = cx.registry.register();
    let place = watch.0.clone();
    let mut info = ConnInfo::new(peer, local, "http");
    info.proxies = cx.proxies_of(&info.peer);
    let task = tokio::spawn(connection::serve(io, cx.clone(), info, watch));
    place.set_cut(task.abort_handle());
}

async fn refused(error: &io::Error, complained: &mut bool) {
    if matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
    ) {
        return;
    }
    // Once until it works again: a full descriptor table fails many times a second.
    if !std::mem::replace(complained, true) {
        log::error!(
            target: "gohttp.server",
            "cannot accept connections: {error}; waiting for some to end (raise 'ulimit -n' or set max_connections)"
        );
    }
    tokio::time::sleep(ACCEPT_PAUSE).await;
}

/// Waits until no connection is open, or `graceful` is over, which may become shorter meanwhile.
pub(crate) async fn drained(registry: &Registry, graceful: impl Fn() -> Duration) {
    let began = Instant::now();
    loop {
        let mut changed = pin!(registry.changed.notified());
        changed.as_mut().enable();
        if registry.open() == 0 {
            return;
        }
        let left = graceful().saturating_sub(began.elapsed());
        if tokio::time::timeout(left, changed).await.is_err() {
            break;
        }
    }
    log::warn!(
        target: "gohttp.server",
        "{} still busy after graceful_timeout ({} s), and cut",
        were(registry.open(), "connection"),
        graceful().as_secs_f64()
    );
    registry.cut_all();
    // Their tasks end at their next turn.
    for _ in 0..3 {
        tokio::task::yield_now().await;
    }
}
