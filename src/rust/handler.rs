//! Handlers: what a route leads to, and how one is run.

use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::runtime::Handle;

use super::{Request, Response};
use crate::crew;
use crate::http::{self, RequestHead, ResponseWriter};

/// A response on its way.
pub(super) type Answering = Pin<Box<dyn Future<Output = Response> + Send>>;

/// What a pattern leads to.
pub(super) enum Call {
    Async(Box<dyn Fn(Request) -> Answering + Send + Sync>),
    Blocking(Box<dyn Fn(Request) -> Response + Send + Sync>),
}

/// A pattern and its handler.
pub(super) struct Route {
    /// As registered.
    pub(super) pattern: Box<str>,
    /// Of the pattern's wildcards, in its order.
    pub(super) names: Vec<String>,
    pub(super) call: Call,
}

/// A request in a log line, and what sending the answer needs of it.
pub(super) struct What {
    text: String,
    pub(super) is_head: bool,
}

impl What {
    fn of(head: &RequestHead) -> Self {
        let path = String::from_utf8_lossy(head.path());
        let method = String::from_utf8_lossy(head.method());
        Self { text: format!("{method} {}", path.escape_default()), is_head: head.is_head() }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Runs an async handler to its end and sends what it answers. If the client goes before that, the
/// handler is dropped where it waits.
pub(super) async fn run(
    route: Arc<Route>,
    request: http::Request,
    values: Vec<String>,
    writer: ResponseWriter,
) {
    let Call::Async(call) = &route.call else { return };
    let what = What::of(&request.head);
    let request = Request::new(request, route.clone(), values);
    // Making the future runs the handler's own code too.
    let answered = match guarded(|| call(request)) {
        Ok(mut answering) => {
            until_gone(
                &writer,
                poll_fn(|cx| match guarded(|| answering.as_mut().poll(cx)) {
                    Ok(polled) => polled.map(Some),
                    Err(Panicked) => Poll::Ready(None),
                }),
            )
            .await
        }
        Err(Panicked) => Some(None),
    };
    match answered {
        Some(Some(response)) => send(response, &what, writer).await,
        Some(None) => {
            log::error!(target: "gohttp.error", "{what}: its handler panicked; answered with 500");
            // The writer's drop answers.
        }
        // Nobody is left to answer.
        None => {}
    }
}

async fn send(response: Response, what: &What, writer: ResponseWriter) {
    response.send(what, writer).await;
}

struct Panicked;

/// The panic of a handler is that request's end, not the server's.
fn guarded<T>(run: impl FnOnce() -> T) -> Result<T, Panicked> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| Panicked)
}

/// What `future` gives; `None` if the client goes before.
async fn until_gone<T>(writer: &ResponseWriter, future: impl Future<Output = T>) -> Option<T> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        if let Poll::Ready(value) = future.as_mut().poll(cx) {
            return Poll::Ready(Some(value));
        }
        // One that has merely sent its last byte still reads, and may go later.
        writer.poll_closed(cx).map(|()| None)
    })
    .await
}

/// Runs blocking handlers on a crew's threads.
pub(super) struct OnThreads(pub(super) Handle);

impl crew::Handler for OnThreads {
    fn handle(&self, mut request: http::Request, writer: ResponseWriter) {
        let Some(routed) = request.routed.take() else { return };
        let Ok(route) = routed.target.downcast::<Route>() else { return };
        let Call::Blocking(call) = &route.call else { return };
        let what = What::of(&request.head);
        let response = call(Request::new(request, route.clone(), routed.values));
        if response.is_whole() {
            let mut sending = std::pin::pin!(response.send(&what, writer));
            // It waits for nobody.
            let _ = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        } else {
            // The thread is free at once.
            self.0.spawn(async move { send(response, &what, writer).await });
        }
    }
}
