//! The crew: blocking handlers in Rust, spoken to over raw sockets.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gohttp::config::EngineConfig;
use gohttp::crew::{Crew, Finish, Handler, Limits, next_piece, wait_for_room};
use gohttp::http::{BodyEvent, Request, ResponseHead, ResponseWriter};
use gohttp::server::{Driver, Listening, Server};

const PATIENCE: Duration = Duration::from_secs(10);

/// A gate that handlers wait at, and a count of those that do.
#[derive(Default)]
struct Gate {
    open: Mutex<bool>,
    changed: Condvar,
    waiting: AtomicUsize,
}

impl Gate {
    fn pass(&self) {
        self.waiting.fetch_add(1, Relaxed);
        let mut open = self.open.lock().expect("no panic");
        while !*open {
            open = self.changed.wait(open).expect("no panic");
        }
    }

    fn open(&self) {
        *self.open.lock().expect("no panic") = true;
        self.changed.notify_all();
    }

    fn wait_for(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.waiting.load(Relaxed) < count {
            assert!(Instant::now() < until, "{} of {count} came", self.waiting.load(Relaxed));
            std::thread::yield_now();
        }
    }
}

struct Paths {
    gate: Arc<Gate>,
}

impl Handler for Paths {
    fn handle(&self, request: Request, mut writer: ResponseWriter) {
        match request.head.path() {
            b"/gate" => self.gate.pass(),
            b"/panic" => panic!("as asked"),
            b"/count" => return count(&request, writer),
            b"/stream" => return stream(writer),
            _ => {}
        }
        let body = request.head.path().to_vec();
        let _ = writer.respond(ResponseHead::text(200, body.len()), body.into());
    }
}

/// Answers with the number of bytes of the body.
fn count(request: &Request, mut writer: ResponseWriter) {
    let mut total = 0;
    while let BodyEvent::Data(data) = next_piece(request) {
        total += data.len();
    }
    let body = total.to_string();
    let _ = writer.respond(ResponseHead::text(200, body.len()), body.into());
}

/// Sends 64 MiB, as fast as they are taken.
fn stream(mut writer: ResponseWriter) {
    let _ = writer.start(ResponseHead::new(200));
    for _ in 0..1024 {
        wait_for_room(&writer);
        if writer.write(vec![b'x'; 65536].into()).is_err() {
            return;
        }
    }
    let _ = writer.finish(bytes::Bytes::new());
}

struct Running {
    port: u16,
    gate: Arc<Gate>,
    server: Arc<Server>,
    thread: JoinHandle<Finish>,
}

impl Running {
    fn start(threads: usize) -> Self {
        Self::start_with(Limits { threads, ..Limits::default() }, EngineConfig::default())
    }

    fn start_with(limits: Limits, config: EngineConfig) -> Self {
        let gate = Arc::new(Gate::default());
        let handler = Box::new(Paths { gate: gate.clone() });
        let crew = Crew::new(Driver::new().expect("a runtime"), handler, limits);
        let listening = Listening::bind("127.0.0.1:0").expect("a free port");
        let port = listening.port().expect("tcp");
        let server = crew.start(vec![listening], config).expect("it starts");
        let thread = std::thread::spawn(move || crew.run().expect("threads"));
        Self { port, gate, server, thread }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream
    }

    fn send(&self, path: &str) -> TcpStream {
        let mut stream = self.connect();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    fn get(&self, path: &str) -> String {
        read(self.send(path))
    }

    fn stop(self) -> Finish {
        self.server.drain();
        self.thread.join().expect("no panic")
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it ends");
    answer
}

#[test]
fn requests_are_answered_and_a_stop_is_clean() {
    let running = Running::start(4);
    assert!(running.get("/hello").ends_with("\r\n\r\n/hello"));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn blocked_handlers_do_not_stop_others() {
    let running = Running::start(8);
    let blocked: Vec<TcpStream> = (0..7).map(|_| running.send("/gate")).collect();
    running.gate.wait_for(7);
    for _ in 0..20 {
        assert!(running.get("/quick").ends_with("/quick"));
    }
    running.gate.open();
    for stream in blocked {
        assert!(read(stream).ends_with("/gate"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn with_all_threads_blocked_requests_wait_and_are_answered_later() {
    let running = Running::start(3);
    let blocked: Vec<TcpStream> = (0..3).map(|_| running.send("/gate")).collect();
    running.gate.wait_for(3);
    let waiting: Vec<TcpStream> = (0..20).map(|_| running.send("/later")).collect();
    running.gate.open();
    for stream in blocked {
        assert!(read(stream).ends_with("/gate"));
    }
    for stream in waiting {
        assert!(read(stream).ends_with("/later"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn one_thread_is_enough_while_it_waits_for_its_clients() {
    let running = Running::start(1);
    let uploads: Vec<TcpStream> = (0..5)
        .map(|_| {
            let mut stream = running.connect();
            let head = "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
                        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n";
            stream.write_all(head.as_bytes()).expect("it reads");
            stream
        })
        .collect();
    assert!(running.get("/quick").ends_with("/quick"));
    for mut stream in uploads {
        stream.write_all(b"2\r\nde\r\n0\r\n\r\n").expect("it reads");
        assert!(read(stream).ends_with("\r\n\r\n5"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_stream_waits_for_a_client_that_does_not_read_and_others_go_on() {
    let running = Running::start(1);
    let slow = running.send("/stream");
    assert!(running.get("/quick").ends_with("/quick"));
    let answer = read(slow);
    assert_eq!(answer.bytes().filter(|&byte| byte == b'x').count(), 64 << 20);
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn who_asks_for_another_protocol_on_a_stream_is_told_that_it_is_not_spoken() {
    let running = Running::start(1);
    let mut stream = running.connect();
    // Literal fields without indexing, after the names of HPACK's table (RFC 7541 appendix A).
    let mut head = vec![0x02, 7];
    head.extend_from_slice(b"CONNECT\x00\x09:protocol\x09websocket\x86\x04\x01/\x01\x01x");
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    sent.extend([0, 0, u8::try_from(head.len()).expect("short"), 1, 4, 0, 0, 0, 1]);
    sent.append(&mut head);
    stream.write_all(&sent).expect("it reads");
    let answer = loop {
        let mut frame = [0; 9];
        stream.read_exact(&mut frame).expect("a frame");
        let mut payload = vec![0; usize::from(frame[1]) << 8 | usize::from(frame[2])];
        stream.read_exact(&mut payload).expect("its payload");
        if frame[3] == 1 {
            break payload;
        }
    };
    // `:status` by its name's index, and 501 in Huffman's code.
    assert_eq!(answer[..4], [0x48, 0x82, 0x6c, 0x01], "{answer:x?}");
    drop(stream);
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_panic_is_a_500_and_the_thread_goes_on() {
    let running = Running::start(1);
    for _ in 0..3 {
        assert!(running.get("/panic").starts_with("HTTP/1.1 500 "));
        assert!(running.get("/hello").ends_with("/hello"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn beyond_the_queue_clients_get_503() {
    let limits = Limits { threads: 1, queue: 2, ..Limits::default() };
    let running = Running::start_with(limits, EngineConfig::default());
    let blocked = running.send("/gate");
    running.gate.wait_for(1);
    let others: Vec<TcpStream> = (0..12).map(|_| running.send("/later")).collect();
    let mut refused = 0;
    // Two have room in the queue; the holder may have had one or more before it was seen to be
    // stuck. Those that wait are answered once the gate is open, so the refused are read first.
    for stream in &others {
        stream.set_read_timeout(Some(Duration::from_secs(2))).expect("a socket option");
    }
    let mut waiting = Vec::new();
    for mut stream in others {
        let mut start = [0; 12];
        match stream.read_exact(&mut start) {
            Ok(()) => {
                assert_eq!(&start, b"HTTP/1.1 503");
                refused += 1;
            }
            Err(_) => waiting.push(stream),
        }
    }
    assert!(refused >= 8, "{refused} were refused");
    running.gate.open();
    assert!(read(blocked).ends_with("/gate"));
    for stream in waiting {
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        assert!(read(stream).ends_with("/later"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_stop_waits_for_handlers_and_abandons_those_that_do_not_end() {
    let config =
        EngineConfig { graceful_timeout: Duration::from_millis(100), ..EngineConfig::default() };
    let running = Running::start_with(Limits { threads: 2, ..Limits::default() }, config);
    let blocked = running.send("/gate");
    running.gate.wait_for(1);
    let gate = running.gate.clone();
    assert_eq!(running.stop(), Finish::Abandoned(1));
    gate.open();
    drop(blocked);
}

#[test]
fn a_stop_may_have_all_the_time_there_is() {
    let running = Running::start(2);
    let blocked = running.send("/gate");
    running.gate.wait_for(1);
    running.server.drain_within(Duration::MAX);
    running.gate.open();
    assert!(read(blocked).ends_with("/gate"));
    assert_eq!(running.thread.join().expect("no panic"), Finish::Clean);
}

#[test]
fn a_stop_can_be_made_shorter_while_it_goes_on() {
    let running = Running::start(2);
    let blocked = running.send("/gate");
    running.gate.wait_for(1);
    let began = Instant::now();
    running.server.drain();
    running.server.drain_within(Duration::ZERO);
    assert_eq!(running.thread.join().expect("no panic"), Finish::Abandoned(1));
    assert!(began.elapsed() < Duration::from_secs(5));
    running.gate.open();
    drop(blocked);
}
