//! Connections whatever carries them: a socket of TCP or a pipe in memory, as one type each for the
//! address, the listener and the stream.
//!
//! Not here: what is spoken on them, and who may connect.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{self, IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::task::{Context, Poll};

use rustix::net::{AddressFamily, SocketType, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::pipe;

/// Connections that may wait to be accepted. std's 128 is less than a shard has in flight, and a SYN that
/// finds the backlog full is sent again after a whole second.
const BACKLOG: u16 = 4096;

/// Where to connect to.
#[derive(Debug, Clone)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
    /// To a listener of this process.
    Memory(pipe::Connector),
}

/// A place that connections come to, made before anybody serves it.
#[derive(Debug)]
pub enum Listener {
    /// A bound socket.
    Tcp(net::TcpListener),
    /// The listener of a pipe, and how to reach it.
    Memory(pipe::Listener, pipe::Connector),
}

/// A [`Listener`] within a runtime.
#[derive(Debug)]
pub enum Acceptor {
    /// A listening socket.
    Tcp(TcpListener),
    /// A socket that keeps the port and refuses connections; none if the port could not be kept.
    Closed(SocketAddr, Option<OwnedFd>),
    /// The listener of a pipe.
    Memory(pipe::Listener),
}

/// One end of a connection.
#[derive(Debug)]
pub enum Stream {
    /// A socket.
    Tcp(TcpStream),
    /// The end of a pipe.
    Memory(pipe::End),
}

impl Address {
    /// Connects. Nagle's algorithm is off: with it a QoS 1 round trip costs 88 ms.
    pub async fn connect(&self) -> io::Result<Stream> {
        self.connect_from(None).await
    }

    /// As [`Address::connect`], from this address of this machine: each has source ports of its own.
    pub async fn connect_from(&self, source: Option<IpAddr>) -> io::Result<Stream> {
        match self {
            Address::Tcp(address) => {
                let stream = match source {
                    None => TcpStream::connect(address).await?,
                    Some(source) => {
                        let socket =
                            if source.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
                        socket.bind((source, 0).into())?;
                        socket.connect(*address).await?
                    }
                };
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Address::Memory(connector) => connector.connect().await.map(Stream::Memory),
        }
    }

    /// The address of a socket; `None` for a pipe, which has none.
    pub fn socket(&self) -> Option<SocketAddr> {
        match self {
            Address::Tcp(address) => Some(*address),
            Address::Memory(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => address.fmt(f),
            Address::Memory(_) => f.write_str("memory"),
        }
    }
}

impl Listener {
    /// A listener of TCP; port 0 takes a free one.
    pub fn bind(address: SocketAddr) -> io::Result<Self> {
        net::TcpListener::bind(address).map(Listener::Tcp)
    }

    /// A listener for this process alone.
    pub fn memory() -> Self {
        let (connector, listener) = pipe::listener(usize::from(BACKLOG));
        Listener::Memory(listener, connector)
    }

    /// Where it is reached.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Listener::Memory(_, connector) => Ok(Address::Memory(connector.clone())),
        }
    }

    /// Begins to listen; for TCP within a runtime with I/O.
    pub fn listen(self) -> io::Result<Acceptor> {
        match self {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                // Listening again only sets the backlog.
                rustix::net::listen(&listener, i32::from(BACKLOG))?;
                TcpListener::from_std(listener).map(Acceptor::Tcp)
            }
            Listener::Memory(listener, _) => Ok(Acceptor::Memory(listener)),
        }
    }
}

impl Acceptor {
    /// The next connection. Of a pipe whose connectors are gone there is none: it waits for ever.
    pub async fn accept(&mut self) -> io::Result<Stream> {
        match self {
            Acceptor::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Without it a small answer waits 40 ms for an acknowledgement. A failure means that the
                // peer is gone already, which whoever serves it will notice.
                let _ = stream.set_nodelay(true);
                Ok(Stream::Tcp(stream))
            }
            Acceptor::Closed(..) => std::future::pending().await,
            Acceptor::Memory(listener) => match listener.accept().await {
                Some(end) => Ok(Stream::Memory(end)),
                None => std::future::pending().await,
            },
        }
    }
}

impl Acceptor {
    /// Refuses connections until [`Acceptor::listen_again`], those that wait included. The port stays taken:
    /// left free, one of those that try to connect could be given it as its own.
    pub fn refuse(&mut self) -> io::Result<()> {
        match self {
            Acceptor::Tcp(listener) => {
                let address = listener.local_addr()?;
                // Two sockets cannot have the port while one of them listens.
                *self = Acceptor::Closed(address, None);
                *self = Acceptor::Closed(address, Some(bound(address)?));
            }
            Acceptor::Closed(..) => {}
            Acceptor::Memory(listener) => listener.refuse(),
        }
        Ok(())
    }

    /// Takes connections again.
    pub fn listen_again(&mut self) -> io::Result<()> {
        match self {
            Acceptor::Tcp(_) => {}
            Acceptor::Closed(address, kept) => {
                let socket = match kept.take() {
                    Some(socket) => socket,
                    None => bound(*address)?,
                };
                *self = Listener::Tcp(socket.into()).listen()?;
            }
            Acceptor::Memory(listener) => listener.listen_again(),
        }
        Ok(())
    }
}

/// A socket that has the port and does not listen.
fn bound(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = rustix::net::socket(family, SocketType::STREAM, None)?;
    // Connections of before may still be on their way out.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    rustix::net::bind(&socket, &address)?;
    Ok(socket)
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buffer),
            Stream::Memory(end) => Pin::new(end).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Stream::Memory(end) => Pin::new(end).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Stream::Memory(end) => Pin::new(end).poll_write_vectored(cx, slices),
        }
    }

    /// True for both.
    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Memory(end) => Pin::new(end).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Memory(end) => Pin::new(end).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// What both kinds have in common; TCP needs a real clock, a pipe does not care.
    async fn check(listener: Listener) {
        let address = listener.address().unwrap();
        let mut acceptor = listener.listen().unwrap();
        let mut near = address.connect().await.unwrap();
        let mut far = acceptor.accept().await.unwrap();
        near.write_all(b"there").await.unwrap();
        let mut read = [0; 5];
        far.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"there");
        let slices = [IoSlice::new(b"ba"), IoSlice::new(b"ck")];
        assert_eq!(far.write_vectored(&slices).await.unwrap(), 4);
        far.shutdown().await.unwrap();
        let mut read = Vec::new();
        near.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"back");
        drop((near, far, acceptor));
        let refused = address.connect().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused, "{address}");
    }

    #[tokio::test]
    #[cfg(target_os = "linux")]
    async fn a_connection_comes_from_the_address_it_was_asked_to() {
        let listener = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let address = listener.address().unwrap();
        let mut acceptor = listener.listen().unwrap();
        let source = IpAddr::from([127, 0, 0, 7]);
        let _near = address.connect_from(Some(source)).await.unwrap();
        let Stream::Tcp(far) = acceptor.accept().await.unwrap() else { panic!("a pipe over TCP") };
        assert_eq!(far.peer_addr().unwrap().ip(), source);
    }

    #[tokio::test]
    async fn both_transports_connect_carry_and_end_alike() {
        check(Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap()).await;
        check(Listener::memory()).await;
    }

    #[tokio::test]
    async fn an_acceptor_that_refuses_keeps_its_port_and_takes_connections_again() {
        let tcp = Listener::bind((std::net::Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        for listener in [tcp, Listener::memory()] {
            let address = listener.address().unwrap();
            let mut acceptor = listener.listen().unwrap();
            for _ in 0..3 {
                let _client = address.connect().await.unwrap();
                let _server = acceptor.accept().await.unwrap();
                acceptor.refuse().unwrap();
                acceptor.refuse().unwrap();
                for _ in 0..100 {
                    let refused = address.connect().await.err().map(|error| error.kind());
                    assert_eq!(refused, Some(io::ErrorKind::ConnectionRefused));
                }
                acceptor.listen_again().unwrap();
                acceptor.listen_again().unwrap();
            }
            let (client, server) = tokio::join!(address.connect(), acceptor.accept());
            assert!(client.is_ok() && server.is_ok());
        }
    }
}
