//! A broker as a value over the simulated disk, which ends and begins again: power cuts, kills, broken syncs and writes, a full
//! disk, flipped bits, clocks that jump. Clients reach it through a carrier that may lose answers.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use klog::broker::api::{self, Outcome, Part, Reply};
use klog::broker::settings::Settings;
use klog::broker::{Broker, BrokerOptions, Peer};
use klog::model::time::Clock;
use klog::record::{Batch, HEADER_LEN};
use klog::storage::disk::{Disk, Mode, read_exact_at};
use klog::storage::sim::SimDisk;
use klog::wire::frame;
use tokio::sync::watch;

use crate::carrier::{Carrier, Later};
use crate::history::Log;
use crate::layers::{Hand, Layer};
use crate::world::logs;

const NOW: i64 = 1_700_000_000_000;

/// A clock that runs as the machine's does and jumps on command.
pub(crate) struct JumpingClock {
    began: Instant,
    ahead: Mutex<Duration>,
    wall_offset_ms: AtomicI64,
}

impl JumpingClock {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            began: Instant::now(),
            ahead: Mutex::new(Duration::ZERO),
            wall_offset_ms: AtomicI64::new(NOW),
        })
    }

    /// Time that the machine slept: both clocks are later.
    pub(crate) fn skip(&self, time: Duration) {
        *self.ahead.lock().unwrap() += time;
    }

    /// The wall clock alone is set, forward or backward.
    pub(crate) fn set_off(&self, ms: i64) {
        self.wall_offset_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for JumpingClock {
    fn wall_ms(&self) -> i64 {
        self.wall_offset_ms.load(Ordering::SeqCst) + i64::try_from(self.monotonic().as_millis()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        self.began.elapsed() + *self.ahead.lock().unwrap()
    }
}

/// One life of the broker.
struct Life {
    number: u64,
    broker: Arc<Broker>,
}

/// How a life ends.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// The power goes within that many steps of the disk.
    PowerCut(u64),
    /// `kill -9`, within that many steps of the disk.
    Kill(u64),
    Restart,
}

pub(crate) struct Node {
    pub(crate) disk: Arc<SimDisk>,
    layer: Arc<dyn Disk>,
    pub(crate) clock: Arc<JumpingClock>,
    settings: Settings,
    life: watch::Sender<Option<Arc<Life>>>,
    /// Of how many calls one loses its answer; 0 for none.
    lossy: AtomicU64,
    draws: Mutex<fastrand::Rng>,
}

impl Node {
    pub(crate) fn new(seed: u64, settings: &[(&str, &str)], hand: Arc<dyn Hand>) -> Arc<Self> {
        let disk = SimDisk::new(seed);
        let node = Self {
            layer: Layer::over(Arc::clone(&disk) as _, hand),
            disk,
            clock: JumpingClock::new(),
            settings: Settings::parse(settings.iter().copied()).unwrap(),
            life: watch::Sender::new(None),
            lossy: AtomicU64::new(0),
            draws: Mutex::new(fastrand::Rng::with_seed(seed)),
        };
        node.begin_life(1);
        Arc::new(node)
    }

    fn begin_life(&self, number: u64) {
        let options = BrokerOptions {
            settings: self.settings.clone(),
            seed: Some(self.draw() ^ number),
            ..BrokerOptions::new("/data")
        };
        let broker = Broker::open(options, Arc::clone(&self.layer), Arc::clone(&self.clock) as _);
        let broker = broker.expect("the broker does not come up again");
        tokio::spawn(Arc::clone(&broker).tasks());
        self.life.send_replace(Some(Arc::new(Life { number, broker })));
    }

    fn draw(&self) -> u64 {
        self.draws.lock().unwrap().u64(..)
    }

    pub(crate) fn lose_one_answer_of(&self, calls: u64) {
        self.lossy.store(calls, Ordering::SeqCst);
    }

    /// Ends the broker's life and begins the next.
    pub(crate) async fn end(&self, end: End) {
        let life = self.life.borrow().clone().unwrap();
        let number = life.number + 1;
        match end {
            End::Restart => {
                // A disk that failed makes this an unclean end; it is one all the same.
                let _ = life.broker.close().await;
                self.life.send_replace(None);
                self.disk.set_capacity(None);
                self.disk.kill();
            }
            End::PowerCut(steps) | End::Kill(steps) => {
                self.disk.cut_power_at(self.disk.steps() + steps);
                let deadline = Instant::now() + Duration::from_millis(30);
                while !self.disk.is_off() && Instant::now() < deadline {
                    tokio::time::sleep(Duration::from_micros(500)).await;
                }
                while !self.disk.is_off() {
                    let _ =
                        self.disk.open(&PathBuf::from(format!("/step-{}", self.disk.steps())), Mode::Create);
                }
                self.life.send_replace(None);
                // Its threads end; the disk takes nothing from it any more.
                let _ = life.broker.close().await;
                self.disk.set_capacity(None);
                match end {
                    End::PowerCut(_) => self.disk.restart(),
                    _ => self.disk.power_on_as_killed(),
                }
            }
        }
        drop(life);
        self.begin_life(number);
    }

    /// Ends the broker's last life: its threads end too.
    pub(crate) async fn close(&self) {
        let life = self.life.borrow().clone();
        if let Some(life) = life {
            let _ = life.broker.close().await;
        }
        self.life.send_replace(None);
    }

    /// Flips a bit inside the batches of a closed segment; answers which records it was in.
    pub(crate) fn rot(&self) -> Option<(Log, std::ops::Range<i64>)> {
        let mut draws = self.draws.lock().unwrap();
        let all = logs();
        let log = *draws.choice(&all)?;
        let folder = PathBuf::from(format!("/data/{}-{}", log.topic, log.partition));
        let mut segments = segments(&*self.disk, &folder);
        segments.pop();
        let path = draws.choice(&segments)?.clone();
        let bytes = self.disk.content(&path)?;
        let mut rest = bytes.as_slice();
        let mut data = Vec::new();
        while let Ok(Some((batch, behind))) = Batch::split_first(rest) {
            let header = batch.header();
            if !header.is_control() {
                data.push((bytes.len() - rest.len(), header));
            }
            rest = behind;
        }
        let (at, header) = draws.choice(&data)?;
        // In the records: a header that says other offsets would be another fault.
        let byte = at + draws.usize(HEADER_LEN..header.size());
        self.disk.flip_bit(&path, byte, draws.u8(0..8));
        Some((log, header.base_offset..header.next_offset()))
    }
}

/// The segments of a partition, in order.
pub(crate) fn segments(disk: &dyn Disk, folder: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> =
        disk.list(folder).unwrap_or_default().into_iter().map(|entry| entry.name).collect();
    names.retain(|name| name.ends_with(".log"));
    names.sort();
    names.into_iter().map(|name| folder.join(name)).collect()
}

async fn is_over(lives: &mut watch::Receiver<Option<Arc<Life>>>, number: u64) {
    let other = |life: &Option<Arc<Life>>| life.as_ref().is_none_or(|life| life.number != number);
    let _ = lives.wait_for(other).await;
}

fn joined(reply: &Reply) -> Option<Bytes> {
    let mut bytes = Vec::new();
    for part in &reply.parts {
        match part {
            Part::Bytes(part) => bytes.extend_from_slice(part),
            Part::File { file, position, len } => {
                let start = bytes.len();
                bytes.resize(start + len, 0);
                // A server closes the connection when the disk does not give what was planned.
                read_exact_at(&**file, &mut bytes[start..], *position).ok()?;
            }
        }
    }
    Some(bytes.into())
}

fn nothing() -> Later {
    Box::pin(std::future::ready(None))
}

impl Carrier for Node {
    fn begin(&self, frame: Bytes) -> Pin<Box<dyn Future<Output = Later> + Send + '_>> {
        Box::pin(async move {
            let mut lives = self.life.subscribe();
            let Ok(life) = lives.wait_for(Option::is_some).await.map(|life| life.clone()) else {
                return nothing();
            };
            let Some(life) = life else { return nothing() };
            let lossy = self.lossy.load(Ordering::SeqCst);
            let lost = lossy > 0 && self.draw().is_multiple_of(lossy);
            let (header, body) = frame::split_request(frame).unwrap();
            let peer = Peer::new(false, ("127.0.0.1".to_owned(), 9092), "/127.0.0.1");
            let number = life.number;
            let outcome = tokio::select! {
                biased;
                () = is_over(&mut lives, number) => return nothing(),
                outcome = api::call(&life.broker, &peer, &header, body) => outcome,
            };
            drop(life);
            match outcome {
                Outcome::Reply(reply) | Outcome::Last(reply, _) => {
                    let bytes = joined(&reply).filter(|_| !lost);
                    Box::pin(std::future::ready(bytes))
                }
                Outcome::Later(later) => Box::pin(async move {
                    let reply = tokio::select! {
                        biased;
                        () = is_over(&mut lives, number) => return None,
                        reply = later => reply,
                    };
                    joined(&reply).filter(|_| !lost)
                }),
                Outcome::None | Outcome::Close(_) => nothing(),
            }
        })
    }
}
