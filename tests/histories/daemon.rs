//! Histories over the daemon itself, on this machine's disk: it is killed with SIGKILL and stopped for seconds, clients reach it
//! through its socket.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::carrier::{Carrier, Later};
use crate::check::{self, Finding};
use crate::history::{Kind, Op};
use crate::simulated::{SETTINGS, rules};
use crate::world::{Client, World};
use crate::{members, producers, readers, transactions};

struct Daemon {
    data: PathBuf,
    process: Child,
}

impl Daemon {
    fn start(data: &Path) -> Self {
        let log =
            std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_klog"));
        let settings = data.with_extension("properties");
        let lines: String = SETTINGS.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        std::fs::write(&settings, lines).unwrap();
        command.arg("--data").arg(data).arg("--config").arg(settings);
        command.args(["broker", "run"]).env("KLOG_AUTOSTART", "0");
        for name in ["KLOG_BROKER", "KLOG_DATA", "KLOG_PROFILE", "KLOG_CONFIG"] {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        Self { data: data.to_owned(), process: command.spawn().unwrap() }
    }

    /// Waits until it takes connections.
    async fn ready(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::os::unix::net::UnixStream::connect(socket(&self.data)).is_err() {
            let ended = self.process.try_wait().unwrap();
            let log = || std::fs::read_to_string(self.data.with_extension("log")).unwrap();
            assert!(ended.is_none(), "the daemon ended: {}", log());
            assert!(Instant::now() < deadline, "the daemon is not ready: {}", log());
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.process.id()).unwrap()), signal).unwrap();
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn socket(data: &Path) -> PathBuf {
    data.join("klog.sock")
}

/// One client's connection, made anew when it breaks.
struct Socket {
    path: PathBuf,
    open: tokio::sync::Mutex<Option<Open>>,
}

struct Open {
    write: OwnedWriteHalf,
    /// Who waits for the next answers, in order.
    waiting: mpsc::UnboundedSender<oneshot::Sender<Bytes>>,
}

/// Hands answers to those who wait; what is left when the connection breaks is dropped, which they see.
async fn hand_out(mut read: OwnedReadHalf, mut waiting: mpsc::UnboundedReceiver<oneshot::Sender<Bytes>>) {
    loop {
        let Ok(length) = read.read_u32().await else { return };
        let mut bytes = vec![0; length as usize];
        if read.read_exact(&mut bytes).await.is_err() {
            return;
        }
        let Some(told) = waiting.recv().await else { return };
        let _ = told.send(bytes.into());
    }
}

impl Open {
    async fn dial(path: &Path) -> Option<Self> {
        let (read, write) = UnixStream::connect(path).await.ok()?.into_split();
        let (waiting, wait) = mpsc::unbounded_channel();
        tokio::spawn(hand_out(read, wait));
        Some(Self { write, waiting })
    }

    async fn send(&mut self, frame: &Bytes) -> Option<oneshot::Receiver<Bytes>> {
        let (tell, told) = oneshot::channel();
        self.waiting.send(tell).ok()?;
        self.write.write_u32(u32::try_from(frame.len()).unwrap()).await.ok()?;
        self.write.write_all(frame).await.ok()?;
        Some(told)
    }
}

impl Carrier for Socket {
    fn begin(&self, frame: Bytes) -> Pin<Box<dyn Future<Output = Later> + Send + '_>> {
        Box::pin(async move {
            // Held over awaits: requests of one client go out one after the other.
            let mut open = self.open.lock().await;
            if open.is_none() {
                *open = Open::dial(&self.path).await;
            }
            let told = match open.as_mut() {
                Some(open) => open.send(&frame).await,
                None => None,
            };
            match told {
                Some(told) => Box::pin(async move { told.await.ok() }),
                None => {
                    *open = None;
                    Box::pin(std::future::ready(None)) as Later
                }
            }
        })
    }
}

/// Plays `rounds` of faults as one history.
pub(crate) fn play(seed: u64, rounds: u64) -> (Vec<Op>, Vec<Finding>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let history = runtime.block_on(tell(seed, rounds));
    let findings = check::check(&history, &rules());
    (history, findings)
}

async fn tell(seed: u64, rounds: u64) -> Vec<Op> {
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let mut daemon = Daemon::start(&data);
    daemon.ready().await;
    let path = socket(&data);
    let dial = move || Arc::new(Socket { path: path.clone(), open: tokio::sync::Mutex::default() }) as _;
    let wall = || i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap();
    let world = World::new(dial, wall, Duration::from_millis(10));
    world.make_topics(random.i64(100..2000)).await;
    let mut clients = JoinSet::new();
    for number in 0..2 {
        clients.spawn(producers::idempotent(Client::new(&world, seed)));
        clients.spawn(members::member(Client::new(&world, seed), "readers"));
        clients.spawn(transactions::writer(Client::new(&world, seed), number));
        clients.spawn(transactions::worker(Client::new(&world, seed), number + 2, "workers"));
    }
    clients.spawn(producers::plain(Client::new(&world, seed)));
    for committed in [false, true] {
        clients.spawn(readers::follow(Client::new(&world, seed), committed));
    }
    for _ in 0..rounds {
        tokio::time::sleep(Duration::from_millis(random.u64(20..400))).await;
        if random.u8(0..5) == 0 {
            let stop = Duration::from_millis(random.u64(100..2500));
            world.recorder.note(Kind::Fault { what: format!("stopped for {stop:?}"), tears: false });
            daemon.signal(Signal::SIGSTOP);
            tokio::time::sleep(stop).await;
            daemon.signal(Signal::SIGCONT);
        }
        world.recorder.note(Kind::Fault { what: "killed".to_owned(), tears: false });
        daemon.kill();
        daemon = Daemon::start(&data);
        daemon.ready().await;
    }
    world.stop.store(true, Ordering::SeqCst);
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    daemon.kill();
    daemon = Daemon::start(&data);
    daemon.ready().await;
    transactions::end_all(Client::new(&world, seed), 0..4).await;
    readers::read_to_the_end(Client::new(&world, seed)).await;
    members::last_positions(Client::new(&world, seed), "readers", &["in", "out"]).await;
    members::last_positions(Client::new(&world, seed), "workers", &["in"]).await;
    world.recorder.history()
}
