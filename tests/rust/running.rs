//! A server on a free port, for tests that speak to it over raw sockets.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use gohttp::config::EngineConfig;
use gohttp::http::Dispatch;
use gohttp::server::{Driver, Listening, Server};

/// A server, and the thread that drives it.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    server: Arc<Server>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// Has `dispatch` answer on a free port.
    pub(crate) fn start(config: EngineConfig, dispatch: impl Dispatch) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket option");
        let address = listener.local_addr().expect("it is bound");
        let driver = Driver::new().expect("a runtime");
        let listeners = vec![Listening::Tcp(listener)];
        let server =
            Server::start(&driver, listeners, config, Arc::new(dispatch)).expect("it starts");
        let server = Arc::new(server);
        let for_thread = server.clone();
        let thread = std::thread::spawn(move || driver.drive(|cx| for_thread.poll_finished(cx)));
        Self { address, server, thread: Some(thread) }
    }

    /// A connection; a read that takes too long fails.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket option");
        stream
    }

    /// Sends `request` and reads to the end of the connection.
    pub(crate) fn converse(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).expect("it reads");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("it ends");
        answer
    }

    /// Has the server end, and waits for that.
    pub(crate) fn stop(&mut self) {
        self.server.drain();
        self.thread.take().expect("stopped once").join().expect("no panic");
    }
}
