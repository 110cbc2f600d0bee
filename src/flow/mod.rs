//! What runs: sources and sinks, and the runner that carries records through a pipeline and keeps its position.
//!
//! One task of the caller's runtime does all the talking: it hands fetched chunks to worker threads, one for each
//! partition's share, pushes what comes back, and commits positions once everything pushed before is acknowledged.
//! Workers own nothing that is shared but the pipeline, which nobody changes.

mod block;
mod error;
mod group;
pub mod ledger;
mod runner;
mod source;
mod stdin;
mod take;
mod together;
mod worker;

use std::future::Future;
use std::io;
use std::time::Duration;

use tokio::sync::watch;

use crate::client::Client;
use crate::client::patterns::Patterns;
use crate::pipeline::{OnError, Pipeline};

pub use error::FlowError;

/// How long a run may take to finish once it was told to stop.
const FINISHING: Duration = Duration::from_secs(10);

/// What is to be run.
#[derive(Debug)]
pub struct Job {
    /// The steps.
    pub pipeline: Pipeline,
    /// Where records come from.
    pub source: Source,
    /// The group that keeps the position; not used for stdin.
    pub group: String,
    /// End when everything that is there now was carried, instead of following.
    pub once: bool,
    /// What comes of records and the positions behind them are committed together, in transactions: from topics to
    /// topics only.
    pub exactly_once: bool,
    /// What becomes of bad records.
    pub on_error: OnError,
    /// Worker threads at most; 0 is one for each core.
    pub threads: usize,
}

/// Where records come from.
#[derive(Debug)]
pub enum Source {
    /// These topics.
    Topics(Vec<String>),
    /// Topics by pattern, new ones too.
    Patterns(Patterns),
    /// Lines of stdin.
    Stdin,
}

/// Why a run ended well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything asked for was carried.
    Complete,
    /// It was told to stop.
    Stopped,
    /// The reader of stdout left.
    HangUp,
}

/// What was done, in records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken from the source.
    pub read: u64,
    /// Their keys and values, in bytes.
    pub read_bytes: u64,
    /// Put into the sinks, dead letters aside.
    pub written: u64,
    /// Bad ones, skipped or sent to the dead-letter topic.
    pub bad: u64,
    /// The first bad one: where it lies and what is wrong.
    pub first_bad: Option<String>,
    /// Records between the positions and the ends of the partitions, as far as they are known.
    pub lag: u64,
}

/// The command that runs a flow, as the flow sees it.
pub trait Host {
    /// Something its user should know: one line.
    fn notice(&mut self, text: &str);
    /// Something its user may want to know: one line.
    fn detail(&mut self, text: &str);
    /// How far it is; called often.
    fn progress(&mut self, counts: &Counts);
}

/// Stdout, as a sink of lines: never blocks, and knows what its reader took.
pub trait Lines {
    /// Where lines are appended.
    fn buffer(&mut self) -> &mut Vec<u8>;
    /// Writes what waits, as far as it goes without blocking.
    ///
    /// # Errors
    /// What the system says.
    fn push(&mut self) -> io::Result<()>;
    /// Bytes that wait to be written.
    fn waiting(&self) -> usize;
    /// All bytes so far, written or waiting.
    fn end(&self) -> u64;
    /// Bytes that the reader took.
    fn delivered(&self) -> u64;
    /// Whether the reader is gone.
    fn is_closed(&self) -> bool;
    /// Returns once more can be written.
    fn writable(&self) -> impl Future<Output = io::Result<()>>;
    /// Returns once the reader is gone.
    fn hung_up(&self) -> impl Future<Output = ()>;
}

/// Runs a job until its source ends, `stop` is done, or something fails that no retry mends. Needs a runtime of the
/// current thread. `lines` is where records for stdout go; `None` where the pipeline has no such sink.
///
/// # Errors
/// [`FlowError`]; everything before what failed was carried, acknowledged and committed, as far as that was possible.
pub async fn run<L: Lines, H: Host>(
    client: &Client,
    job: Job,
    stop: impl Future<Output = ()>,
    lines: Option<L>,
    host: &mut H,
) -> Result<(End, Counts), FlowError> {
    let mut stop = std::pin::pin!(stop);
    let (tell, told) = watch::channel(false);
    let mut work = Box::pin(async {
        match runner::Runner::new(client, job, lines, &mut *host, told).await? {
            Some(runner) => Box::pin(runner.run()).await,
            None => Ok((End::HangUp, Counts::default())),
        }
    });
    tokio::select! {
        biased;
        () = &mut stop => {}
        outcome = &mut work => return outcome,
    }
    // It finishes what is in hand; a broker that answers nothing is not waited for without end. Nothing is committed
    // then: what was half done is done again by the next run.
    let _ = tell.send(true);
    let outcome = tokio::time::timeout(FINISHING, &mut work).await;
    drop(work);
    outcome.unwrap_or_else(|_| {
        host.notice("the broker acknowledges nothing; what it has not is carried again by the next run");
        Ok((End::Stopped, Counts::default()))
    })
}
