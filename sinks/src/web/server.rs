//! Connections: how many, how long, and how they end.

use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower::ServiceExt;

use super::state::Shared;

/// Connections beyond those that follow live values.
const OTHERS: usize = 64;

/// Longest time that a client may take for the head of a request, and stay silent between two.
const HEAD: Duration = Duration::from_secs(10);

/// Bytes of a request's head.
const MAX_HEAD: usize = 16 << 10;

/// Time that data may stay unacknowledged before a client counts as gone.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Longest time that answers that are under way may take at the end.
const GRACE: Duration = Duration::from_secs(1);

/// Address of a client, as an extension of its requests.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// The server. It ends with this.
pub(super) struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Server {
    /// Begins to answer on `listener`.
    pub(super) fn start(
        listener: TcpListener,
        router: Router,
        max_clients: usize,
        shared: &Arc<Shared>,
    ) -> Self {
        let address = listener.local_addr().unwrap_or_else(|_| ([0, 0, 0, 0], 0).into());
        let stop = shared.stop.subscribe();
        let task = tokio::spawn(accept(listener, router, max_clients + OTHERS, stop));
        Self { address, shared: Arc::clone(shared), task }
    }

    /// Returns where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets nobody in any more and lets answers that are under way end.
    pub(super) async fn stop(&mut self) {
        self.shared.stop.send_replace(true);
        // A panic has been printed; there is nothing left to stop.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.send_replace(true);
        self.task.abort();
    }
}

async fn accept(
    listener: TcpListener,
    router: Router,
    most: usize,
    mut stop: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    let clients = stop.clone();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) if connections.len() < most => {
                    connections.spawn(serve(stream, peer, router.clone(), clients.clone()));
                }
                Ok((stream, _)) => refuse(&stream),
                // No descriptor is free, or the client has gone: the next may be luckier.
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            },
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            () = stopped(&mut stop) => break,
        }
    }
    drop(listener);
    let ended = async { while connections.join_next().await.is_some() {} };
    // Connections that are not done by then are cut off with the set.
    let _ = tokio::time::timeout(GRACE, ended).await;
}

/// Waits until the sink closes.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Its sender goes with the sink, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    // Without either the connection works, too.
    let _ = stream.set_nodelay(true);
    let _ = socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let peer = Peer(peer.ip().to_canonical());
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer);
        let router = router.clone();
        async move { Ok::<_, Infallible>(answer(router, request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MAX_HEAD)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    // Errors are those of clients: cut off, or not HTTP/1.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(router: Router, request: hyper::Request<Incoming>) -> axum::response::Response {
    match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// Tells a client that there are too many.
fn refuse(stream: &TcpStream) {
    let answer = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\n\
                   Content-Length: 21\r\n\r\ntoo many connections\n";
    // A client that is not told is refused all the same.
    let _ = stream.try_write(answer);
}
