//! HTTP/2 connections: hyper speaks the protocol, this translates to the shared exchange.

mod deadline;
mod rewind;
mod watch;

use std::future::{Future, poll_fn};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::task::{self, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};

use super::body::{Keeper, ResponseBody};
use super::context::Context;
use super::timeouts::{Registered, Watch};
use super::translate::{head_of, response_of};
use crate::http::{
    self as exchange, BodyError, ConnInfo, Due, Handover, Link, LinkWaker, Outgoing, Progress,
    ResponseHead, Upgrade, Version,
};
use crate::server::access_log::AccessEntry;
use deadline::Deadline;
use rewind::Rewind;
use watch::{cut_at, cut_if_stalled, upload};

/// Requests at once on one connection.
const MAX_STREAMS: u32 = 256;
/// Pings on a silent connection, so that a dead one is found.
const PING_EVERY: Duration = Duration::from_secs(30);

/// How long a client without requests has to take its leave.
const GOODBYE: Duration = Duration::from_millis(500);

/// Serves an HTTP/2 connection to its end. `begun`: what has been read of it.
pub(crate) async fn serve<I>(
    io: I,
    begun: Bytes,
    cx: Arc<Context>,
    info: Arc<ConnInfo>,
    watch: Registered,
) where
    I: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let config = &cx.config;
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .enable_connect_protocol()
        .max_header_list_size(config.max_head_size.min(u32::MAX as usize) as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(config.write_timeout);
    let streams = Arc::new(Streams {
        open: AtomicUsize::new(0),
        answered: AtomicUsize::new(0),
        progress: AtomicU64::new(0),
        watch: watch.0.clone(),
        idle: config.idle_timeout,
        leaving: AtomicBool::new(false),
    });
    let service = {
        let (cx, streams) = (cx.clone(), streams.clone());
        hyper::service::service_fn(move |request| {
            // Boxed, since hyper and tokio move it about six times.
            Box::pin(respond(request, cx.clone(), info.clone(), Stream::open(&streams)))
        })
    };
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Rewind { begun, io }), service));
    watch.0.arm(config.idle_timeout);
    let mut stalled = std::pin::pin!(all_stalled(&streams, config.write_timeout));
    let result = poll_fn(|task| {
        if stalled.as_mut().poll(task).is_ready() {
            log::info!(target: "gohttp.request", "HTTP/2 connection cut: the client took nothing for write_timeout");
            return Poll::Ready(Ok(()));
        }
        watch.0.set_task(task.waker());
        let idle = watch.0.expired() && streams.open.load(Relaxed) == 0;
        if idle && streams.leaving.load(Relaxed) {
            // It does not even answer the ping of the goodbye.
            return Poll::Ready(Ok(()));
        }
        if (idle || cx.registry.draining()) && !streams.leaving.swap(true, Relaxed) {
            connection.as_mut().graceful_shutdown();
            if streams.open.load(Relaxed) == 0 {
                watch.0.arm(GOODBYE);
            }
        }
        connection.as_mut().poll(task)
    })
    .await;
    if let Err(error) = result {
        log::debug!(target: "gohttp.request", "HTTP/2 connection ended: {error}");
    }
}

/// The requests of one connection, to know when it is idle, or its client takes nothing.
struct Streams {
    open: AtomicUsize,
    /// Those of them whose handlers have nothing more to give.
    answered: AtomicUsize,
    /// Counts requests and pieces that the client has taken.
    progress: AtomicU64,
    watch: Arc<Watch>,
    idle: Duration,
    /// GOAWAY has been sent.
    leaving: AtomicBool,
}

struct Stream(Arc<Streams>);

impl Stream {
    fn open(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Relaxed);
        streams.progress.fetch_add(1, Relaxed);
        streams.watch.disarm();
        Self(streams.clone())
    }
}

impl Streams {
    /// The handler of this request has nothing more to give.
    fn note_answered(&self, link: &Link) {
        if link.note_answered() {
            self.answered.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if self.0.open.fetch_sub(1, Relaxed) == 1 {
            let leaving = self.0.leaving.load(Relaxed);
            self.0.watch.arm(if leaving { GOODBYE } else { self.0.idle });
        }
    }
}

/// Ready when nothing but the client has been waited for during the write time-out (and up to as
/// much more), and it has taken nothing. Its window may be closed, which hyper says nothing of; it
/// answers pings all the same, and would keep connection and responses for ever.
async fn all_stalled(streams: &Streams, timeout: Duration) {
    let mut last = None;
    loop {
        tokio::time::sleep(timeout).await;
        let open = streams.open.load(Relaxed);
        let waits = open > 0 && streams.answered.load(Relaxed) >= open;
        let now = waits.then(|| streams.progress.load(Relaxed));
        if now.is_some() && now == last {
            return;
        }
        last = now;
    }
}

/// Tells the handler when hyper drops the response: the client has gone.
struct CloseOnDrop {
    link: Arc<Link>,
    access: Option<AccessEntry>,
    status: u16,
    sent: u64,
    whole: bool,
    stream: Stream,
}

impl CloseOnDrop {
    fn new(link: Arc<Link>, stream: Stream) -> Self {
        Self { link, access: None, status: 0, sent: 0, whole: false, stream }
    }

    /// Notes what is answered, for the access log.
    fn note(&mut self, head: &ResponseHead) {
        self.status = head.status();
        if let Some(access) = &mut self.access {
            access.note(head);
        }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.link.close();
        if self.link.answered() {
            self.stream.0.answered.fetch_sub(1, Relaxed);
        }
        if let Some(access) = self.access.take() {
            access.end(self.status, self.sent, self.whole);
        }
    }
}

impl Keeper for CloseOnDrop {
    fn link(&self) -> &Link {
        &self.link
    }

    // The link wakes the stream's own task, which is the one that asks.
    fn asked(&mut self, _: &mut task::Context<'_>) {}

    fn sent(&mut self, bytes: u64) {
        self.sent += bytes;
        self.stream.0.progress.fetch_add(1, Relaxed);
        if !self.link.answered() {
            self.link.note_progress();
        }
    }

    fn given(&mut self) {
        self.stream.0.note_answered(&self.link);
    }

    fn set_due(&mut self, due: Due) {
        // One that watches for an earlier one finds it changed.
        if let Due::At(at) = due {
            tokio::spawn(cut_at(self.link.clone(), at.into(), due));
        }
    }

    fn set_whole(&mut self, whole: bool) {
        self.whole = whole;
    }
}

type Response = ::http::Response<ResponseBody<CloseOnDrop>>;

/// What a stream answers with.
enum Answer {
    /// A head, and what there is of the body.
    Response(ResponseHead, Outgoing),
    /// A head, and what runs the stream after it.
    Upgrade(ResponseHead, Box<dyn Upgrade>),
    /// A status of the server's own.
    Refusal(u16),
}

async fn respond(
    mut request: ::http::Request<Incoming>,
    cx: Arc<Context>,
    info: Arc<ConnInfo>,
    stream: Stream,
) -> Result<Response, io::Error> {
    let upgraded = request
        .extensions()
        .get::<hyper::ext::Protocol>()
        .is_some()
        .then(|| hyper::upgrade::on(&mut request));
    let (parts, body) = request.into_parts();
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let link =
        Link::new(info.clone(), LinkWaker { task, queue: cx.wake.clone() }, !body.is_end_stream());
    let length = body.size_hint().exact().filter(|_| !body.is_end_stream());
    let target = parts.uri.path_and_query().map_or("/", |both| both.as_str()).as_bytes();
    let head = match head_of(&parts, Version::Http2, target, length, &cx.config) {
        Ok(head) => head,
        Err(status) => {
            return Ok(refusal(status, CloseOnDrop::new(link, stream), &cx.registry.date()));
        }
    };
    let mut guard = CloseOnDrop::new(link.clone(), stream);
    guard.access = cx.access_log.map(|log| log.begin(&info, &head));
    // A handler that blocks should not have to wait for the client.
    let ahead = length.is_some_and(|length| length <= cx.dispatch.prebuffer(&head).slow as u64)
        && head.get(b"expect").is_none();
    if ahead {
        upload(body, link.clone(), cx.clone(), true).await;
        if let Some(error) = link.upload_error() {
            if error == BodyError::Disconnected {
                return Err(io::Error::other("the client has gone"));
            }
            return Ok(refusal(error.status(), guard, &cx.registry.date()));
        }
    } else if !body.is_end_stream() {
        tokio::spawn(upload(body, link.clone(), cx.clone(), false));
    }
    let (request, writer) = exchange::exchange(head, link.clone());
    cx.dispatch(request, writer);

    let mut deadline = Deadline::new(cx.config.request_timeout);
    let taken = poll_fn(|task| {
        if let Some((head, upgrade)) = link.take_upgrade() {
            return match head {
                Some(head) => Poll::Ready(Ok(Answer::Upgrade(head, upgrade))),
                None => Poll::Ready(Ok(Answer::Refusal(501))),
            };
        }
        let mut out = link.take_outgoing();
        match (link.upload_error(), out.head.take(), out.progress) {
            // Nothing has been sent yet: what the client did wrong is the answer, whatever the
            // handler made of it.
            (Some(error), ..) if error != BodyError::Disconnected => {
                Poll::Ready(Ok(Answer::Refusal(error.status())))
            }
            (_, Some(head), _) => Poll::Ready(Ok(Answer::Response(head, out))),
            (_, None, Progress::Open) => {
                deadline.poll(out.due, task).map(|()| Ok(Answer::Refusal(504)))
            }
            (_, None, _) => Poll::Ready(Err(io::Error::other("no response"))),
        }
    });
    let taken = taken.await?;
    let (head, out) = match taken {
        Answer::Response(head, out) => (head, out),
        Answer::Refusal(status) => {
            if status == 504 {
                link.expire();
            }
            return Ok(refusal(status, guard, &cx.registry.date()));
        }
        Answer::Upgrade(head, upgrade) => {
            return Ok(switch(head, upgrade, upgraded, guard, cx));
        }
    };
    guard.note(&head);
    guard.whole = out.progress == Progress::Complete && out.body.is_empty();
    if out.progress == Progress::Open {
        let streams = guard.stream.0.clone();
        tokio::spawn(cut_if_stalled(link.clone(), streams, cx.config.write_timeout));
        if let Some(at) = deadline.instant(out.due) {
            tokio::spawn(cut_at(link.clone(), at, out.due));
        }
    }
    let response = response_of(&head, Some(&cx.registry.date()));
    Ok(response.map(|()| {
        ResponseBody::new(out, head.content_length(), cx.config.write_timeout, Some(guard))
    }))
}

/// Gives the stream to who has taken it over, once the answer is out.
fn switch(
    head: ResponseHead,
    upgrade: Box<dyn Upgrade>,
    upgraded: Option<hyper::upgrade::OnUpgrade>,
    mut guard: CloseOnDrop,
    cx: Arc<Context>,
) -> Response {
    guard.note(&head);
    guard.whole = true;
    let date = cx.registry.date();
    tokio::spawn(async move {
        // The stream is counted, and noted in the access log, to its end.
        let _guard = guard;
        if let Some(Ok(io)) = match upgraded {
            Some(upgraded) => Some(upgraded.await),
            None => None,
        } {
            let connection = Handover {
                io: Box::new(TokioIo::new(io)),
                read: BytesMut::new(),
                stopping: Box::pin(cx.registry.clone().stopping()),
                write_timeout: cx.config.write_timeout,
            };
            upgrade.run(connection).await;
        }
    });
    response_of(&head, Some(&date)).map(|()| ResponseBody::none())
}

/// A small answer of the server's own.
fn refusal(status: u16, mut guard: CloseOnDrop, date: &[u8; 29]) -> Response {
    guard.link.close();
    let body = format!("{status} {}\n", exchange::reason_phrase(status));
    let mut head = ResponseHead::text(status, body.len());
    guard.link.refine(&mut head);
    guard.note(&head);
    let length = head.content_length();
    let out = Outgoing::whole(body.into());
    response_of(&head, Some(date))
        .map(|()| ResponseBody::new(out, length, Duration::MAX, Some(guard)))
}
