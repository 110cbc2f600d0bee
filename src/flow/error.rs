//! What ends a run that should have gone on, as facts.

use std::io;

use crate::client::ClientError;

/// What ends a run.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The broker, or the way to it.
    #[error("{0}")]
    Client(#[from] ClientError),
    /// A record that a step can not work on, where that is to stop the pipeline.
    #[error("record {at} is bad: step {step}: {reason}")]
    Bad {
        /// Topic, partition and offset (`sales-0@7`), or the line of stdin.
        at: String,
        /// The step's name.
        step: String,
        /// What is wrong.
        reason: String,
    },
    /// A dead letter that its topic does not take.
    #[error("record {at} is bad and too large for the dead-letter topic {topic}: {reason}")]
    DeadLetter {
        /// As in [`FlowError::Bad`].
        at: String,
        /// The topic.
        topic: String,
        /// Why it is bad.
        reason: String,
    },
    /// Everything was carried, but the group did not keep the position.
    #[error("the position could not be kept: {0}")]
    NotCommitted(ClientError),
    /// No topic to read.
    #[error("no topic {0}")]
    NoTopic(String),
    /// No topic that a pattern means.
    #[error("no topic matches")]
    NoMatch,
    /// Stdin or stdout.
    #[error("can't {doing}: {error}")]
    Stream {
        /// Reading stdin, writing stdout.
        doing: &'static str,
        /// What the system says.
        error: io::Error,
    },
    /// A line of stdin longer than klog takes.
    #[error("line {line} of stdin is longer than {limit} bytes")]
    LongLine {
        /// Which, from 1.
        line: u64,
        /// How long a line may be.
        limit: usize,
    },
    /// A thread could not be started.
    #[error("can't start a worker: {0}")]
    Thread(io::Error),
    /// A worker ended by itself: a fault of klog's.
    #[error("a worker thread failed, which is a fault in klog: please report it with the lines above")]
    Worker,
}
