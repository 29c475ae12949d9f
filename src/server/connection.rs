//! A connection from accept to end: HTTP/1 first, HTTP/2 if that is what the client begins with.

use std::sync::Arc;

use super::context::Context;
use super::listener::Transport;
use super::timeouts::Registered;
use super::{h1, h2};
use crate::http::ConnInfo;

/// Serves one connection to its end.
pub(crate) async fn serve<I>(io: I, cx: Arc<Context>, info: ConnInfo, watch: Registered)
where
    I: Transport,
{
    let info = Arc::new(info);
    match h1::serve(io, cx.clone(), info.clone(), watch).await {
        h1::Ended::Closed => {}
        h1::Ended::Http2(io, begun, watch) => h2::serve(io, begun, cx, info, watch).await,
    }
}
