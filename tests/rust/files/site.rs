//! A directory that is served, and answers taken apart.

use std::fs;
use std::path::{Path, PathBuf};

use gohttp::config::EngineConfig;
use gohttp::files::{Files, serve_file};
use gohttp::http::{Dispatch, FilePart, Request, ResponseHead, ResponseWriter};

use crate::running::Running;

/// When all files of the tests were changed, unless a test says otherwise.
pub(crate) const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
pub(crate) const AT: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
pub(crate) const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

/// More than the sockets' buffers between server and client hold.
pub(crate) const LARGE: u64 = 64 * 1024 * 1024;

/// Serves a directory below `/static`, below `/own` single files of it by [`serve_file`], and below
/// `/more` files of which the handler goes on to say more.
struct Site {
    files: Files,
    root: PathBuf,
}

impl Dispatch for Site {
    fn dispatch(&self, request: Request, mut writer: ResponseWriter) {
        let head = &request.head;
        let path = head.path();
        if let Some(below) = path.strip_prefix(b"/static") {
            self.files.answer(head, below, writer);
        } else if let Some(name) = path.strip_prefix(b"/own/") {
            let name = Path::new(std::str::from_utf8(name).expect("ascii"));
            let mut response = ResponseHead::new(if head.query() == b"404" { 404 } else { 200 });
            for (name, value) in [
                ("ETag", "\"own\""),
                ("Last-Modified", AFTER),
                ("Content-Type", "text/own"),
                ("Cache-Control", "max-age=60"),
                ("X-Own", "1"),
            ] {
                response.push(name.as_bytes(), value.as_bytes()).expect("a field");
            }
            let file = fs::File::open(self.root.join(name)).expect("it is there");
            if let Err(error) = serve_file(head, file, name, response, &mut writer) {
                let body = format!("{:?}", error.kind());
                writer.respond(ResponseHead::new(500), body.into()).expect("it has not begun");
            }
        } else if let Some(name) = path.strip_prefix(b"/more/") {
            let name = std::str::from_utf8(name).expect("ascii");
            let file = fs::File::open(self.root.join(name)).expect("it is there");
            std::thread::spawn(move || say_more(file, writer));
        }
    }
}

/// Answers with a file, and with `more` once the connection has that in hand.
fn say_more(file: fs::File, mut writer: ResponseWriter) {
    let len = file.metadata().expect("ours").len();
    writer.start(ResponseHead::new(200)).expect("it has not begun");
    writer.write_file(FilePart::new(file, 0, len)).expect("the client waits");
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(std::future::poll_fn(|cx| writer.poll_room(cx)));
    writer.finish("more".into()).expect("the client waits");
}

/// A directory that is served.
pub(crate) struct Tree {
    pub(crate) running: Running,
    /// The directory that holds it, so that there is something outside.
    pub(crate) outer: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::with(EngineConfig::default(), false)
    }

    pub(crate) fn with(config: EngineConfig, dot_files: bool) -> Self {
        let outer = tempfile::tempdir().expect("a directory");
        let root = outer.path().join("root");
        fs::create_dir(&root).expect("a directory");
        let files = Files::open(&root).expect("a directory").with_dot_files(dot_files);
        Self { running: Running::start(config, Site { files, root }), outer }
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        self.outer.path().join("root").join(name)
    }

    /// Makes a file, and the directories that it is in.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(path.parent().expect("it has one")).expect("a directory");
        fs::write(&path, content).expect("a file");
        let at = httpdate::parse_http_date(AT).expect("a date");
        fs::File::options()
            .write(true)
            .open(&path)
            .expect("it is there")
            .set_modified(at)
            .expect("ours");
        path
    }

    /// Makes a file without content, of [`LARGE`] bytes.
    pub(crate) fn large(&self, name: &str) -> fs::File {
        let path = self.file(name, "");
        let file = fs::File::options().write(true).open(path).expect("it is there");
        file.set_len(LARGE).expect("room");
        file
    }

    pub(crate) fn ask(&self, method: &str, path: &str, fields: &[(&str, &str)]) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n");
        for (name, value) in fields {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str("\r\n");
        Answer::of(self.running.converse(request.as_bytes()))
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[])
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        self.running.stop();
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        let end = bytes.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end + 2].to_vec()).expect("text");
        let status = head[9..12].parse().expect("a status");
        Self { status, head, body: bytes[end + 4..].to_vec() }
    }

    /// All values of a field.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        self.head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .filter(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
            .collect()
    }

    /// The only value of a field.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there {} times: {}", all.len(), self.head);
        all.first().copied()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("text")
    }
}
