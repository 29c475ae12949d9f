//! Listening sockets by the address, written as Go's `net.Listen` takes it.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use socket2::{Domain, SockAddr, Socket, Type};

use super::Listening;

/// Connections that may wait to be accepted; the kernel caps it (`net.core.somaxconn`).
const BACKLOG: i32 = 2048;
/// The port of an address that names none, as in Go.
const HTTP: u16 = 80;

impl Listening {
    /// Listens on `address`: `HOST:PORT` (`127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`),
    /// `:PORT` for all addresses of the machine, both IPv4 and IPv6, or `unix:PATH`. Port 0 gets
    /// any free one. Nothing is `:80`.
    ///
    /// A Unix socket that a dead server has left behind is replaced.
    ///
    /// # Errors
    /// `InvalidInput` for an address of another form, `AddrInUse` for one that is taken, else what
    /// the system says. The text names the address.
    pub fn bind(address: &str) -> io::Result<Self> {
        let bound = match address.strip_prefix("unix:") {
            Some(path) => listen_unix(Path::new(path)),
            None => listen_tcp(address),
        };
        bound.map_err(|error| {
            io::Error::new(error.kind(), format!("cannot listen on {address:?}: {}", plain(&error)))
        })
    }

    /// The port, if it is one of TCP.
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp(socket) => socket.local_addr().ok().map(|address| address.port()),
            Self::Unix(_) => None,
        }
    }

    /// The path of a Unix socket.
    pub fn path(&self) -> Option<PathBuf> {
        match self {
            Self::Tcp(_) => None,
            Self::Unix(socket) => socket.local_addr().ok()?.as_pathname().map(Path::to_path_buf),
        }
    }
}

/// An error without the number that Rust puts behind what the system says.
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(at) if error.raw_os_error().is_some() => text[..at].to_owned(),
        _ => text,
    }
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn listen_tcp(address: &str) -> io::Result<Listening> {
    let form = "it must be HOST:PORT, :PORT or unix:PATH";
    let (host, port) = match address.rsplit_once(':') {
        _ if address.is_empty() => ("", HTTP),
        Some((host, port)) => (host, port.parse().map_err(|_| invalid(form))?),
        None => return Err(invalid(form)),
    };
    if host.is_empty() {
        return match listen_on((Ipv6Addr::UNSPECIFIED, port).into()) {
            // A kernel without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                listen_on((Ipv4Addr::UNSPECIFIED, port).into())
            }
            other => other,
        };
    }
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    if bracketed.is_none() && host.contains(':') {
        return Err(invalid("an IPv6 address stands in brackets, like [::1]:8080"));
    }
    let found: Vec<SocketAddr> = (bracketed.unwrap_or(host), port).to_socket_addrs()?.collect();
    // A name with addresses of both families is listened on in the first, as Go does.
    let first = found.iter().find(|address| address.is_ipv4()).or(found.first());
    listen_on(*first.ok_or_else(|| invalid("the host has no address"))?)
}

fn listen_on(address: SocketAddr) -> io::Result<Listening> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    if address.is_ipv6() && address.ip().is_unspecified() {
        socket.set_only_v6(false)?;
    }
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Listening::from_fd(OwnedFd::from(socket))
}

fn listen_unix(path: &Path) -> io::Result<Listening> {
    if path.as_os_str().is_empty() {
        // The kernel would make a name up, which nobody knows.
        return Err(invalid("the path of the Unix socket is missing, as in unix:/run/app.sock"));
    }
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    socket.listen(BACKLOG)?;
    Listening::from_fd(OwnedFd::from(socket))
}

/// Removes the socket that a dead server has left behind, and nothing else.
fn remove_stale(path: &Path) -> io::Result<()> {
    let is_socket = match path.symlink_metadata() {
        Ok(metadata) => metadata.file_type().is_socket(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !is_socket {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "it exists and is no socket"));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::AddrInUse, "a running server listens there")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(address: &str) -> io::Error {
        match Listening::bind(address) {
            Ok(_) => panic!("{address:?} was taken"),
            Err(error) => error,
        }
    }

    #[test]
    fn addresses_are_written_as_in_go() {
        for address in ["127.0.0.1:0", ":0", "localhost:0"] {
            let port = Listening::bind(address).expect(address).port();
            assert!(port.is_some_and(|port| port > 0), "{address}");
        }
    }

    #[test]
    fn other_forms_are_refused_by_name() {
        for address in ["8080", "127.0.0.1", "127.0.0.1:", ":99999", "::1:8080", "a b:80", "unix:"]
        {
            let error = refused(address);
            assert!(error.to_string().contains(address), "{error}");
        }
    }

    #[test]
    fn a_taken_port_is_told() {
        let first = Listening::bind("127.0.0.1:0").expect("a free port");
        let port = first.port().expect("tcp");
        assert_eq!(refused(&format!("127.0.0.1:{port}")).kind(), io::ErrorKind::AddrInUse);
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_a_live_ones_is_not() {
        let path = std::env::temp_dir().join(format!("gohttp-address-{}", std::process::id()));
        let address = format!("unix:{}", path.display());
        drop(Listening::bind(&address).expect("a new path"));
        let live = Listening::bind(&address).expect("the first one is dead");
        assert_eq!(live.path(), Some(path.clone()));
        assert_eq!(refused(&address).kind(), io::ErrorKind::AddrInUse);
        std::fs::remove_file(&path).expect("it is there");
        std::fs::write(&path, "").expect("a file");
        assert_eq!(refused(&address).kind(), io::ErrorKind::AlreadyExists);
        std::fs::remove_file(path).expect("it is there");
    }
}
