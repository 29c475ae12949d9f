//! Taking a connection over, as WebSockets do (RFC 9110 section 7.8).

use std::fmt::Debug;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream;
use std::pin::{Pin, pin};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// How long a client that does not follow its handler's end is waited for.
const LINGER: Duration = Duration::from_secs(5);
/// Room for what is passed on from a handler.
const RELAY_ROOM: usize = 8 * 1024;

/// What a connection runs over, both ways.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}

impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// Ready when the server begins to stop.
pub type Stopping = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Ready when the connection has ended.
pub type Ending = Pin<Box<dyn Future<Output = ()> + Send>>;

/// A connection that is given away.
pub struct Handover {
    /// The connection.
    pub io: Box<dyn Duplex>,
    /// What has been read of it already.
    pub read: BytesMut,
    /// Ready when the server begins to stop.
    pub stopping: Stopping,
    /// How long a client may take nothing.
    pub write_timeout: Duration,
}

/// What runs a connection after the answer to its last request.
pub trait Upgrade: Debug + Send {
    /// Runs the connection to its end.
    fn run(self: Box<Self>, connection: Handover) -> Ending;
}

/// One end of a pair, whose other end speaks with the client itself.
#[derive(Debug)]
pub(crate) struct Relay(pub(crate) UnixStream);

impl Upgrade for Relay {
    /// Passes bytes between the client and the handler's end, until both have ended.
    fn run(self: Box<Self>, connection: Handover) -> Ending {
        Box::pin(async move {
            let Ok(mut pair) = tokio::net::UnixStream::from_std(self.0) else { return };
            let (mut from_client, to_client) = tokio::io::split(connection.io);
            let (from_handler, mut to_handler) = pair.split();
            // How one side ends is told to the other as an end; errors are theirs to see.
            let up = async {
                // What came behind the head is the handler's too.
                if to_handler.write_all(&connection.read).await.is_ok() {
                    let _ = tokio::io::copy(&mut from_client, &mut to_handler).await;
                }
                to_handler.shutdown().await
            };
            let down = pass_on(from_handler, to_client, connection.write_timeout);
            let (mut up, mut down) = (pin!(up), pin!(down));
            // How such a connection ends is the handler's and the client's affair; but a client
            // that does not follow its handler is not waited for for ever.
            tokio::select! {
                _ = &mut down => drop(tokio::time::timeout(LINGER, up).await),
                _ = &mut up => drop(down.await),
            }
        })
    }
}

/// Passes on what the handler sends, as long as the client takes some of it in time.
async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    patience: Duration,
) -> io::Result<()> {
    let mut room = vec![0; RELAY_ROOM];
    loop {
        let n = from.read(&mut room).await?;
        if n == 0 {
            return to.shutdown().await;
        }
        tokio::time::timeout(patience, to.write_all(&room[..n])).await??;
    }
}
