//! An HTTP server that its clients cannot exhaust, on a thread and runtime of its own.
//!
//! Connections, the size of a request's head and the time for it are bounded, and so is the time for which a
//! client takes nothing of what it has asked for. The embedded backend has the same builder with other bounds;
//! its connections stall and restart by plan, which has no place here.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::thread;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;

/// How long connections may take to end when the server stops.
const STOP_GRACE: Duration = Duration::from_secs(1);
/// Pause after a failed accept: out of descriptors stays so until a connection ends.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What clients may take.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    /// Connections at a time; more wait in the backlog.
    connections: usize,
    /// Bytes of a request's head; hyper's buffer grows up to it.
    head: usize,
    /// Time for the head of the next request, so also how long a connection may idle.
    head_time: Duration,
    /// How long a client may take nothing of an answer.
    write_time: Duration,
}

/// A few browsers, a few scrapers, and somebody's curl. Prometheus keeps its connection between scrapes, most
/// often 15 s or 60 s apart.
const BOUNDS: Bounds = Bounds {
    connections: 64,
    head: 16 * 1024,
    head_time: Duration::from_secs(90),
    write_time: Duration::from_secs(20),
};

/// A server that runs until it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stop: CancellationToken,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// Serves `routes` at `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// The address cannot be listened on, or the system gives no thread.
    pub fn start(address: SocketAddr, routes: Router) -> io::Result<Self> {
        Self::start_within(address, routes, BOUNDS)
    }

    fn start_within(address: SocketAddr, routes: Router, bounds: Bounds) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let stop = CancellationToken::new();
        let stopped = stop.clone();
        let thread = thread::Builder::new().name("fleetsim-web".to_owned()).spawn(move || {
            runtime.block_on(async {
                // It was bound a moment ago: what is refused here is a descriptor too many.
                if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                    serve(&listener, &routes, bounds, &stopped).await;
                }
            });
        })?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic in there was printed and is nothing that a run depends on.
            thread.join().ok();
        }
    }
}

async fn serve(
    listener: &tokio::net::TcpListener,
    routes: &Router,
    bounds: Bounds,
    stop: &CancellationToken,
) {
    let clock = Clock::start();
    let places = Arc::new(Semaphore::new(bounds.connections));
    let mut connections = JoinSet::new();
    loop {
        let one = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            Ok::<_, io::Error>((listener.accept().await?.0, place))
        };
        tokio::select! {
            // Stopping comes first, or a flood of connections could outrun it.
            biased;
            () = stop.cancelled() => break,
            // Those that have ended are let go, or their remains would pile up.
            Some(_) = connections.join_next() => {}
            accepted = one => match accepted {
                Ok((stream, place)) => {
                    // Answers are written whole; without it small ones would wait for an acknowledgement.
                    stream.set_nodelay(true).ok();
                    let stream = Patient { stream, clock, limit: bounds.write_time, waits: None };
                    connections.spawn(serve_one(stream, routes.clone(), bounds, stop.clone(), place));
                }
                Err(_) => {
                    clock.timeout_at(clock.now().plus(ACCEPT_PAUSE), stop.cancelled()).await;
                }
            },
        }
    }
    let until = clock.now().plus(STOP_GRACE);
    clock.timeout_at(until, async { while connections.join_next().await.is_some() {} }).await;
}

/// One connection, until either side ends it.
async fn serve_one(
    stream: Patient,
    routes: Router,
    bounds: Bounds,
    stop: CancellationToken,
    _place: OwnedSemaphorePermit,
) {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(bounds.head_time)
        .max_buf_size(bounds.head)
        .max_header_size(bounds.head);
    let mut connection =
        std::pin::pin!(builder.serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes)));
    // Errors are the peer's: it went away, or spoke no HTTP and was told so.
    tokio::select! {
        biased; // Stopping comes first, or a busy connection could outrun it.
        () = stop.cancelled() => {}
        _ = connection.as_mut() => return,
    }
    connection.as_mut().graceful_shutdown();
    connection.await.ok();
}

/// A connection that waits for its reader only so long: hyper knows no such bound, and whoever takes nothing
/// would keep one of few places.
struct Patient {
    stream: TcpStream,
    clock: Clock,
    limit: Duration,
    /// Runs out, while nothing can be written.
    waits: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Patient {
    fn bounded<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.waits = None;
            return polled;
        }
        let (clock, until) = (self.clock, self.clock.now().plus(self.limit));
        let waits = self.waits.get_or_insert_with(|| Box::pin(async move { clock.sleep_until(until).await }));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Patient {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Patient {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.bounded(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.bounded(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        self.bounded(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.bounded(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use axum::routing::get;

    use super::*;

    const FREE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

    fn routes() -> Router {
        Router::new()
            .route("/", get(|| async { "here" }))
            // More than the buffers of a socket take.
            .route("/large", get(|| async { vec![b'x'; 64 * 1024 * 1024] }))
    }

    fn connect(server: &Server, request: &str) -> std::net::TcpStream {
        let mut stream = std::net::TcpStream::connect(server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    fn answer(mut stream: std::net::TcpStream) -> String {
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn it_answers_until_it_is_dropped() {
        let server = Server::start(FREE, routes()).unwrap();
        let said = answer(connect(&server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(said.starts_with("HTTP/1.1 200") && said.ends_with("here"), "{said}");
        let address = server.address();
        assert!(Server::start(address, routes()).is_err(), "the address is in use");
        drop(server);
        assert!(std::net::TcpStream::connect(address).is_err(), "nobody listens any more");
    }

    #[test]
    fn who_says_nothing_makes_room_for_who_waits() {
        let bounds = Bounds { connections: 1, head_time: Duration::from_millis(50), ..BOUNDS };
        let server = Server::start_within(FREE, routes(), bounds).unwrap();
        let silent = connect(&server, "GET / HT");
        let said = answer(connect(&server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(said.ends_with("here"), "{said}");
        assert!(!answer(silent).contains("200"));
    }

    #[test]
    fn who_takes_nothing_makes_room_for_who_waits() {
        let bounds = Bounds { connections: 1, write_time: Duration::from_millis(50), ..BOUNDS };
        let server = Server::start_within(FREE, routes(), bounds).unwrap();
        let deaf = connect(&server, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
        let said = answer(connect(&server, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
        assert!(said.ends_with("here"), "{said}");
        drop(deaf);
    }

    #[test]
    fn a_head_has_a_bound() {
        let server = Server::start(FREE, routes()).unwrap();
        let long = "x".repeat(BOUNDS.head + 1);
        let said = answer(connect(&server, &format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n")));
        assert!(!said.contains("200 OK"), "{said}");
    }
}
