//! Sockets to broker: accept, read frames, call the broker, answer in order; must never decide what an answer says.

mod accept;
mod budget;
mod clock;
mod connection;
mod end;
mod input;
mod meters;
mod metrics;
mod options;
mod output;
mod pool;
mod service;
mod shared;
mod worker;

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::sync::Arc;

use tokio::sync::oneshot;
use tracing::debug;

use crate::net::{Accepted, Acceptor, Address};
use accept::Full;
use accept::{Door, accept};
use budget::Budget;
use meters::Meters;
use metrics::Pages;
use shared::{Shared, Stop};
use worker::{Arrival, Endpoint, Hand, Plan};

pub use crate::net::tls::{ServerTls, TlsError};
pub use options::{Limits, ListenerOptions, ServerOptions};
pub use service::{Call, Look, Service, Tasks};

/// Bytes of every frame that are read whatever else is going on.
const FREE: usize = 8 << 10;

/// Why a server did not start: a listener, thread or runtime was refused by the system.
#[derive(Debug)]
pub struct StartError(pub io::Error);

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot start the server: {}", self.0)
    }
}

impl std::error::Error for StartError {}

/// A running server. Dropping it stops it without waiting.
pub struct Server {
    addresses: Vec<Address>,
    http: Vec<Address>,
    stop: Arc<Stop>,
    ends: Vec<oneshot::Receiver<()>>,
}

impl Server {
    /// Starts the workers, which accept, serve, and run the broker's housekeeping. Needs no runtime of the caller's.
    ///
    /// # Errors
    /// [`StartError`] when the system has no thread or descriptor left.
    pub fn start<S: Service>(options: ServerOptions, broker: Arc<S>) -> Result<Self, StartError> {
        Self::start_inner(options, broker).map_err(StartError)
    }

    fn start_inner<S: Service>(options: ServerOptions, service: Arc<S>) -> io::Result<Self> {
        let workers = match options.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        };
        let stop = Arc::new(Stop::default());
        let bound = options.listeners.iter().map(|one| one.listener.address());
        let meters = Arc::new(Meters::new(workers, bound));
        let http = options.http.iter().map(|one| one.listener.address().clone()).collect();
        let shared = Arc::new(Shared {
            budget: Budget::new(options.limits.queued_max_request_bytes),
            limits: options.limits,
            sockets: options.sockets,
            stop: Arc::clone(&stop),
            meters,
            service,
        });
        let started = Self::start_workers(workers, &shared, options.listeners, options.http);
        if started.is_err() {
            stop.begin(); // for the workers that did start
        }
        let (addresses, ends) = started?;
        Ok(Self { addresses, http, stop, ends })
    }

    fn start_workers<S: Service>(
        workers: usize,
        shared: &Arc<Shared<S>>,
        listeners: Vec<ListenerOptions>,
        http: Vec<ListenerOptions>,
    ) -> io::Result<(Vec<Address>, Vec<oneshot::Receiver<()>>)> {
        let (hands, arrivals): (Vec<Hand>, Vec<_>) = (0..workers).map(|_| worker::hand()).unzip();
        let mut addresses = Vec::new();
        let mut ends = Vec::new();
        let mut listeners = Some((listeners, http));
        for (number, arrivals) in arrivals.into_iter().enumerate() {
            let runtime = worker::runtime()?;
            let mut besides: Vec<Tasks> = Vec::new();
            // The first worker also keeps the door and the house.
            if let Some((listeners, http)) = listeners.take() {
                let _inside = runtime.enter();
                let door = Arc::new(Door::default());
                for (number, options) in listeners.into_iter().enumerate() {
                    let ListenerOptions { listener, advertised, security, tls } = options;
                    let address = listener.address().clone();
                    addresses.push(address.clone());
                    let meter = shared.meters.listener(number);
                    let endpoint = Arc::new(Endpoint { address, advertised, security, tls, meter });
                    let seating = Seating {
                        shared: Arc::clone(shared),
                        door: Arc::clone(&door),
                        endpoint,
                        hands: hands.clone(),
                    };
                    besides.push(Box::pin(seating.run(listener.into_acceptor()?)));
                }
                let pages = Pages::new(Arc::clone(shared));
                for ListenerOptions { listener, .. } in http {
                    let serving = metrics::serve(listener.into_acceptor()?, Arc::clone(&pages));
                    besides.push(Box::pin(serving));
                }
                besides.push(shared.service.tasks());
            }
            let load = hands.get(number).map(Hand::counter).unwrap_or_default();
            let plan = Plan { number, shared: Arc::clone(shared), runtime, arrivals, load, besides };
            ends.push(worker::start(plan)?);
        }
        Ok((addresses, ends))
    }

    /// What it listens on, in the order of the options, with real ports.
    pub fn addresses(&self) -> &[Address] {
        &self.addresses
    }

    /// Where it shows its metrics over HTTP, in the order of the options, with real ports.
    pub fn http_addresses(&self) -> &[Address] {
        &self.http
    }

    /// Accepts no more, answers what is in hand (for at most `Limits::drain`), closes, and ends the workers. Socket
    /// files stay: who made sure of the folder removes them.
    pub async fn stop(mut self) {
        self.stop.begin();
        for end in std::mem::take(&mut self.ends) {
            let _ = end.await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.begin();
    }
}

/// Gives each accepted connection to the worker with the fewest.
struct Seating<S> {
    shared: Arc<Shared<S>>,
    door: Arc<Door>,
    endpoint: Arc<Endpoint>,
    hands: Vec<Hand>,
}

impl<S: Service> Seating<S> {
    async fn run(mut self, acceptor: Acceptor) {
        accept(acceptor, move |accepted| self.seat(accepted)).await;
    }

    /// The limits in force.
    fn limits(&self) -> Cow<'_, Limits> {
        let limits = &self.shared.limits;
        let (all, by_ip) = self.shared.service.changed_limits();
        if all.is_none() && by_ip.is_none() {
            return Cow::Borrowed(limits);
        }
        Cow::Owned(Limits {
            max_connections: all.unwrap_or(limits.max_connections),
            max_connections_per_ip: by_ip.unwrap_or(limits.max_connections_per_ip),
            ..limits.clone()
        })
    }

    fn seat(&mut self, accepted: Accepted) {
        let remote = accepted.remote();
        let seat = match self.door.admit(remote, &self.limits()) {
            Ok(seat) => seat,
            Err(full) => {
                let meter = &self.endpoint.meter;
                let count = if matches!(full, Full::Ip(_)) { &meter.refused_ip } else { &meter.refused_all };
                count.add(1);
                return debug!(?remote, ?full, "turned away");
            }
        };
        let Some(hand) = self.hands.iter().min_by_key(|hand| hand.load()) else { return };
        hand.give(Arrival { accepted, seat, endpoint: Arc::clone(&self.endpoint) });
    }
}
