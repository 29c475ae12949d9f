//! `bare-hyper ADDRESS hello|work [http2]`: hyper on one thread, with no framework around it.
//!
//! `hello` answers every request with the same 14 bytes; `work` has `/echo` and `/big`. It speaks
//! HTTP/1, or with `http2` nothing but HTTP/2 by prior knowledge.

use std::{convert::Infallible, env, error::Error, future::Future};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpListener, runtime};

const HELLO: &[u8] = b"Hello, world.\n";
static BIG: [u8; 100 * 1024] = [b'x'; 100 * 1024];

#[derive(Clone, Copy)]
enum Protocol {
    Http1,
    Http2,
}

type Answer = Result<Response<Full<Bytes>>, Infallible>;

fn answer(kind: &'static str, body: Bytes) -> Answer {
    let mut response = Response::new(Full::new(body));
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    Ok(response)
}

async fn hello(_: Request<Incoming>) -> Answer {
    answer("text/plain", Bytes::from_static(HELLO))
}

async fn work(request: Request<Incoming>) -> Answer {
    match request.uri().path() {
        "/echo" => {
            // A body cut short ends the connection anyway: nobody is left to be answered.
            let body = request.into_body().collect().await.map(|b| b.to_bytes());
            answer("application/octet-stream", body.unwrap_or_default())
        }
        "/big" => answer("application/octet-stream", Bytes::from_static(&BIG)),
        _ => answer("text/plain", Bytes::from_static(HELLO)),
    }
}

async fn serve<S, F>(address: &str, protocol: Protocol, service: S) -> Result<(), Box<dyn Error>>
where
    S: Fn(Request<Incoming>) -> F + Copy + Send + 'static,
    F: Future<Output = Answer> + Send + 'static,
{
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let stream = TokioIo::new(stream);
        tokio::spawn(async move {
            // A client that goes away is no event here.
            let _ = match protocol {
                Protocol::Http1 => {
                    http1::Builder::new()
                        .keep_alive(true)
                        .pipeline_flush(false)
                        .serve_connection(stream, service_fn(service))
                        .await
                }
                Protocol::Http2 => {
                    http2::Builder::new(TokioExecutor::new())
                        .serve_connection(stream, service_fn(service))
                        .await
                }
            };
        });
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (address, app, protocol) = match arguments.as_slice() {
        [address, app] => (address, app, Protocol::Http1),
        [address, app, http2] if http2 == "http2" => (address, app, Protocol::Http2),
        _ => return Err("usage: bare-hyper ADDRESS hello|work [http2]".into()),
    };
    let runtime = runtime::Builder::new_current_thread().enable_io().build()?;
    match app.as_str() {
        "hello" => runtime.block_on(serve(address, protocol, hello)),
        "work" => runtime.block_on(serve(address, protocol, work)),
        other => Err(format!("no app named {other}").into()),
    }
}
