//! One request of the host's, until its response has been taken.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use ::http::Version as HostVersion;
use ::http::request::Parts;
use atomic_waker::AtomicWaker;
use bytes::{Bytes, BytesMut};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::upload::Upload;
use super::{Host, NOWHERE, Service};
use crate::RunningApp;
use crate::http::{
    BodyError, Due, Handover, Link, LinkWaker, Outgoing, Peer, Progress, Request, RequestHead,
    ResponseHead, ResponseWriter, Upgrade, Version, exchange, reason_phrase,
};
use crate::server::{Admitted, Keeper, ResponseBody, head_of, response_of};
use crate::wake::WakeQueue;

/// The task that polls the future, or later the body, which need not be the same.
#[derive(Default)]
struct HostTask(AtomicWaker);

impl Wake for HostTask {
    fn wake(self: Arc<Self>) {
        self.0.wake();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.wake();
    }
}

/// Looks after an exchange as long as the host wants its response. Dropped, it tells the
/// application that the client has gone.
struct Guard<B> {
    link: Arc<Link>,
    task: Arc<HostTask>,
    upload: Upload<B>,
    /// A stop waits for this.
    _admitted: Admitted,
}

impl<B> Drop for Guard<B> {
    fn drop(&mut self) {
        self.link.close();
    }
}

impl<B: HttpBody> Keeper for Guard<B> {
    fn link(&self) -> &Link {
        &self.link
    }

    fn asked(&mut self, cx: &mut Context<'_>) {
        self.task.0.register(cx.waker());
        self.upload.advance(&self.link, false, cx);
    }

    fn sent(&mut self, _: u64) {}

    fn given(&mut self) {}

    // Deadlines are the host's.
    fn set_due(&mut self, _: Due) {}

    fn set_whole(&mut self, _: bool) {}
}

/// A response on its way. Dropped, it tells the application that the client has gone.
#[must_use = "futures do nothing unless they are awaited"]
pub struct ResponseFuture<B>(State<B>);

enum State<B> {
    Refused(u16),
    Begun(Box<Exchange<B>>),
    Done,
}

struct Exchange<B> {
    guard: Guard<B>,
    app: RunningApp,
    /// Both, until the application is given them.
    pair: Option<(Request, ResponseWriter)>,
    /// The whole body is read before that.
    ahead: bool,
    on_upgrade: Option<OnUpgrade>,
}

impl<B: HttpBody> ResponseFuture<B> {
    pub(super) fn begin(service: &Service, mut request: ::http::Request<B>) -> Self {
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>();
        let (parts, body) = request.into_parts();
        let begun = Exchange::begin(service, &parts, body, on_upgrade);
        Self(begun.map_or_else(State::Refused, |exchange| State::Begun(Box::new(exchange))))
    }
}

impl<B: HttpBody> Exchange<B> {
    /// An error is the status to answer with.
    fn begin(
        service: &Service,
        parts: &Parts,
        body: B,
        on_upgrade: Option<OnUpgrade>,
    ) -> Result<Self, u16> {
        let Service { app, host } = service;
        let intake = &app.0.intake;
        let admitted = intake.admit().ok_or(503_u16)?;
        let has_body = !body.is_end_stream();
        let length = body.size_hint().exact().filter(|_| has_body);
        let head = request_head(parts, host, length, service)?;
        let peer = (host.client)(&parts.extensions).map_or(Peer::Unix(NOWHERE), Peer::Tcp);
        let scheme = if host.https { "https" } else { "http" };
        let connection = intake.connection(peer, Peer::Unix(NOWHERE), scheme);
        let task = Arc::new(HostTask::default());
        let waker =
            LinkWaker { task: Waker::from(task.clone()), queue: Arc::new(WakeQueue::direct()) };
        let link = Link::new(Arc::new(connection), waker, has_body);
        let expects = head.get(b"expect").is_some_and(|value| {
            value.eq_ignore_ascii_case(b"100-continue") && head.version() != Version::Http10
        });
        let upload = Upload::new(body, intake.config().max_body_size, expects);
        let slow = intake.prebuffer(&head).slow as u64;
        let ahead = length.is_some_and(|length| length <= slow) && !upload.expects();
        let pair = exchange(head, link.clone());
        let guard = Guard { link, task, upload, _admitted: admitted };
        Ok(Self { guard, app: app.clone(), pair: Some(pair), ahead, on_upgrade })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        if self.ahead {
            self.guard.task.0.register(cx.waker());
            self.guard.upload.advance(&self.guard.link, true, cx);
            if self.guard.upload.is_open() {
                return Poll::Pending;
            }
            self.ahead = false;
        } else {
            self.guard.asked(cx);
        }
        let link = &self.guard.link;
        if let Some((request, writer)) = self.pair.take() {
            if let Some(error) = link.upload_error() {
                // The writer's answer is nobody's: this one is given.
                return Poll::Ready(Answer::Refusal(error.status()));
            }
            self.app.0.intake.dispatch(request, writer);
        }
        if let Some((head, upgrade)) = link.take_upgrade() {
            return Poll::Ready(match head {
                Some(head) => Answer::Upgrade(head, upgrade),
                None => Answer::Refusal(501),
            });
        }
        let mut out = link.take_outgoing();
        match (link.upload_error(), out.head.take(), out.progress) {
            // Nothing has been sent yet: what the client did wrong is the answer, whatever the
            // application made of it.
            (Some(error), ..) if error != BodyError::Disconnected => {
                Poll::Ready(Answer::Refusal(error.status()))
            }
            (_, Some(head), _) => Poll::Ready(Answer::Response(head, out)),
            (_, None, Progress::Open) => Poll::Pending,
            (_, None, _) => Poll::Ready(Answer::Refusal(500)),
        }
    }

    /// Gives the connection to who has taken it over, once the host has sent the answer.
    fn switch(self, head: &ResponseHead, upgrade: Box<dyn Upgrade>) -> Response<B>
    where
        B: Send + 'static,
    {
        let Self { mut guard, app, on_upgrade, .. } = self;
        guard.upload.close();
        let (Some(on_upgrade), Ok(runtime)) = (on_upgrade, tokio::runtime::Handle::try_current())
        else {
            log::warn!(
                target: "gohttp.request",
                "501 for a WebSocket: the host does not let its connections be taken over"
            );
            return refusal(501, Some(&guard.link));
        };
        runtime.spawn(async move {
            // In flight to its end.
            let _guard = guard;
            if let Ok(io) = on_upgrade.await {
                let intake = &app.0.intake;
                let connection = Handover {
                    io: Box::new(TokioIo::new(io)),
                    read: BytesMut::new(),
                    stopping: intake.stopping(),
                    write_timeout: intake.config().write_timeout,
                };
                upgrade.run(connection).await;
            }
        });
        response_of(head, None).map(|()| ServiceBody(ResponseBody::none()))
    }
}

type Response<B> = ::http::Response<ServiceBody<B>>;

/// What the host is answered.
enum Answer {
    Response(ResponseHead, Outgoing),
    Upgrade(ResponseHead, Box<dyn Upgrade>),
    Refusal(u16),
}

impl<B> Future for ResponseFuture<B>
where
    B: HttpBody + Send + 'static,
{
    type Output = Result<Response<B>, Infallible>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answer = match &mut self.0 {
            State::Refused(status) => Answer::Refusal(*status),
            State::Begun(exchange) => match exchange.poll(cx) {
                Poll::Ready(answer) => answer,
                Poll::Pending => return Poll::Pending,
            },
            // Polled after its end, which it must not be: there is nothing to give.
            State::Done => return Poll::Pending,
        };
        let before = std::mem::replace(&mut self.0, State::Done);
        Poll::Ready(Ok(match (answer, before) {
            (Answer::Response(head, out), State::Begun(exchange)) => {
                let length = head.content_length();
                let guard = Some(exchange.guard);
                response_of(&head, None)
                    .map(|()| ServiceBody(ResponseBody::new(out, length, Duration::MAX, guard)))
            }
            (Answer::Upgrade(head, upgrade), State::Begun(exchange)) => {
                exchange.switch(&head, upgrade)
            }
            (Answer::Refusal(status), State::Begun(exchange)) => {
                refusal(status, Some(&exchange.guard.link))
            }
            (Answer::Refusal(status), _) => refusal(status, None),
            _ => refusal(500, None),
        }))
    }
}

/// A small answer of our own, in the place of the handler's on `link`.
fn refusal<B: HttpBody>(status: u16, link: Option<&Link>) -> Response<B> {
    let body = format!("{status} {}\n", reason_phrase(status));
    let mut head = ResponseHead::text(status, body.len());
    if let Some(link) = link {
        link.refine(&mut head);
    }
    let (length, out) = (head.content_length(), Outgoing::whole(body.into()));
    response_of(&head, None)
        .map(|()| ServiceBody(ResponseBody::new(out, length, Duration::MAX, None)))
}

/// The head as the application is to see it: with the whole path.
fn request_head(
    parts: &Parts,
    host: &Host,
    length: Option<u64>,
    service: &Service,
) -> Result<Box<RequestHead>, u16> {
    let version = match parts.version {
        HostVersion::HTTP_09 | HostVersion::HTTP_10 => Version::Http10,
        HostVersion::HTTP_11 => Version::Http11,
        _ => Version::Http2,
    };
    let target = parts.uri.path_and_query().map_or("/", |both| both.as_str());
    let target = [&host.taken, target.as_bytes()].concat();
    head_of(parts, version, &target, length, service.app.0.intake.config())
}

/// The body of a response. Dropped before its end, it tells the application that the client has
/// gone.
pub struct ServiceBody<B>(ResponseBody<Guard<B>>);

impl<B: HttpBody> HttpBody for ServiceBody<B> {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        Pin::new(&mut self.0).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}
