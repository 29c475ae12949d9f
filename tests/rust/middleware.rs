//! Middleware without Python: layers in front of a `Dispatch`, spoken to over raw sockets.

mod running;

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use gohttp::config::EngineConfig;
use gohttp::http::{Dispatch, Prebuffer, Request, RequestHead, ResponseHead, ResponseWriter};
use gohttp::middleware::{
    BasicAuth, BodyLimit, Challenge, Coding, Compress, Cors, CorsRules, Layer, Layered, RateLimit,
    RequestId, Verdict,
};
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

/// The body of an answer, which ends with the connection.
fn gunzipped(answer: &[u8]) -> (String, String) {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut body = String::new();
    let decoder = flate2::read::GzDecoder::new(&answer[end..]);
    std::io::BufReader::new(decoder).read_to_string(&mut body).expect("gzip, and text in it");
    (head, body)
}

#[test]
fn bodies_are_compressed_for_who_takes_that() {
    let compress = Compress::new(vec![(Coding::Gzip, None)], 1000, None).expect("a coding");
    let mut running = serve(vec![Arc::new(compress)]);
    let lines = "Host: x\r\nConnection: close\r\nAccept-Encoding: gzip\r\n\r\n";
    let answer = running.converse(format!("GET /1000 HTTP/1.1\r\n{lines}").as_bytes());
    let (head, body) = gunzipped(&answer);
    assert_eq!(body, "ab ".repeat(1000));
    assert!(head.contains("content-encoding: gzip\r\n"), "{head}");
    assert!(head.contains("vary: accept-encoding\r\n"), "{head}");
    assert!(answer.len() < 500);
    let small = running.converse(format!("GET /10 HTTP/1.1\r\n{lines}").as_bytes());
    assert!(String::from_utf8_lossy(&small).ends_with(&"ab ".repeat(10)));
    assert!(ask(&running, "GET /1000", "").ends_with(&"ab ".repeat(1000)));
    running.stop();
}

#[test]
fn requests_are_refused_by_who_comes_first() {
    let rules = CorsRules { origins: vec!["https://a.example".to_owned()], ..CorsRules::default() };
    let challenge = Challenge::new("here").expect("a realm");
    let mut running = serve(vec![
        Arc::new(Cors::new(&rules).expect("rules")),
        Arc::new(RateLimit::new(1.0, Duration::from_secs(3600), 2).expect("a rate")),
        Arc::new(BasicAuth::new(challenge, [("ada", "x")]).expect("users")),
    ]);
    let origin = "Origin: https://a.example\r\n";
    let wants = format!("{origin}Access-Control-Request-Method: PUT\r\n");
    for _ in 0..3 {
        let answer = ask(&running, "OPTIONS /1", &wants);
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
        assert!(answer.contains("access-control-allow-methods: PUT\r\n"), "{answer}");
    }
    let answer = ask(&running, "GET /1", origin);
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(answer.contains("access-control-allow-origin: https://a.example\r\n"), "{answer}");
    let known = "Authorization: Basic YWRhOng=\r\n";
    assert!(ask(&running, "GET /1", known).starts_with("HTTP/1.1 200 "));
    let answer = ask(&running, "GET /1", known);
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 3"), "{answer}");
    running.stop();
}
