//! Middleware without Python: layers in front of a `Dispatch`, spoken to over raw sockets.

mod running;

use std::io::{Read, Write};
use std::sync::Arc;

use bytes::Bytes;
use gohttp::config::EngineConfig;
use gohttp::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter};
use gohttp::middleware::{BodyLimit, Layer, Layered, RequestId, Verdict};
use running::Running;

/// Answers with a text of the length that the path says.
struct Text;

impl Dispatch for Text {
    fn dispatch(&self, request: Request, mut writer: ResponseWriter) {
        let path = String::from_utf8_lossy(&request.head.path()[1..]).into_owned();
        let body = "ab ".repeat(path.parse().unwrap_or(1));
        let head = ResponseHead::text(200, body.len());
        writer.respond(head, Bytes::from(body)).expect("the client waits");
    }

    fn prebuffer(&self, _head: &RequestHead) -> Prebuffer {
        Prebuffer { quick: 1 << 20, slow: 1 << 20 }
    }
}

fn serve(layers: Vec<Arc<dyn Layer>>) -> Running {
    Running::start(EngineConfig::default(), Layered::new(layers, Text))
}

/// Sends a request with these lines behind its first, and reads to the end of the connection.
fn ask(running: &Running, first: &str, lines: &str) -> String {
    let request = format!("{first} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n");
    String::from_utf8_lossy(&running.converse(request.as_bytes())).into_owned()
}

#[test]
fn layers_are_entered_from_the_outermost_on() {
    /// Names requests, if nobody has.
    #[derive(Debug)]
    struct Tell(&'static str);

    impl Layer for Tell {
        fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
            let told = [request.head.id().unwrap_or_default(), self.0.as_bytes()].concat();
            request.head.set_id(&told);
            if self.0 != "c" {
                return Verdict::Pass;
            }
            let head = ResponseHead::text(200, told.len());
            writer.respond(head, told.into()).expect("the client waits");
            Verdict::Answered
        }
    }

    let mut running = serve(vec![
        Arc::new(Tell("a")),
        Arc::new(Tell("b")),
        Arc::new(Tell("c")),
        Arc::new(Tell("d")),
    ]);
    assert!(ask(&running, "GET /", "").ends_with("\r\n\r\nabc"));
    running.stop();
}

#[test]
fn a_declared_length_beyond_the_limit_is_refused_before_the_body_comes() {
    let mut running = serve(vec![Arc::new(BodyLimit(10)), Arc::new(BodyLimit(20))]);
    let mut client = running.connect();
    client
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = [0; 12];
    client.read_exact(&mut answer).expect("an answer");
    assert_eq!(&answer, b"HTTP/1.1 413");
    running.stop();
}

#[test]
fn a_name_stands_on_every_answer() {
    let mut running = serve(vec![Arc::new(RequestId { keep: true }), Arc::new(BodyLimit(10))]);
    let answer = ask(&running, "GET /1", "X-Request-Id: mine\r\n");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("\r\nx-request-id: mine\r\n"), "{answer}");
    let answer = ask(&running, "POST /1", "X-Request-Id: mine\r\nContent-Length: 11\r\n");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("\r\nx-request-id: mine\r\n"), "{answer}");
    running.stop();
}

#[test]
fn a_request_that_cannot_be_read_has_not_the_name_of_the_last_one() {
    let mut running = serve(vec![Arc::new(RequestId { keep: true })]);
    let mut client = running.connect();
    client
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\nnonsense\r\n\r\n")
        .expect("it reads");
    let mut answers = String::new();
    client.read_to_string(&mut answers).expect("it ends");
    let (_, second) = answers.split_once("HTTP/1.1 400 ").expect("a refusal");
    assert!(!second.contains("x-request-id"), "{answers}");
    assert!(answers.contains("x-request-id: mine"), "{answers}");
    running.stop();
}
