//! How the face for Rust ends what it has begun: streams whose client goes, and what is mounted.

use std::error::Error;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use gohttp::crew::Finish;
use gohttp::http::{Dispatch, ResponseWriter};
use gohttp::{Body, Mount, Mux, Response, Server, StartError};
use http_body::Frame;

const PATIENCE: Duration = Duration::from_secs(10);
const ASKED: &[u8] = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n";

/// Tells when it is dropped.
struct Told(Sender<()>);

impl Drop for Told {
    fn drop(&mut self) {
        let _ = self.0.send(());
    }
}

/// A body that has one piece and then waits for ever.
struct Waits {
    piece: Option<Bytes>,
    _told: Told,
}

impl http_body::Body for Waits {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        self.piece.take().map_or(Poll::Pending, |piece| Poll::Ready(Some(Ok(Frame::data(piece)))))
    }
}

fn connect(server: &Server) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", server.port().expect("tcp")));
    let stream = stream.expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
    stream
}

/// Closes a connection so that the other side hears of it at once.
fn reset(stream: TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
}

/// Reads until the body's first piece has come.
fn read_to_the_piece(stream: &mut TcpStream) {
    let mut got = Vec::new();
    while !got.ends_with(b"begun\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("it is sent");
        got.push(byte[0]);
    }
}

/// Has a client go whose stream waits; the stream must be dropped.
fn stream_is_dropped(blocking: bool) {
    let (tell, told) = channel();
    let tell = Mutex::new(tell);
    let answer = move || {
        let told = Told(tell.lock().expect("no panic").clone());
        Response::new(200, Body::stream(Waits { piece: Some("begun".into()), _told: told }))
    };
    let mut mux = Mux::new();
    if blocking {
        mux.handle_blocking("GET /", move |_| answer()).expect("a good pattern");
    } else {
        mux.handle("GET /", move |_| std::future::ready(answer())).expect("a good pattern");
    }
    let server = Server::builder().address("127.0.0.1:0").signals(false);
    let server = server.start(mux).expect("it starts");
    let (stopper, mut stream) = (server.stopper(), connect(&server));
    let serving = std::thread::spawn(move || server.run().expect("threads"));
    stream.write_all(ASKED).expect("it reads");
    read_to_the_piece(&mut stream);
    reset(stream);
    told.recv_timeout(PATIENCE).expect("the stream is dropped");
    stopper.stop();
    assert_eq!(serving.join().expect("no panic"), Finish::Clean);
}

#[test]
fn a_stream_that_waits_is_dropped_when_its_client_goes() {
    stream_is_dropped(false);
    stream_is_dropped(true);
}

/// Tells what is done with it.
struct Noted {
    name: &'static str,
    starts: bool,
    notes: Sender<String>,
}

impl Noted {
    fn note(&self, what: &str) {
        let _ = self.notes.send(format!("{} {what}", self.name));
    }
}

impl Mount for Noted {
    fn start(&self, _prefix: &str) -> Result<Arc<dyn Dispatch>, Box<dyn Error + Send + Sync>> {
        if !self.starts {
            return Err("no".into());
        }
        self.note("started");
        Ok(Arc::new(Nothing))
    }

    fn stop(&self, _timeout: Duration) {
        self.note("stopped");
    }
}

struct Nothing;

impl Dispatch for Nothing {
    fn dispatch(&self, _request: gohttp::http::Request, _writer: ResponseWriter) {}
}

fn mounts(names: [(&'static str, bool); 3]) -> (Mux, Receiver<String>) {
    let (notes, noted) = channel();
    let mut mux = Mux::new();
    for (name, starts) in names {
        let app = Noted { name, starts, notes: notes.clone() };
        mux.mount(&format!("/{name}"), app).expect("a good prefix");
    }
    (mux, noted)
}

#[test]
fn what_is_mounted_is_stopped_when_a_later_one_does_not_start() {
    let (mux, noted) = mounts([("a", true), ("b", true), ("c", false)]);
    let error = Server::builder().address("127.0.0.1:0").signals(false).start(mux);
    assert!(matches!(error, Err(StartError::Mount { prefix, .. }) if prefix == "/c"));
    let all: Vec<String> = noted.try_iter().collect();
    assert_eq!(all, ["a started", "b started", "b stopped", "a stopped"]);
}

#[test]
fn what_is_mounted_is_stopped_once_when_the_server_has_ended() {
    let (mux, noted) = mounts([("a", true), ("b", true), ("c", true)]);
    let server = Server::builder().address("127.0.0.1:0").signals(false).start(mux);
    let server = server.expect("it starts");
    server.stopper().stop();
    assert_eq!(server.run().expect("threads"), Finish::Clean);
    let all: Vec<String> = noted.try_iter().skip(3).collect();
    assert_eq!(all, ["c stopped", "b stopped", "a stopped"]);
}

#[test]
fn a_server_that_is_dropped_without_running_lets_clients_go_and_stops_what_is_mounted() {
    let (mux, noted) = mounts([("a", true), ("b", true), ("c", true)]);
    let server = Server::builder().address("127.0.0.1:0").signals(false).start(mux);
    let server = server.expect("it starts");
    let (port, mut stream) = (server.port().expect("tcp"), connect(&server));
    let _stopper = server.stopper();
    // Also where nothing may block.
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async move { drop(server) });
    let all: Vec<String> = noted.try_iter().skip(3).collect();
    assert_eq!(all, ["c stopped", "b stopped", "a stopped"]);
    assert!(stream.read(&mut [0]).is_ok_and(|read| read == 0) || stream.write(ASKED).is_err());
    TcpStream::connect(("127.0.0.1", port)).expect_err("it listens no more");
}
