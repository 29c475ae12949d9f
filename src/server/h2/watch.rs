//! Tasks beside a stream: its upload, and what ends it from outside.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Streams;
use crate::http::{BodyError, Due, Link};
use crate::server::context::Context;

/// Moves the request's body to the link, as fast as the handler takes it; if there is none yet, all
/// of it at once (`ahead`).
pub(super) async fn upload(mut body: Incoming, link: Arc<Link>, cx: Arc<Context>, ahead: bool) {
    let mut taken = 0u64;
    loop {
        if !ahead {
            poll_fn(|task| link.poll_upload_room(task)).await;
        }
        if link.is_closed() {
            // Dropping the body resets the stream, if it is not complete.
            return;
        }
        let frame = poll_fn(|task| Pin::new(&mut body).poll_frame(task));
        let frame = match tokio::time::timeout(cx.config.body_timeout, frame).await {
            Err(_) => return link.end_upload(Some(BodyError::TimedOut)),
            Ok(None) => return link.end_upload(None),
            Ok(Some(Err(_))) => return link.end_upload(Some(BodyError::Disconnected)),
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            taken += data.len() as u64;
            if cx.config.max_body_size.is_some_and(|max| taken > max) {
                return link.end_upload(Some(BodyError::TooLarge));
            }
            if let Err(error) = link.push_upload(data) {
                return link.end_upload(Some(error));
            }
        }
    }
}

/// Ends a response that is not complete by `deadline`, unless another than `due` has been set
/// meanwhile.
pub(super) async fn cut_at(link: Arc<Link>, deadline: Instant, due: Due) {
    tokio::time::sleep_until(deadline).await;
    if link.unfinished() && link.due() == due {
        log::warn!(target: "gohttp.request", "HTTP/2 stream cut: its handler did not end within {}", due.source());
        // What its handler reads or writes now fails for that reason.
        link.expire();
        link.cut();
    }
}

/// Ends a response of which the client takes nothing for the write time-out (and up to as much
/// more): its window is closed, and hyper says nothing of that.
pub(super) async fn cut_if_stalled(link: Arc<Link>, streams: Arc<Streams>, timeout: Duration) {
    let mut last = None;
    while let Some(now) = link.untaken() {
        if now.0 > 0 && last == Some(now.1) {
            log::info!(target: "gohttp.request", "HTTP/2 stream cut: the client took nothing for write_timeout");
            streams.note_answered(&link);
            return link.cut();
        }
        last = Some(now.1);
        tokio::time::sleep(timeout).await;
    }
}
