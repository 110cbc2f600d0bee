//! Metrics, status and health over HTTP/1: a few pages, made anew for each request; must never hold up the broker.
//!
//! A connection carries one request and lives for half a minute at most. The oldest makes room for a new one when there are
//! too many, so that clients that hang keep nobody out. One page is made at a time, on a thread for what blocks.

mod page;
mod process;
mod status;

use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::accept::accept;
use super::service::Service;
use super::shared::Shared;
use crate::metrics::{Listener, Node, Requests, Text};
use crate::net::{Accepted, Acceptor, Remote, SocketOptions};
use process::Process;

/// Connections of one listener.
const CONNECTIONS: usize = 64;
/// How long a request's head may take.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may take in all.
const WHOLE: Duration = Duration::from_secs(30);
/// The longest head of a request, in bytes.
const HEAD_BYTES: usize = 16 << 10;

const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const PAGES: &str = "/metrics  metrics in Prometheus' text format\n/status   the same as JSON\n/healthz  200 while the daemon lives\n/readyz   200 when it serves, 503 and the reason when not\n";

/// What the pages are made from.
pub(super) struct Pages<S> {
    shared: Arc<Shared<S>>,
    /// One look at the node at a time.
    turn: Arc<Semaphore>,
}

/// Everything there is to show.
struct Facts {
    node: Node,
    listeners: Vec<Listener>,
    requests: Vec<Requests>,
    process: Process,
    /// Whether topics and groups are named: where authentication is demanded, not to those who showed none.
    names: bool,
}

impl Facts {
    /// How many topics, partitions and groups are named.
    fn series(&self) -> usize {
        if self.names { page::SERIES } else { 0 }
    }
}

impl<S: Service> Pages<S> {
    pub(super) fn new(shared: Arc<Shared<S>>) -> Arc<Self> {
        Arc::new(Self { shared, turn: Arc::new(Semaphore::new(1)) })
    }

    async fn answer(&self, request: &Request<Incoming>, open: bool) -> Response<Page> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, PLAIN, "only GET and HEAD are served\n");
            response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/metrics" => self.made(Text::MEDIA_TYPE, page::render, open).await,
            "/status" => self.made(JSON, status::render, open).await,
            "/healthz" => page(StatusCode::OK, PLAIN, "alive\n"),
            "/readyz" => match self.unready() {
                None => page(StatusCode::OK, PLAIN, "ready\n"),
                Some(why) => page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, format!("not ready: {why}\n")),
            },
            _ => page(StatusCode::NOT_FOUND, PLAIN, format!("there is no such page; there are:\n{PAGES}")),
        }
    }

    fn unready(&self) -> Option<&'static str> {
        if self.shared.stop.now() { Some("stopping") } else { self.shared.service.unready() }
    }

    /// A page made from a look at everything. A look goes on when its connection is given up, and so keeps its turn:
    /// clients that wait less long than a look takes must not get many under way.
    async fn made(
        &self,
        media_type: &'static str,
        render: fn(&Facts) -> String,
        open: bool,
    ) -> Response<Page> {
        let names = !open || !self.shared.service.demands_rights();
        let turn = Arc::clone(&self.turn).acquire_owned().await;
        let shared = Arc::clone(&self.shared);
        let look = tokio::spawn(async move {
            let _turn = turn.ok()?;
            let node = shared.service.observe().await?;
            let (listeners, requests) = (shared.meters.listeners(), shared.meters.requests());
            let work = move || render(&Facts { node, listeners, requests, process: Process::read(), names });
            tokio::task::spawn_blocking(work).await.ok()
        });
        match look.await.ok().flatten() {
            Some(text) => page(StatusCode::OK, media_type, text),
            None => page(StatusCode::SERVICE_UNAVAILABLE, PLAIN, "stopping\n"),
        }
    }
}

/// Serves the pages on one listener until dropped.
pub(super) async fn serve<S: Service>(acceptor: Acceptor, pages: Arc<Pages<S>>) {
    let mut tasks = JoinSet::new();
    let mut open = VecDeque::new();
    accept(acceptor, move |accepted| {
        while tasks.try_join_next().is_some() {}
        open.retain(|task: &tokio::task::AbortHandle| !task.is_finished());
        if open.len() >= CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        open.push_back(tasks.spawn(connection(accepted, Arc::clone(&pages))));
    })
    .await;
}

async fn connection<S: Service>(accepted: Accepted, pages: Arc<Pages<S>>) {
    // Who reaches the socket's file may see what is in the folder beside it.
    let open = matches!(accepted.remote(), Remote::Tcp(_));
    let Ok(stream) = accepted.into_stream(&SocketOptions::default()) else { return };
    let answer = service_fn(|request: Request<Incoming>| {
        let pages = Arc::clone(&pages);
        async move { Ok::<_, Infallible>(pages.answer(&request, open).await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), answer);
    // A client that went away, was too slow or spoke no HTTP is no matter for the log.
    let _ = tokio::time::timeout(WHOLE, served).await;
}

fn page(status: StatusCode, media_type: &'static str, text: impl Into<Bytes>) -> Response<Page> {
    let text = text.into();
    let length = text.len();
    let mut response = Response::new(Page(Some(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// A body in one piece.
struct Page(Option<Bytes>);

impl Body for Page {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.take().filter(|bytes| !bytes.is_empty()).map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}
