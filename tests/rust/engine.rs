//! The engine without Python: a `Dispatch` in Rust, spoken to over raw sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

use gohttp::config::EngineConfig;
use gohttp::http::{
    BodyEvent, Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter,
};
use gohttp::server::{Driver, Listening, Server};

/// Answers on the driving thread: `/echo` with the body, `/panic` by dropping the writer, anything
/// else with its path.
struct Paths;

impl Dispatch for Paths {
    fn dispatch(&self, request: Request, mut writer: ResponseWriter) {
        let body = match request.head.path() {
            b"/echo" => body_of(&request),
            b"/drop" => return,
            path => path.to_vec(),
        };
        let mut head = ResponseHead::new(200);
        head.push(b"X-Method", request.head.method()).expect("a method is a field value");
        writer.respond(head, body.into()).expect("the client waits");
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        Prebuffer { quick: 1024, slow: 1024 }
    }
}

fn body_of(request: &Request) -> Vec<u8> {
    let mut body = Vec::new();
    let mut cx = Context::from_waker(Waker::noop());
    while let Poll::Ready(BodyEvent::Data(data)) = request.poll_body(&mut cx) {
        body.extend_from_slice(&data);
    }
    body
}

struct Running {
    address: SocketAddr,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(config: EngineConfig) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("it is bound");
        let driver = Driver::new().expect("a runtime");
        let listeners = vec![Listening::Tcp(listener)];
        let server = Server::start(&driver, listeners, config, Arc::new(Paths)).expect("it starts");
        let server = Arc::new(server);
        let for_thread = server.clone();
        let thread = std::thread::spawn(move || driver.drive(|cx| for_thread.poll_finished(cx)));
        Self { address, server, thread: Some(thread) }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        stream
    }

    /// Sends `request` and reads to the end of the connection.
    fn converse(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it ends");
        answer
    }

    fn stop(&mut self) {
        self.server.drain();
        self.thread.take().expect("stopped once").join().expect("no panic");
    }
}

const CLOSE: &str = "Host: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_request_is_answered_with_its_length() {
    let mut running = Running::start(EngineConfig::default());
    let answer = running.converse(format!("GET /hello HTTP/1.1\r\n{CLOSE}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("X-Method: GET\r\n") && answer.contains("content-length: 6\r\n"));
    assert!(answer.ends_with("\r\n\r\n/hello"));
    running.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut running = Running::start(EngineConfig::default());
    let mut requests = String::new();
    for n in 0..50 {
        requests.push_str(&format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    requests.push_str(&format!("GET /last HTTP/1.1\r\n{CLOSE}"));
    let answer = running.converse(requests.as_bytes());
    let bodies: Vec<&str> =
        answer.split("\r\n\r\n").skip(1).map(|s| s.split("HTTP/1.1").next().unwrap_or(s)).collect();
    assert_eq!(bodies.len(), 51);
    assert_eq!((bodies[0], bodies[49], bodies[50]), ("/0", "/49", "/last"));
    running.stop();
}

#[test]
fn a_small_body_is_there_when_the_handler_is_called() {
    let mut running = Running::start(EngineConfig::default());
    let mut stream = running.connect();
    let head = "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 6\r\n\r\n";
    for part in [head, "abc", "def"] {
        stream.write_all(part.as_bytes()).expect("it reads");
    }
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it ends");
    assert!(answer.ends_with("abcdef"), "{answer}");
    running.stop();
}

#[test]
fn a_writer_dropped_unanswered_is_a_500() {
    let mut running = Running::start(EngineConfig::default());
    let answer = running.converse(format!("GET /drop HTTP/1.1\r\n{CLOSE}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    running.stop();
}

#[test]
fn a_request_with_two_framings_is_refused_and_nothing_behind_it_is_read() {
    let mut running = Running::start(EngineConfig::default());
    let answer = running.converse(
        b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n\
          0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n",
    );
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(!answer.contains("smuggled"));
    running.stop();
}

#[test]
fn a_head_that_does_not_come_is_answered_408() {
    let config =
        EngineConfig { header_timeout: Duration::from_millis(100), ..EngineConfig::default() };
    let mut running = Running::start(config);
    let answer = running.converse(b"GET / HTTP/1.1\r\nHost:");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    running.stop();
}

#[test]
fn a_drain_ends_idle_connections_and_the_server() {
    let mut running = Running::start(EngineConfig::default());
    let mut idle = running.connect();
    idle.write_all(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).expect("an answer") > 0);
    running.stop();
    assert_eq!(idle.read(&mut buffer).expect("a proper end"), 0);
    assert!(TcpStream::connect(running.address).is_err());
}
