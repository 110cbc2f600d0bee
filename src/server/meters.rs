//! What the server counts: connections and bytes of each listener, requests of each API with their latency; recording
//! waits for nobody.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use tokio::time::Instant;

use crate::metrics::{Counter, Gauge, Histogram, Listener, Requests, Sharded, Values};
use crate::net::Address;
use crate::wire::api::{APIS, ApiKey};

/// One worker's histograms, each made when its API is first asked.
#[derive(Debug)]
struct Latencies(Box<[OnceLock<Box<Histogram>>]>);

impl Default for Latencies {
    fn default() -> Self {
        Self(APIS.iter().map(|_| OnceLock::new()).collect())
    }
}

/// The counters of a server.
#[derive(Debug)]
pub(super) struct Meters {
    latencies: Sharded<Latencies>,
    listeners: Vec<Arc<ListenerMeter>>,
}

impl Meters {
    /// For so many workers, and listeners at these addresses.
    pub(super) fn new<'a>(workers: usize, addresses: impl Iterator<Item = &'a Address>) -> Self {
        let mut before: HashMap<String, usize> = HashMap::new();
        let listeners = addresses.map(|address| {
            let address = address.to_string();
            let number = before.entry(address.clone()).or_default();
            *number += 1;
            // Sockets without a name (of systemd's) share an address, and series of one name need labels that differ.
            let label = if *number == 1 { address } else { format!("{address}#{number}") };
            Arc::new(ListenerMeter::new(workers, label))
        });
        let listeners = listeners.collect();
        Self { latencies: Sharded::new(workers), listeners }
    }

    /// The counters of the listener of that number.
    pub(super) fn listener(&self, number: usize) -> Arc<ListenerMeter> {
        self.listeners.get(number).cloned().unwrap_or_default()
    }

    fn answered(&self, mark: &Mark, now: Instant) {
        let Some(api) = mark.api.and_then(|api| usize::try_from(api.code()).ok()) else { return };
        let Some(slot) = self.latencies.mine().and_then(|mine| mine.0.get(api)) else { return };
        let took = now.saturating_duration_since(mark.begun).as_nanos();
        let histogram = slot.get_or_init(|| Box::new(Histogram::of_nanoseconds()));
        histogram.record(u64::try_from(took).unwrap_or(u64::MAX));
    }

    /// The requests of every API that was ever asked.
    pub(super) fn requests(&self) -> Vec<Requests> {
        let asked = |(index, facts): (usize, &crate::wire::api::ApiFacts)| {
            let mut latency: Option<Values> = None;
            for histogram in self.latencies.all().filter_map(|one| one.0.get(index)?.get()) {
                let values = histogram.values();
                match &mut latency {
                    Some(sum) => sum.merge(&values),
                    None => latency = Some(values),
                }
            }
            latency.map(|latency| Requests { api: facts.name, latency })
        };
        APIS.iter().enumerate().filter_map(asked).collect()
    }

    /// The listeners, in the order of the options.
    pub(super) fn listeners(&self) -> Vec<Listener> {
        self.listeners.iter().map(|listener| listener.facts()).collect()
    }
}

/// Bytes one worker moved for a listener.
#[derive(Debug, Default)]
struct Bytes {
    received: Counter,
    sent: Counter,
}

/// The counters of a listener.
#[derive(Debug)]
pub(super) struct ListenerMeter {
    address: String,
    open: Gauge,
    accepted: Counter,
    pub(super) refused_all: Counter,
    pub(super) refused_ip: Counter,
    bytes: Sharded<Bytes>,
}

impl Default for ListenerMeter {
    fn default() -> Self {
        Self::new(1, String::new())
    }
}

impl ListenerMeter {
    fn new(workers: usize, address: String) -> Self {
        Self {
            address,
            open: Gauge::default(),
            accepted: Counter::default(),
            refused_all: Counter::default(),
            refused_ip: Counter::default(),
            bytes: Sharded::new(workers),
        }
    }

    /// Counts a connection in, until what is returned is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> Present {
        self.accepted.add(1);
        self.open.add(1);
        Present(Arc::clone(self))
    }

    /// Bytes came.
    pub(super) fn received(&self, bytes: usize) {
        if let Some(mine) = self.bytes.mine() {
            mine.received.add(bytes as u64);
        }
    }

    /// Bytes were taken.
    fn sent(&self, bytes: usize) {
        if let Some(mine) = self.bytes.mine() {
            mine.sent.add(bytes as u64);
        }
    }

    fn facts(&self) -> Listener {
        Listener {
            address: self.address.clone(),
            open: self.open.get(),
            accepted: self.accepted.get(),
            refused_all: self.refused_all.get(),
            refused_ip: self.refused_ip.get(),
            received: self.bytes.sum(|bytes| bytes.received.get()),
            sent: self.bytes.sum(|bytes| bytes.sent.get()),
        }
    }
}

/// A connection that is counted as open.
#[derive(Debug)]
pub(super) struct Present(Arc<ListenerMeter>);

impl Drop for Present {
    fn drop(&mut self) {
        self.0.open.add(-1);
    }
}

/// A request: which API, and when all of it was here.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    api: Option<ApiKey>,
    begun: Instant,
}

impl Mark {
    /// All of a request is here now.
    pub(super) fn now(api: Option<ApiKey>) -> Self {
        Self { api, begun: Instant::now() }
    }
}

/// Which answers of one connection its peer has not taken yet: by the place of their last byte in its stream.
#[derive(Debug)]
pub(super) struct Ledger {
    listener: Arc<ListenerMeter>,
    pushed: u64,
    sent: u64,
    untaken: VecDeque<(u64, Mark)>,
}

impl Ledger {
    pub(super) fn new(listener: Arc<ListenerMeter>) -> Self {
        Self { listener, pushed: 0, sent: 0, untaken: VecDeque::new() }
    }

    /// Bytes came.
    pub(super) fn received(&self, bytes: usize) {
        self.listener.received(bytes);
    }

    /// An answer of so many bytes is on its way.
    pub(super) fn pushed(&mut self, bytes: usize, mark: Mark) {
        self.pushed += bytes as u64;
        self.untaken.push_back((self.pushed, mark));
    }

    /// A request without an answer is done.
    pub(super) fn done(meters: &Meters, mark: Mark) {
        meters.answered(&mark, Instant::now());
    }

    /// The peer took so many bytes.
    pub(super) fn sent(&mut self, bytes: usize, meters: &Meters) {
        self.listener.sent(bytes);
        self.sent += bytes as u64;
        let now = Instant::now();
        while let Some((end, mark)) = self.untaken.front() {
            if *end > self.sent {
                break;
            }
            meters.answered(mark, now);
            self.untaken.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_when_its_last_byte_was_taken() {
        let address = Address::Unix("/x".into());
        let meters = Meters::new(1, [&address].into_iter());
        let mut ledger = Ledger::new(meters.listener(0));
        let counts =
            || -> Vec<_> { meters.requests().iter().map(|one| (one.api, one.latency.count())).collect() };
        ledger.pushed(10, Mark::now(Some(ApiKey::Fetch)));
        ledger.pushed(5, Mark::now(Some(ApiKey::Produce)));
        ledger.pushed(5, Mark::now(None));
        ledger.sent(9, &meters);
        assert_eq!(counts(), []);
        ledger.sent(1, &meters);
        assert_eq!(counts(), [("Fetch", 1)]);
        ledger.sent(10, &meters);
        Ledger::done(&meters, Mark::now(Some(ApiKey::Produce)));
        assert_eq!(counts(), [("Produce", 2), ("Fetch", 1)]);
        assert!(ledger.untaken.is_empty());
        ledger.received(7);
        let present = meters.listener(0).enter();
        let open = |meters: &Meters| meters.listeners().iter().map(|one| one.open).sum::<i64>();
        assert_eq!(open(&meters), 1);
        drop(present);
        let facts = meters.listeners().remove(0);
        assert_eq!((facts.open, facts.accepted, facts.received, facts.sent), (0, 1, 7, 20));
        assert_eq!(facts.address, "unix:/x");
    }

    #[test]
    fn no_two_listeners_have_one_label() {
        let (unnamed, named) = (Address::Unix("".into()), Address::Unix("/x".into()));
        let meters = Meters::new(1, [&unnamed, &named, &unnamed, &unnamed].into_iter());
        let labels: Vec<_> = meters.listeners().into_iter().map(|one| one.address).collect();
        assert_eq!(labels, ["unix:", "unix:/x", "unix:#2", "unix:#3"]);
    }
}
