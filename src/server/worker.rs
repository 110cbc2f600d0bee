//! A worker: one thread, one runtime, the connections it was given for life; must never share one with another worker.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinSet};
use tokio::time::timeout;
use tracing::{debug, error};

use super::accept::{Seat, peer};
use super::connection::Connection;
use super::meters::ListenerMeter;
use super::service::{Service, Tasks};
use super::shared::Shared;
use crate::broker::ListenerSecurity;
use crate::net::tls::{ServerTls, TlsFailure};
use crate::net::{Accepted, Address, Stream};

/// A connection on its way to its worker.
#[derive(Debug)]
pub(super) struct Arrival {
    pub(super) accepted: Accepted,
    pub(super) seat: Seat,
    pub(super) endpoint: Arc<Endpoint>,
}

/// Where a listener listens and what it is advertised as.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) address: Address,
    pub(super) advertised: Option<(String, u16)>,
    pub(super) security: ListenerSecurity,
    pub(super) tls: Option<Arc<ServerTls>>,
    pub(super) meter: Arc<ListenerMeter>,
}

/// Gives connections to a worker.
#[derive(Debug, Clone)]
pub(super) struct Hand {
    arrivals: UnboundedSender<Arrival>,
    /// Connections it has.
    load: Arc<AtomicUsize>,
}

impl Hand {
    pub(super) fn load(&self) -> usize {
        self.load.load(Ordering::Relaxed)
    }

    pub(super) fn counter(&self) -> Arc<AtomicUsize> {
        Arc::clone(&self.load)
    }

    pub(super) fn give(&self, arrival: Arrival) {
        self.load.fetch_add(1, Ordering::Relaxed);
        // A worker that has stopped drops the connection, and so closes it.
        if self.arrivals.send(arrival).is_err() {
            self.load.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What a worker is started with.
pub(super) struct Plan<S> {
    pub(super) number: usize,
    pub(super) shared: Arc<Shared<S>>,
    pub(super) runtime: Runtime,
    pub(super) arrivals: UnboundedReceiver<Arrival>,
    pub(super) load: Arc<AtomicUsize>,
    /// Run beside the connections until the server stops: accepting, the broker's housekeeping.
    pub(super) besides: Vec<Tasks>,
}

/// A runtime that looks at its sockets and at other threads' wake-ups often: a task here is up to a megabyte of work.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_all().event_interval(4).global_queue_interval(2).build()
}

/// A channel to a worker, and its end there.
pub(super) fn hand() -> (Hand, UnboundedReceiver<Arrival>) {
    let (arrivals, receiver) = unbounded_channel();
    (Hand { arrivals, load: Arc::default() }, receiver)
}

/// Starts the worker's thread; what is returned resolves when it has ended.
pub(super) fn start<S: Service>(plan: Plan<S>) -> io::Result<oneshot::Receiver<()>> {
    let (ended, end) = oneshot::channel();
    std::thread::Builder::new().name(format!("klog-worker-{}", plan.number)).spawn(move || {
        let Plan { shared, runtime, arrivals, load, besides, .. } = plan;
        runtime.block_on(run(shared, arrivals, load, besides));
        drop(runtime);
        let _ = ended.send(());
    })?;
    Ok(end)
}

async fn run<S: Service>(
    shared: Arc<Shared<S>>,
    mut arrivals: UnboundedReceiver<Arrival>,
    load: Arc<AtomicUsize>,
    besides: Vec<Tasks>,
) {
    let mut aside: JoinSet<()> = besides.into_iter().collect();
    let mut connections = JoinSet::new();
    let mut stop = pin!(shared.stop.listen());
    while !shared.stop.now() {
        tokio::select! {
            () = &mut stop => break,
            Some(arrival) = arrivals.recv() => {
                connections.spawn(serve(Arc::clone(&shared), arrival));
            }
            Some(ended) = connections.join_next() => {
                load.fetch_sub(1, Ordering::Relaxed);
                report(ended);
            }
            Some(ended) = aside.join_next() => report(ended),
        }
    }
    arrivals.close();
    while arrivals.recv().await.is_some() {}
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

/// A panic has ended one task; the rest goes on.
fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        error!("a connection was ended by a defect in klog (see the panic's message)");
    }
}

async fn serve<S: Service>(shared: Arc<Shared<S>>, arrival: Arrival) {
    let Arrival { accepted, endpoint, seat } = arrival;
    let present = endpoint.meter.enter();
    let remote = accepted.remote();
    let stream = match accepted.into_stream(&shared.sockets) {
        Ok(stream) => stream,
        Err(error) => return debug!(%error, "a connection went away before it was served"),
    };
    let stream = match &endpoint.tls {
        None => stream,
        Some(tls) => match shake_hands(&shared, tls, stream).await {
            Ok(stream) => stream,
            Err(why) => return debug!(?remote, why, "no TLS handshake"),
        },
    };
    let peer = match peer(remote, &stream, &endpoint) {
        Ok(peer) => Arc::new(peer),
        Err(error) => return debug!(?remote, %error, "its certificate can not be read"),
    };
    debug!(client = %peer.client_host, principal = peer.principal(), "connected");
    let end = Connection::new(shared, Arc::clone(&peer), stream, Arc::clone(&endpoint.meter)).await;
    debug!(client = %peer.client_host, %end, "connection closed");
    drop((seat, present));
}

/// TLS's handshake, within its time; the stop ends it. Nothing of it is left when this returns an error.
async fn shake_hands<S: Service>(
    shared: &Shared<S>,
    tls: &ServerTls,
    stream: Stream,
) -> Result<Stream, String> {
    let mut stop = pin!(shared.stop.listen());
    stop.as_mut().enable();
    if shared.stop.now() {
        return Err("the server stops".to_owned());
    }
    tokio::select! {
        () = &mut stop => Err("the server stops".to_owned()),
        accepted = timeout(shared.limits.handshake, Box::pin(tls.accept(stream))) => match accepted {
            Err(_) => Err("it took too long".to_owned()),
            Ok(accepted) => accepted.map_err(|error| match TlsFailure::of(&error) {
                Some(failure) => failure.to_string(),
                None => error.to_string(),
            }),
        },
    }
}
