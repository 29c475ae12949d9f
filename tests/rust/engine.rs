//! The engine without Python: a `Dispatch` in Rust, spoken to over raw sockets.

mod running;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use gohttp::config::EngineConfig;
use gohttp::http::{
    BodyEvent, Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter,
};
use running::Running;

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

/// Sends `request` and reads to the end of the connection.
fn converse(running: &Running, request: &[u8]) -> String {
    String::from_utf8(running.converse(request)).expect("text")
}

const CLOSE: &str = "Host: x\r\nConnection: close\r\n\r\n";

#[test]
fn a_request_is_answered_with_its_length() {
    let mut running = Running::start(EngineConfig::default(), Paths);
    let answer = converse(&running, format!("GET /hello HTTP/1.1\r\n{CLOSE}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("X-Method: GET\r\n") && answer.contains("content-length: 6\r\n"));
    assert!(answer.ends_with("\r\n\r\n/hello"));
    running.stop();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let mut running = Running::start(EngineConfig::default(), Paths);
    let mut requests = String::new();
    for n in 0..50 {
        requests.push_str(&format!("GET /{n} HTTP/1.1\r\nHost: x\r\n\r\n"));
    }
    requests.push_str(&format!("GET /last HTTP/1.1\r\n{CLOSE}"));
    let answer = converse(&running, requests.as_bytes());
    let bodies: Vec<&str> =
        answer.split("\r\n\r\n").skip(1).map(|s| s.split("HTTP/1.1").next().unwrap_or(s)).collect();
    assert_eq!(bodies.len(), 51);
    assert_eq!((bodies[0], bodies[49], bodies[50]), ("/0", "/49", "/last"));
    running.stop();
}

#[test]
fn a_small_body_is_there_when_the_handler_is_called() {
    let mut running = Running::start(EngineConfig::default(), Paths);
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
    let mut running = Running::start(EngineConfig::default(), Paths);
    let answer = converse(&running, format!("GET /drop HTTP/1.1\r\n{CLOSE}").as_bytes());
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
    running.stop();
}

#[test]
fn a_request_with_two_framings_is_refused_and_nothing_behind_it_is_read() {
    let mut running = Running::start(EngineConfig::default(), Paths);
    let answer = converse(
        &running,
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
    let mut running = Running::start(config, Paths);
    let answer = converse(&running, b"GET / HTTP/1.1\r\nHost:");
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    running.stop();
}

#[test]
fn a_drain_ends_idle_connections_and_the_server() {
    let mut running = Running::start(EngineConfig::default(), Paths);
    let mut idle = running.connect();
    idle.write_all(b"GET /first HTTP/1.1\r\nHost: x\r\n\r\n").expect("it reads");
    let mut buffer = [0; 1024];
    assert!(idle.read(&mut buffer).expect("an answer") > 0);
    running.stop();
    assert_eq!(idle.read(&mut buffer).expect("a proper end"), 0);
    assert!(TcpStream::connect(running.address).is_err());
}
