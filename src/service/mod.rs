//! A Python application as a [`tower_service::Service`], for hosts such as axum and hyper: a thin
//! adaptor from the host's bodies and wakers to the exchange that all faces share.

mod exchange;
mod upload;

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::{Context, Poll};

use ::http::Extensions;
use http_body::Body as HttpBody;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::RunningApp;
pub use exchange::{ResponseFuture, ServiceBody};

/// What may not stand in a path as it is (RFC 3986 section 3.3).
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// Tells the client's address of a request's extensions.
type ClientAddress = dyn Fn(&Extensions) -> Option<SocketAddr> + Send + Sync;

/// A Python application as a [`tower_service::Service`] of [`http::Request`](::http::Request)s.
///
/// - It is `Clone`, `Send` and `Sync`; clones are one application, and keep it running.
/// - Bodies stream both ways. The application is not asked for more of a response than the host
///   takes, nor the client for more of a request than the application reads.
/// - A client is gone when the host drops the future or the body: the application is told as ever.
/// - It is always ready. Too many requests, and those during a stop, are answered with 503; a host
///   that wants to wait instead puts tower's `ConcurrencyLimit` before it.
/// - WebSockets work for ASGI applications where the host lets connections be taken over, as hyper
///   and axum do: the request then carries a `hyper::upgrade::OnUpgrade`. Without it, and for WSGI,
///   the answer is 501.
/// - Interim responses (103) have no way through a service, and are left out.
/// - Time-outs, limits of heads, `Date` and the access log are the host's.
#[derive(Clone)]
pub struct Service {
    app: RunningApp,
    host: Arc<Host>,
}

/// What is known of the host.
#[derive(Clone)]
struct Host {
    /// What it has taken away from paths, as clients send it.
    taken: Vec<u8>,
    https: bool,
    client: Arc<ClientAddress>,
}

impl RunningApp {
    /// The application for a host that leaves paths as they are, such as one without routes, or
    /// axum's `route_service` and `fallback_service`.
    ///
    /// Below a prefix it has to know it: see [`PythonApp::prefix`](crate::PythonApp::prefix).
    pub fn service(&self) -> Service {
        let host = Host { taken: Vec::new(), https: false, client: Arc::new(|_| None) };
        Service { app: self.clone(), host: Arc::new(host) }
    }

    /// The application for a host that takes its prefix away from paths, such as axum's
    /// `nest_service`: the application is told both parts.
    pub fn nested(&self) -> Service {
        let taken = utf8_percent_encode(&self.0.prefix, PATH).to_string().into_bytes();
        self.service().with(|host| host.taken = taken)
    }
}

impl Service {
    fn with(mut self, change: impl FnOnce(&mut Host)) -> Self {
        change(Arc::make_mut(&mut self.host));
        self
    }

    /// For hosts behind which clients speak TLS: the application's URLs begin with `https`.
    #[must_use]
    pub fn https(self) -> Self {
        self.with(|host| host.https = true)
    }

    /// How a client's address is found among a request's extensions. Without it the application is
    /// told none: an empty `REMOTE_ADDR`, no `client` in the scope.
    ///
    /// With axum: `|ext| Some(ext.get::<ConnectInfo<SocketAddr>>()?.0)`.
    #[must_use]
    pub fn client_address(
        self,
        find: impl Fn(&Extensions) -> Option<SocketAddr> + Send + Sync + 'static,
    ) -> Self {
        self.with(|host| host.client = Arc::new(find))
    }
}

impl<B> tower_service::Service<::http::Request<B>> for Service
where
    B: HttpBody<Data: Send> + Send + 'static,
{
    type Response = ::http::Response<ServiceBody<B>>;
    type Error = Infallible;
    type Future = ResponseFuture<B>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ::http::Request<B>) -> ResponseFuture<B> {
        ResponseFuture::begin(self, request)
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("prefix", &self.app.0.prefix).finish_non_exhaustive()
    }
}

/// Nothing is known of our end of the connection: as on a Unix socket.
const NOWHERE: Option<PathBuf> = None;
