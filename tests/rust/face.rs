//! The face for Rust: handlers, bodies, tables and servers, spoken to over raw sockets.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use gohttp::crew::Finish;
use gohttp::http::{Dispatch, ResponseWriter};
use gohttp::mux::PatternError;
use gohttp::{Body, Mount, Mux, Request, Response, Server, StartError, Stopper};

const PATIENCE: Duration = Duration::from_secs(10);

struct Running {
    port: u16,
    stopper: Stopper,
    thread: JoinHandle<Finish>,
}

impl Running {
    fn start(fill: impl FnOnce(&mut Mux) -> Result<(), PatternError>) -> Self {
        let mut mux = Mux::new();
        fill(&mut mux).expect("good patterns");
        let builder = Server::builder().address("127.0.0.1:0").signals(false);
        let server = builder.start(mux).expect("it starts");
        let (port, stopper) = (server.port().expect("tcp"), server.stopper());
        Self { port, stopper, thread: std::thread::spawn(move || server.run().expect("threads")) }
    }

    fn send(&self, request: &str) -> TcpStream {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket option");
        stream.write_all(request.as_bytes()).expect("it reads");
        stream
    }

    fn ask(&self, line: &str) -> String {
        read(self.send(&format!("{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")))
    }

    fn stop(self) -> Finish {
        self.stopper.stop();
        self.thread.join().expect("no panic")
    }
}

fn read(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it ends");
    String::from_utf8(answer).expect("text")
}

fn wait_for(what: &str, mut is_so: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < until, "{what} did not come");
        std::thread::yield_now();
    }
}

#[test]
fn an_async_handler_sees_its_request() {
    let running = Running::start(|mux| {
        mux.handle("GET /items/{id}/{rest...}", async |req: Request| {
            assert!(req.remote_addr().is_some_and(|address| address.ip().is_loopback()));
            format!(
                "{} {} {} | {:?} {:?} {:?} | {} | {:?} {:?}",
                req.method(),
                req.path(),
                req.query(),
                req.value("id"),
                req.value("rest"),
                req.value("none"),
                req.pattern(),
                req.header("HOST"),
                req.header("accept"),
            )
        })
    });
    let answer = running.ask("GET /items/a%20b/c/d?x=%31");
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(
        answer.ends_with(
            "\r\n\r\nGET /items/a%20b/c/d x=%31 | Some(\"a b\") Some(\"c/d\") None | \
         GET /items/{id}/{rest...} | Some(\"x\") None"
        ),
        "{answer}"
    );
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn an_async_handler_reads_a_body_up_to_its_limit() {
    let running = Running::start(|mux| {
        mux.handle("POST /", async |mut req: Request| {
            req.body(10).await.map(|body| format!("{} bytes", body.len()))
        })
    });
    let post = |head: &str, parts: &[&str]| {
        let mut stream = running
            .send(&format!("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n\r\n"));
        for part in parts {
            stream.write_all(part.as_bytes()).expect("it reads");
        }
        read(stream)
    };
    let chunked = "Transfer-Encoding: chunked";
    assert!(post("Content-Length: 10", &["01234", "56789"]).ends_with("10 bytes"));
    assert!(post(chunked, &["5\r\n01234\r\n", "5\r\n56789\r\n0\r\n\r\n"]).ends_with("10 bytes"));
    assert!(post(chunked, &["0\r\n\r\n"]).ends_with("\r\n0 bytes"));
    assert!(post("Content-Length: 11", &[]).starts_with("HTTP/1.1 413 "));
    assert!(post(chunked, &["b\r\n0123456789a\r\n0\r\n\r\n"]).starts_with("HTTP/1.1 413 "));
    let both = ["6\r\n012345\r\n", "6\r\n6789ab\r\n0\r\n\r\n"];
    assert!(post(chunked, &both).starts_with("HTTP/1.1 413 "));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_blocking_handler_blocks_nobody_else() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let running = Running::start(|mux| {
        mux.handle_blocking("POST /count", move |mut req: Request| {
            INSIDE.fetch_add(1, Relaxed);
            gate.lock().expect("no panic").recv().expect("it is opened");
            let mut body = Vec::new();
            req.read_to_end(&mut body).map_err(|error| (400, error.to_string()))?;
            Ok::<_, (u16, String)>(format!("{} bytes", body.len()))
        })?;
        mux.handle("GET /quick", async |_| "quick")
    });
    let head = "POST /count HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    let blocked = running.send(&format!("{head}abc"));
    wait_for("the handler", || INSIDE.load(Relaxed) == 1);
    for _ in 0..20 {
        assert!(running.ask("GET /quick").ends_with("quick"));
    }
    open.send(()).expect("it waits");
    assert!(read(blocked).ends_with("\r\n\r\n3 bytes"));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_channel_streams_and_waits_for_its_client() {
    static SENT: AtomicUsize = AtomicUsize::new(0);
    const PIECES: usize = 1024;
    let running = Running::start(|mux| {
        mux.handle_blocking("GET /stream", |_| {
            let (mut sender, body) = Body::channel();
            std::thread::spawn(move || {
                for _ in 0..PIECES {
                    sender.send_blocking(vec![b'~'; 65536]).expect("the client reads");
                    SENT.fetch_add(1, Relaxed);
                }
                sender.finish();
            });
            Response::of_type("text/plain", body)
        })?;
        mux.handle("GET /quick", async |_| "quick")
    });
    let stream = running.send("GET /stream HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    wait_for("the first piece", || SENT.load(Relaxed) > 0);
    // The sockets' buffers are full long before all is sent: the sender waits.
    assert!(running.ask("GET /quick").ends_with("quick"));
    assert!(SENT.load(Relaxed) < PIECES);
    let answer = read(stream);
    assert!(answer.contains("transfer-encoding: chunked\r\n"), "{}", &answer[..200]);
    assert_eq!(answer.bytes().filter(|&byte| byte == b'~').count(), PIECES * 65536);
    assert!(answer.ends_with("\r\n0\r\n\r\n"));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn the_head_of_a_stream_does_not_wait_for_its_body() {
    let (give, given) = tokio::sync::mpsc::channel::<()>(1);
    let given = std::sync::Arc::new(tokio::sync::Mutex::new(given));
    let running = Running::start(|mux| {
        mux.handle("GET /", move |_| {
            let given = given.clone();
            async move {
                let (mut sender, body) = Body::channel();
                tokio::spawn(async move {
                    given.lock().await.recv().await;
                    sender.send("late").await.expect("the client reads");
                    sender.finish();
                });
                Response::new(200, body)
            }
        })
    });
    let mut stream = running.send("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    let mut start = [0; 17];
    stream.read_exact(&mut start).expect("the head is sent at once");
    assert_eq!(&start, b"HTTP/1.1 200 OK\r\n");
    give.blocking_send(()).expect("it waits");
    assert!(read(stream).contains("\r\nlate\r\n"));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_sender_that_is_dropped_cuts_the_response() {
    let running = Running::start(|mux| {
        mux.handle("GET /", async |_| {
            let (mut sender, body) = Body::channel();
            tokio::spawn(async move {
                sender.send("begun").await.expect("the client reads");
            });
            Response::new(200, body)
        })
    });
    let mut stream = running.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    let mut answer = Vec::new();
    // Whether it is seen as a reset or as an end: the last chunk is missing.
    let _ = stream.read_to_end(&mut answer);
    assert!(!answer.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn an_async_handler_is_dropped_when_its_client_goes() {
    struct Told(mpsc::Sender<()>);
    impl Drop for Told {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    static INSIDE: AtomicUsize = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel();
    let running = Running::start(|mux| {
        mux.handle("GET /", move |_| {
            let told = Told(tell.clone());
            async move {
                let _told = told;
                INSIDE.fetch_add(1, Relaxed);
                std::future::pending::<u16>().await
            }
        })
    });
    let stream = running.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    wait_for("the handler", || INSIDE.load(Relaxed) == 1);
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).expect("a socket option");
    drop(socket);
    told.recv_timeout(PATIENCE).expect("the handler is dropped");
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn a_panic_is_a_500_and_the_server_goes_on() {
    let running = Running::start(|mux| {
        mux.handle("GET /async", async |_| -> u16 { panic!("as asked") })?;
        mux.handle("GET /early", |_| -> std::future::Ready<u16> { panic!("as asked") })?;
        mux.handle_blocking("GET /blocking", |_| -> u16 { panic!("as asked") })?;
        mux.handle("GET /hello", async |_| "hello")
    });
    for path in ["/async", "/early", "/blocking"] {
        let answer = running.ask(&format!("GET {path}"));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{path}: {answer}");
        assert!(running.ask("GET /hello").ends_with("hello"));
    }
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn responses_are_made_of_what_handlers_return() {
    let running = Running::start(|mux| {
        mux.handle("GET /status", async |_| 204)?;
        mux.handle("GET /both", async |_| (418, "teapot"))?;
        mux.handle("GET /none", async |_| None::<&str>)?;
        mux.handle("GET /json", async |_| {
            Response::json("{}").with_header("X-A", "1").with_header("X-A", "2").with_status(201)
        })?;
        mux.handle("GET /away", async |_| Response::redirect("/json"))?;
        mux.handle("GET /split", async |_| Response::text("").with_header("X", "a\r\nB: c"))?;
        mux.handle("GET /interim", async |_| 100)
    });
    assert!(running.ask("GET /status").starts_with("HTTP/1.1 204 No Content\r\n"));
    let both = running.ask("GET /both");
    assert!(both.starts_with("HTTP/1.1 418 ") && both.ends_with("\r\n\r\nteapot"), "{both}");
    assert!(running.ask("GET /none").starts_with("HTTP/1.1 404 "));
    let json = running.ask("GET /json");
    assert!(json.starts_with("HTTP/1.1 201 Created\r\n"), "{json}");
    assert!(json.contains("content-type: application/json\r\nX-A: 1\r\nX-A: 2\r\n"), "{json}");
    let away = running.ask("GET /away");
    assert!(away.starts_with("HTTP/1.1 303 ") && away.contains("location: /json\r\n"), "{away}");
    let split = running.ask("GET /split");
    assert!(split.starts_with("HTTP/1.1 500 ") && !split.contains("B: c"), "{split}");
    assert!(running.ask("GET /interim").starts_with("HTTP/1.1 500 "));
    let head = running.ask("HEAD /both");
    assert!(head.contains("content-length: 6\r\n") && head.ends_with("\r\n\r\n"), "{head}");
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn paths_without_a_handler_are_answered_as_go_does() {
    let running = Running::start(|mux| {
        mux.handle("POST /form", async |_| 200)?;
        mux.handle("GET /tree/", async |_| 200)
    });
    assert!(running.ask("GET /none").starts_with("HTTP/1.1 404 "));
    let refused = running.ask("GET /form");
    assert!(refused.starts_with("HTTP/1.1 405 ") && refused.contains("allow: POST\r\n"));
    let moved = running.ask("GET /tree?a=1");
    assert!(moved.starts_with("HTTP/1.1 301 "), "{moved}");
    assert!(moved.contains("location: /tree/?a=1\r\n"), "{moved}");
    assert_eq!(running.stop(), Finish::Clean);
}

/// Answers with where it is and what it was asked for.
struct Somewhere(String);

impl Mount for Somewhere {
    fn start(
        &self,
        prefix: &str,
    ) -> Result<std::sync::Arc<dyn Dispatch>, Box<dyn std::error::Error + Send + Sync>> {
        if prefix.is_empty() {
            return Err("it must have a prefix".into());
        }
        Ok(std::sync::Arc::new(Self(prefix.to_owned())))
    }
}

impl Dispatch for Somewhere {
    fn dispatch(&self, request: gohttp::http::Request, mut writer: ResponseWriter) {
        let body = format!("{} {}", self.0, String::from_utf8_lossy(request.head.path()));
        let head = gohttp::http::ResponseHead::text(200, body.len());
        writer.respond(head, body.into()).expect("the client waits");
    }
}

#[test]
fn tables_are_merged_with_files_and_mounts() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("a.txt"), "file a").expect("it can be written");
    let mut inner = Mux::new();
    inner.handle("GET /x", async |_| "inner x").expect("a good pattern");
    inner.files("/files", directory.path()).expect("a directory");
    inner.mount("/app", Somewhere(String::new())).expect("a good prefix");
    let running = Running::start(|mux| mux.merge("/v1", inner));
    assert!(running.ask("GET /v1/x").ends_with("inner x"));
    assert!(running.ask("GET /v1/files/a.txt").ends_with("file a"));
    assert!(running.ask("PUT /v1/app/b//c").ends_with("\r\n\r\n/v1/app /v1/app/b//c"));
    assert_eq!(running.stop(), Finish::Clean);
}

#[test]
fn what_does_not_start_is_told_in_a_sentence() {
    let mut mux = Mux::new();
    mux.mount("/", Somewhere(String::new())).expect("a good prefix");
    let error = Server::builder().address("127.0.0.1:0").signals(false).start(mux);
    let error = error.expect_err("it refuses");
    assert!(matches!(error, StartError::Mount { .. }));
    assert_eq!(error.to_string(), "at \"/\": it must have a prefix");

    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let error = Server::builder().address(&address).start(Mux::new()).expect_err("it is taken");
    assert!(error.to_string().starts_with(&format!("cannot listen on {address:?}: ")), "{error}");

    let mut mux = Mux::new();
    mux.handle("GET /{a}", async |_| 200).expect("a good pattern");
    let error = mux.handle("GET /{b}", async |_| 200).expect_err("it is taken");
    assert!(error.to_string().contains("\"GET /{a}\""), "{error}");
}

#[test]
fn async_handlers_run_on_the_programs_own_runtime_if_it_is_given() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let mut mux = Mux::new();
    mux.handle("GET /", async |_| std::thread::current().name().unwrap_or_default().to_owned())
        .expect("a good pattern");
    let builder = Server::builder().address("127.0.0.1:0").signals(false);
    let server = builder.runtime(runtime.handle().clone()).start(mux).expect("it starts");
    let (port, stopper) = (server.port().expect("tcp"), server.stopper());
    let thread = std::thread::spawn(move || server.run().expect("threads"));
    let (done, ended) = tokio::sync::oneshot::channel::<()>();
    let theirs = std::thread::Builder::new().name("theirs".into());
    let driving = theirs.spawn(move || runtime.block_on(ended)).expect("a thread");
    let running = Running { port, stopper, thread };
    assert!(running.ask("GET /").ends_with("\r\n\r\ntheirs"));
    assert_eq!(running.stop(), Finish::Clean);
    done.send(()).expect("it waits");
    driving.join().expect("no panic").expect("it was told");
}

#[test]
fn a_large_whole_body_is_sent_with_its_length() {
    let running =
        Running::start(|mux| mux.handle("GET /", async |_| Bytes::from(vec![b'~'; 1 << 20])));
    let answer = running.ask("GET /");
    assert!(answer.contains("content-length: 1048576\r\n"));
    assert_eq!(answer.bytes().filter(|&byte| byte == b'~').count(), 1 << 20);
    assert_eq!(running.stop(), Finish::Clean);
}
