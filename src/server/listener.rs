//! Listening sockets: one trait, so that all behind it is written once.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::pin::pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::http::{FilePart, Peer};

/// What a connection runs over.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Ready when the socket may take bytes.
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Writes by a call of its own, which says `WouldBlock` when the socket is full.
    fn try_write(
        &self,
        write: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize>;

    /// Sends some of a file; returns how many bytes.
    fn poll_send_file(&self, cx: &mut Context<'_>, file: &mut FilePart) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.poll_writable(cx))?;
            match self.try_write(|socket| file.send_to(socket)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent),
            }
        }
    }

    /// Has the close be seen as a reset, not as a proper end.
    fn reset_on_close(&self) {}
}

impl Transport for TcpStream {
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(
        &self,
        write: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || write(self.as_fd()))
    }

    fn reset_on_close(&self) {
        // If the system refuses, the client sees a proper end: no worse than without.
        let _ = socket2::SockRef::from(self).set_linger(Some(Duration::ZERO));
    }
}

impl Transport for UnixStream {
    fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_write_ready(cx)
    }

    fn try_write(
        &self,
        write: impl FnOnce(BorrowedFd<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.try_io(Interest::WRITABLE, || write(self.as_fd()))
    }
}

/// Something that connections come from.
pub(crate) trait Listener: Send + 'static {
    /// A connection's transport.
    type Io: Transport;

    /// The next connection, the client's end and ours. Errors are the caller's to log and retry.
    fn accept(&self) -> impl Future<Output = io::Result<(Self::Io, Peer, Peer)>> + Send;

    /// Whether a connection waits.
    fn has_waiting(&self) -> bool;

    /// A connection that waits already, if there is one.
    fn try_accept(&self) -> Option<(Self::Io, Peer, Peer)> {
        loop {
            // Without a budget: what waits is to be had at once, however much it is.
            let accept = pin!(tokio::task::coop::unconstrained(self.accept()));
            match accept.poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(Ok(accepted)) => return Some(accepted),
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                _ => return None,
            }
        }
    }
}

/// A TCP listener, and the address of our end if all its connections have the same.
pub(crate) struct TcpAcceptor {
    listener: TcpListener,
    local: Option<SocketAddr>,
}

impl TcpAcceptor {
    /// # Errors
    /// If the socket cannot be watched.
    pub(crate) fn new(socket: std::net::TcpListener) -> io::Result<Self> {
        let local = socket.local_addr()?;
        Ok(Self {
            listener: TcpListener::from_std(socket)?,
            local: (!local.ip().is_unspecified()).then_some(local),
        })
    }
}

impl Listener for TcpAcceptor {
    type Io = TcpStream;

    async fn accept(&self) -> io::Result<(TcpStream, Peer, Peer)> {
        let (stream, peer) = self.listener.accept().await?;
        let local = match self.local {
            Some(local) => local,
            None => stream.local_addr()?,
        };
        Ok((stream, Peer::Tcp(peer), Peer::Tcp(local)))
    }

    fn has_waiting(&self) -> bool {
        readable(self.listener.as_fd())
    }
}

impl Listener for UnixListener {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<(UnixStream, Peer, Peer)> {
        let (stream, _) = UnixListener::accept(self).await?;
        let local = stream.local_addr()?.as_pathname().map(std::path::Path::to_path_buf);
        Ok((stream, Peer::Unix(None), Peer::Unix(local)))
    }

    fn has_waiting(&self) -> bool {
        readable(self.as_fd())
    }
}

/// What the system says now, whatever was known before.
fn readable(socket: BorrowedFd<'_>) -> bool {
    let mut sockets = [PollFd::new(&socket, PollFlags::IN)];
    let now = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    rustix::event::poll(&mut sockets, Some(&now)).is_ok_and(|ready| ready > 0)
}

/// Bytes that the kernel takes of a response beyond what it has sent.
const UNSENT: u32 = 128 * 1024;

/// A listening socket made elsewhere, of either family.
#[derive(Debug)]
pub enum Listening {
    /// Over TCP.
    Tcp(std::net::TcpListener),
    /// Over a Unix socket.
    Unix(std::os::unix::net::UnixListener),
}

impl Listening {
    /// Takes over a listening socket.
    ///
    /// # Errors
    /// If it is no socket, or of a family that is not served.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Self> {
        let socket = socket2::Socket::from(fd);
        socket.set_nonblocking(true)?;
        match socket.local_addr()?.domain() {
            socket2::Domain::IPV4 | socket2::Domain::IPV6 => {
                // Connections inherit both. Without the first, a response in two writes can wait
                // for the client's delayed ACK; the second keeps what a slow client has not taken
                // out of the kernel's memory, and shows its pace to the write time-out.
                socket.set_tcp_nodelay(true)?;
                socket.set_tcp_notsent_lowat(UNSENT)?;
                Ok(Self::Tcp(socket.into()))
            }
            socket2::Domain::UNIX => Ok(Self::Unix(socket.into())),
            _ => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, "neither a TCP nor a Unix socket"))
            }
        }
    }
}
