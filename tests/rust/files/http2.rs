//! Files over HTTP/2, where the kernel cannot send them by itself: frames by hand.

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use gohttp::config::EngineConfig;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use crate::site::{LARGE, Tree};

/// Types of frames (RFC 9113 section 6).
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const WINDOW_UPDATE: u8 = 8;
/// Flags of frames.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

/// `:status` as a server says it with one byte (RFC 7541 appendix A).
const STATUS_200: u8 = 0x88;
const STATUS_206: u8 = 0x8a;
const STATUS_304: u8 = 0x8b;

/// The window that a stream and a connection begin with.
const WINDOW: usize = 65_535;

struct Client {
    stream: TcpStream,
    /// The first byte of the answer's head.
    status: u8,
    body: Vec<u8>,
}

/// How a stream ended, if it did.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    Whole,
    Reset,
}

impl Client {
    /// Sends one request, on stream 1. `fields`: index of the name in HPACK's table, and value.
    fn ask(tree: &Tree, path: &str, fields: &[(u8, &str)]) -> Self {
        let mut client = Self { stream: tree.running.connect(), status: 0, body: Vec::new() };
        client.stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").expect("it reads");
        client.send(SETTINGS, 0, 0, b"");
        // GET and http by index, the rest as values without indexing.
        let mut head = vec![0x82, 0x86];
        for (index, value) in [(1, "x"), (4, path)].iter().chain(fields) {
            match index {
                0..15 => head.push(*index),
                _ => head.extend([15, index - 15]),
            }
            head.push(u8::try_from(value.len()).ok().filter(|n| *n < 127).expect("short"));
            head.extend_from_slice(value.as_bytes());
        }
        client.send(HEADERS, END_STREAM | END_HEADERS, 1, &head);
        client
    }

    fn send(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let mut frame = (payload.len() as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend_from_slice(payload);
        self.stream.write_all(&frame).expect("it reads");
    }

    /// Takes one frame. Returns how the stream ended, if it has.
    fn take(&mut self) -> Option<Ended> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).expect("a frame");
        let len = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let mut payload = vec![0; len];
        self.stream.read_exact(&mut payload).expect("its payload");
        let (kind, flags) = (head[3], head[4]);
        match kind {
            SETTINGS if flags & ACK == 0 => self.send(SETTINGS, ACK, 0, b""),
            PING if flags & ACK == 0 => self.send(PING, ACK, 0, &payload),
            HEADERS => self.status = payload[0],
            DATA => self.body.extend_from_slice(&payload),
            RST_STREAM => return Some(Ended::Reset),
            _ => {}
        }
        (matches!(kind, DATA | HEADERS) && flags & END_STREAM != 0).then_some(Ended::Whole)
    }

    /// Lets the server send so many bytes more.
    fn allow(&mut self, bytes: usize) {
        let bytes = (bytes as u32).to_be_bytes();
        self.send(WINDOW_UPDATE, 0, 0, &bytes);
        self.send(WINDOW_UPDATE, 0, 1, &bytes);
    }

    /// Takes all of the answer.
    fn finish(&mut self) -> Ended {
        loop {
            let before = self.body.len();
            if let Some(ended) = self.take() {
                return ended;
            }
            if self.body.len() > before {
                self.allow(self.body.len() - before);
            }
        }
    }

    /// Takes what fits in the first window.
    fn fill_window(&mut self) {
        while self.body.len() < WINDOW {
            assert_eq!(self.take(), None, "it ended after {} bytes", self.body.len());
        }
    }
}

/// Indices of field names (RFC 7541 appendix A).
const IF_NONE_MATCH: u8 = 41;
const RANGE: u8 = 50;

#[test]
fn a_file_arrives_whole_over_http2() {
    let tree = Tree::new();
    let content: Vec<u8> = (0..1_000_003u32).map(|n| (n / 7 % 251) as u8).collect();
    tree.file("large", &content);
    tree.file("small", "small");
    tree.file("empty", "");
    for (path, expected) in
        [("/static/large", &content[..]), ("/static/small", b"small"), ("/static/empty", b"")]
    {
        let mut client = Client::ask(&tree, path, &[]);
        assert_eq!((client.finish(), client.status), (Ended::Whole, STATUS_200), "{path}");
        assert!(client.body == expected, "{path}: {} bytes", client.body.len());
    }
}

#[test]
fn ranges_and_conditions_hold_over_http2() {
    let tree = Tree::new();
    tree.file("digits.txt", "0123456789");
    let mut client = Client::ask(&tree, "/static/digits.txt", &[(RANGE, "bytes=3-4")]);
    assert_eq!((client.finish(), client.status), (Ended::Whole, STATUS_206));
    assert_eq!(client.body, b"34");
    let mut client = Client::ask(&tree, "/static/digits.txt", &[(RANGE, "bytes=0-1,8-")]);
    assert_eq!((client.finish(), client.status), (Ended::Whole, STATUS_206));
    let text = String::from_utf8(client.body).expect("text");
    assert!(text.contains("\r\n\r\n01\r\n--") && text.contains("\r\n\r\n89\r\n--"), "{text}");
    let mut client = Client::ask(&tree, "/static/digits.txt", &[(IF_NONE_MATCH, "*")]);
    assert_eq!((client.finish(), client.status), (Ended::Whole, STATUS_304));
    assert_eq!(client.body, b"");
}

#[test]
fn a_file_that_shrinks_over_http2_resets_its_stream() {
    let tree = Tree::new();
    let file = tree.large("large");
    let mut client = Client::ask(&tree, "/static/large", &[]);
    client.fill_window();
    file.set_len(0).expect("ours");
    client.allow(LARGE as usize);
    assert_eq!(client.finish(), Ended::Reset);
    assert!((client.body.len() as u64) < LARGE);
}

#[test]
fn a_file_that_nobody_takes_over_http2_is_closed() {
    let config =
        EngineConfig { write_timeout: Duration::from_millis(100), ..EngineConfig::default() };
    let tree = Tree::with(config, false);
    tree.large("large");
    let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("a watch");
    inotify::add_watch(&watch, tree.at("large"), inotify::WatchFlags::CLOSE_NOWRITE)
        .expect("a watch");
    let mut client = Client::ask(&tree, "/static/large", &[]);
    client.fill_window();
    let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
    let watched = watch.as_fd();
    let told = poll(&mut [PollFd::new(&watched, PollFlags::IN)], Some(&limit)).expect("a poll");
    assert_eq!(told, 1, "the file is still open");
    let mut buffer = [MaybeUninit::uninit(); 512];
    let mut events = inotify::Reader::new(&watch, &mut buffer);
    let event = events.next().expect("an event");
    assert!(event.events().contains(inotify::ReadFlags::CLOSE_NOWRITE));
    client.allow(LARGE as usize);
    assert_eq!(client.finish(), Ended::Reset);
}

#[test]
fn a_slow_client_of_a_file_is_not_taken_for_one_that_stalls() {
    let write_timeout = Duration::from_millis(400);
    let tree = Tree::with(EngineConfig { write_timeout, ..EngineConfig::default() }, false);
    let len = 16 * WINDOW;
    tree.file("slow", vec![1; len]);
    let mut client = Client::ask(&tree, "/more/slow", &[]);
    let began = Instant::now();
    let mut allowed = WINDOW;
    while client.body.len() < len {
        while client.body.len() < allowed {
            assert_eq!(client.take(), None, "it ended after {} bytes", client.body.len());
        }
        // Its pace: quicker than the time-out for a piece, much slower for all of them.
        std::thread::sleep(write_timeout / 4);
        client.allow(WINDOW);
        allowed += WINDOW;
    }
    assert!(began.elapsed() > write_timeout * 3);
    assert_eq!(client.finish(), Ended::Whole);
    assert!(client.body.ends_with(b"\x01more"));
}
