//! HTTP/2 connections: hyper speaks the protocol, this translates to the shared exchange.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use http_body::Body;
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use smallvec::SmallVec;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::context::Context;
use super::h1::is_host;
use super::timeouts::{Registered, Watch};
use crate::http::{
    self as exchange, BodyError, ConnInfo, Link, LinkWaker, Progress, RequestHead,
    RequestHeadBuilder, ResponseHead, Version,
};
use crate::server::access_log::AccessEntry;

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
        .max_header_list_size(config.max_head_size.min(u32::MAX as usize) as u32)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(config.write_timeout);
    let streams = Arc::new(Streams {
        open: AtomicUsize::new(0),
        watch: watch.0.clone(),
        idle: config.idle_timeout,
        leaving: AtomicBool::new(false),
    });
    let service = {
        let (cx, streams) = (cx.clone(), streams.clone());
        hyper::service::service_fn(move |request| {
            respond(request, cx.clone(), info.clone(), Stream::open(&streams))
        })
    };
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(Rewind { begun, io }), service));
    watch.0.arm(config.idle_timeout);
    let result = poll_fn(|task| {
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

/// The requests of one connection, to know when it is idle.
struct Streams {
    open: AtomicUsize,
    watch: Arc<Watch>,
    idle: Duration,
    /// GOAWAY has been sent.
    leaving: AtomicBool,
}

struct Stream(Arc<Streams>);

impl Stream {
    fn open(streams: &Arc<Streams>) -> Self {
        streams.open.fetch_add(1, Relaxed);
        streams.watch.disarm();
        Self(streams.clone())
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

/// Tells the handler when hyper drops the response: the client has gone.
struct CloseOnDrop {
    link: Arc<Link>,
    access: Option<AccessEntry>,
    status: u16,
    sent: u64,
    whole: bool,
    _stream: Stream,
}

impl CloseOnDrop {
    fn new(link: Arc<Link>, stream: Stream) -> Self {
        Self { link, access: None, status: 0, sent: 0, whole: false, _stream: stream }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.link.close();
        if let Some(access) = self.access.take() {
            access.end(self.status, self.sent, self.whole);
        }
    }
}

type Response = ::http::Response<ResponseBody>;

async fn respond(
    request: ::http::Request<Incoming>,
    cx: Arc<Context>,
    info: Arc<ConnInfo>,
    stream: Stream,
) -> Result<Response, io::Error> {
    let (parts, body) = request.into_parts();
    let task = poll_fn(|cx| Poll::Ready(cx.waker().clone())).await;
    let link =
        Link::new(info.clone(), LinkWaker { task, queue: cx.wake.clone() }, !body.is_end_stream());
    let head =
        match head_of(&parts, body.size_hint().exact().filter(|_| !body.is_end_stream()), &cx) {
            Ok(head) => head,
            Err(status) => {
                return Ok(refusal(status, CloseOnDrop::new(link, stream), &cx.registry.date()));
            }
        };
    let mut guard = CloseOnDrop::new(link.clone(), stream);
    guard.access = cx.access_log.map(|log| log.begin(&info, &head));
    if !body.is_end_stream() {
        tokio::spawn(upload(body, link.clone(), cx.clone()));
    }
    let (request, writer) = exchange::exchange(head, link.clone());
    cx.dispatch(request, writer);

    let deadline = cx.config.request_timeout.map(|timeout| Instant::now() + timeout);
    let taken = poll_fn(|_| {
        let mut out = link.take_outgoing();
        match (link.upload_error(), out.head.take(), out.progress) {
            // Nothing has been sent yet: what the client did wrong is the answer, whatever the
            // handler made of it.
            (Some(error), ..) if error != BodyError::Disconnected => {
                Poll::Ready(Ok(Err(error.status())))
            }
            (_, Some(head), _) => Poll::Ready(Ok(Ok((head, out)))),
            (_, None, Progress::Open) => Poll::Pending,
            (_, None, _) => Poll::Ready(Err(io::Error::other("no response"))),
        }
    });
    let taken = match deadline {
        Some(at) => tokio::time::timeout_at(at, taken).await.unwrap_or(Ok(Err(504)))?,
        None => taken.await?,
    };
    let (mut head, out) = match taken {
        Ok(taken) => taken,
        Err(status) => return Ok(refusal(status, guard, &cx.registry.date())),
    };
    guard.status = head.status();
    guard.whole = out.progress == Progress::Complete && out.body.is_empty();
    if out.progress == Progress::Open {
        tokio::spawn(cut_if_stalled(link.clone(), cx.config.write_timeout));
        if let Some(at) = deadline {
            tokio::spawn(cut_at(link.clone(), at));
        }
    }
    let response = response_of(&mut head, &cx.registry.date());
    Ok(response.map(|()| ResponseBody {
        ready: out.body,
        next: 0,
        progress: out.progress,
        length: head.content_length(),
        guard,
    }))
}

/// A small answer of the server's own.
fn refusal(status: u16, mut guard: CloseOnDrop, date: &[u8; 29]) -> Response {
    guard.link.close();
    guard.status = status;
    let body = format!("{status} {}\n", exchange::reason_phrase(status));
    let mut head = ResponseHead::text(status, body.len());
    response_of(&mut head, date).map(|()| ResponseBody {
        length: head.content_length(),
        ready: SmallVec::from_elem(Bytes::from(body), 1),
        next: 0,
        progress: Progress::Complete,
        guard,
    })
}

/// Translates a head; an error is the status to answer with.
fn head_of(
    parts: &::http::request::Parts,
    length: Option<u64>,
    cx: &Context,
) -> Result<Box<RequestHead>, u16> {
    let config = &cx.config;
    let target = parts.uri.path_and_query().map_or("/", |pq| pq.as_str());
    if target.len() > config.max_target_size {
        return Err(414);
    }
    if parts.headers.len() > config.max_headers {
        return Err(431);
    }
    if parts.method == ::http::Method::CONNECT {
        return Err(405);
    }
    if target == "*" && parts.method != ::http::Method::OPTIONS {
        return Err(400);
    }
    for once in [::http::header::HOST, ::http::header::CONTENT_LENGTH] {
        if parts.headers.get_all(once).iter().nth(1).is_some() {
            return Err(400);
        }
    }
    let capacity = parts.headers.iter().map(|(n, v)| n.as_str().len() + v.len()).sum::<usize>();
    let mut head = RequestHeadBuilder::new(
        parts.method.as_str().as_bytes(),
        Version::Http2,
        capacity + target.len() + 64,
    );
    head.target(target.as_bytes());
    let mut cookies: Vec<u8> = Vec::new();
    for (name, value) in &parts.headers {
        if name == ::http::header::COOKIE {
            // Split for compression only (RFC 9113 section 8.2.3).
            if !cookies.is_empty() {
                cookies.extend_from_slice(b"; ");
            }
            cookies.extend_from_slice(value.as_bytes());
        } else {
            head.field(name.as_str().as_bytes(), value.as_bytes().trim_ascii());
        }
    }
    if !cookies.is_empty() {
        head.field(b"cookie", &cookies);
    }
    match parts.uri.authority() {
        Some(authority) if is_host(authority.as_str().as_bytes()) => {
            head.host(authority.as_str().as_bytes())
        }
        Some(_) => return Err(400),
        None => match parts.headers.get(::http::header::HOST) {
            Some(host) if is_host(host.as_bytes()) => head.host(host.as_bytes()),
            _ => return Err(400),
        },
    }
    if let Some(length) = length {
        if config.max_body_size.is_some_and(|max| length > max) {
            return Err(413);
        }
        head.content_length(length);
    }
    Ok(head.build())
}

fn response_of(head: &mut ResponseHead, date: &[u8; 29]) -> ::http::Response<()> {
    let mut response = ::http::Response::new(());
    *response.status_mut() = ::http::StatusCode::from_u16(head.status()).unwrap_or_default();
    let headers = response.headers_mut();
    for (name, value) in head.fields() {
        // Both have been checked as they were put in; what http refuses beyond that is left out.
        if let (Ok(name), Ok(value)) =
            (::http::HeaderName::from_bytes(name), ::http::HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    if !head.has_date()
        && let Ok(value) = ::http::HeaderValue::from_bytes(date)
    {
        headers.insert(::http::header::DATE, value);
    }
    if let Some(length) = head.content_length().filter(|_| head.status() != 204) {
        headers.insert(::http::header::CONTENT_LENGTH, length.into());
    }
    response
}

/// Moves the request's body to the link, as fast as the handler takes it.
async fn upload(mut body: Incoming, link: Arc<Link>, cx: Arc<Context>) {
    let mut taken = 0u64;
    loop {
        poll_fn(|task| link.poll_upload_room(task)).await;
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
            link.push_upload(data);
        }
    }
}

/// Ends a response that is not complete by `deadline`.
async fn cut_at(link: Arc<Link>, deadline: Instant) {
    tokio::time::sleep_until(deadline).await;
    if link.untaken().is_some() {
        log::warn!(target: "gohttp.request", "HTTP/2 stream cut: its handler did not end within request_timeout");
        link.close();
    }
}

/// Ends a response of which the client takes nothing for the write time-out (and up to as much
/// more): its window is closed, and hyper says nothing of that.
async fn cut_if_stalled(link: Arc<Link>, timeout: Duration) {
    let mut last = None;
    while let Some(now) = link.untaken() {
        if now.0 > 0 && last == Some(now.1) {
            log::info!(target: "gohttp.request", "HTTP/2 stream cut: the client took nothing for write_timeout");
            return link.close();
        }
        last = Some(now.1);
        tokio::time::sleep(timeout).await;
    }
}

/// A response's body as hyper takes it.
struct ResponseBody {
    ready: SmallVec<[Bytes; 1]>,
    next: usize,
    progress: Progress,
    length: Option<u64>,
    guard: CloseOnDrop,
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        // The link wakes the stream's own task, which is the one that polls this.
        if self.next == self.ready.len() && self.progress == Progress::Open {
            let out = self.guard.link.take_outgoing();
            self.ready = out.body;
            self.next = 0;
            self.progress = out.progress;
        }
        if self.next < self.ready.len() {
            let at = self.next;
            self.next += 1;
            let data = std::mem::take(&mut self.ready[at]);
            self.guard.sent += data.len() as u64;
            self.guard.whole = self.next == self.ready.len() && self.progress == Progress::Complete;
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        match self.progress {
            Progress::Open => Poll::Pending,
            Progress::Complete => {
                self.guard.whole = true;
                Poll::Ready(None)
            }
            Progress::Aborted => {
                Poll::Ready(Some(Err(io::Error::other("the response is not whole"))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.next == self.ready.len() && self.progress == Progress::Complete
    }

    fn size_hint(&self) -> http_body::SizeHint {
        match self.length {
            Some(length) if self.next < self.ready.len() || self.progress == Progress::Open => {
                http_body::SizeHint::with_exact(length)
            }
            _ => http_body::SizeHint::default(),
        }
    }
}

/// A transport with what has been read of it put back in front.
struct Rewind<I> {
    begun: Bytes,
    io: I,
}

impl<I: AsyncRead + Unpin> AsyncRead for Rewind<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.begun.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let n = self.begun.len().min(buf.remaining());
        buf.put_slice(&self.begun[..n]);
        self.begun.advance(n);
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Rewind<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut TaskContext<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
}
