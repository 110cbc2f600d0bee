//! `klog produce --txn`: the input, or pieces of it, in transactions; must never commit what had an error, nor say of
//! records that they are safe before they are committed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::Args;
use super::plan::Plan;
use super::pump::Pump;
use crate::cli::context::Context;
use crate::cli::exit::Failure;
use crate::cli::signals::Signals;
use crate::client::producer::DEFAULT_TIMEOUT;
use crate::client::{ClientError, ClientOptions};
use crate::model::units::{parse_duration, show_duration};

/// How long a transaction of all the input may be open where nothing else is said: what brokers allow at most by
/// default.
const WHOLE: Duration = Duration::from_secs(15 * 60);
/// How long an abort or a commit is waited for after a signal.
const AFTER_SIGNAL: Duration = Duration::from_secs(5);
/// Kafka's codes of what a transaction meets that was open for too long, or whose id another producer took.
const OUTLIVED: [i16; 3] = [47, 48, 90];
/// Kafka's code for a time-out that the broker does not allow.
const INVALID_TRANSACTION_TIMEOUT: i16 = 50;

/// How the input is cut into transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Every {
    /// All of it is one.
    Input,
    /// So many records each.
    Records(u64),
    /// Those that came within so long each.
    Time(Duration),
}

/// The transactions of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Transactions {
    pub(super) id: String,
    pub(super) every: Every,
    /// After so long the broker aborts one.
    pub(super) timeout: Duration,
}

impl Transactions {
    /// What the flags ask for; nothing where they ask for none. The options get the time-out.
    pub(super) fn new(args: &Args, options: &mut ClientOptions) -> Result<Option<Self>, Failure> {
        if args.txn.is_none() && args.txn_every.is_none() {
            return match &args.txn_timeout {
                None => Ok(None),
                Some(_) => {
                    Err(Failure::usage("--txn-timeout: there is no transaction", "give --txn as well"))
                }
            };
        }
        let next = "see: klog produce --help";
        let every = match args.txn_every.as_deref() {
            None => Every::Input,
            Some(text) => every(text).map_err(|why| Failure::usage(format!("--txn-every: {why}"), next))?,
        };
        if let Some(text) = &args.txn_timeout {
            let timeout = parse_duration(text).map_err(|why| {
                Failure::usage(format!("--txn-timeout {text}: {why}"), "such as 90s or 15m")
            })?;
            if timeout.is_zero() || timeout.as_millis() > i32::MAX as u128 {
                return Err(Failure::usage(format!("--txn-timeout {text}: allowed are 1ms to 24d"), next));
            }
            options.transaction_timeout = Some(timeout);
        }
        let timeout = options.transaction_timeout.unwrap_or(match every {
            Every::Input => WHOLE,
            Every::Records(_) => DEFAULT_TIMEOUT,
            Every::Time(long) => long.saturating_mul(2).clamp(DEFAULT_TIMEOUT, WHOLE),
        });
        if let Every::Time(long) = every
            && long >= timeout
        {
            let open = show_duration(timeout);
            let what = format!("--txn-every {}: a transaction may be open for {open}", show_duration(long));
            return Err(Failure::usage(what, "take less, or allow more with --txn-timeout"));
        }
        options.transaction_timeout = Some(timeout);
        let id = args.txn.clone().filter(|id| !id.is_empty());
        let id = id.unwrap_or_else(|| format!("klog-{:032x}", fastrand::u128(..)));
        Ok(Some(Self { id, every, timeout }))
    }
}

/// `1000` records, or `5s`.
fn every(text: &str) -> Result<Every, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let count = text.parse().map_err(|_| format!("{text} is too large"))?;
        return if count == 0 {
            Err("0 records are no transaction".to_owned())
        } else {
            Ok(Every::Records(count))
        };
    }
    let long = parse_duration(text)
        .map_err(|_| format!("{text:?} is neither a number of records nor a time such as 5s"))?;
    if long.is_zero() { Err("a transaction needs some time".to_owned()) } else { Ok(Every::Time(long)) }
}

/// When the transaction in hand is to be committed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    /// With so many records pushed since the beginning of the run.
    pub(super) records: u64,
    /// At this time.
    pub(super) at: Option<Instant>,
}

impl Due {
    /// At the end of the input.
    pub(super) const NEVER: Self = Self { records: u64::MAX, at: None };
}

impl Pump<'_> {
    /// Begins the next transaction, where the run has any.
    pub(super) fn begin(&mut self) -> Result<(), Failure> {
        let Some(txn) = &self.plan.txn else { return Ok(()) };
        let records = match txn.every {
            Every::Records(count) => self.producer.pushed().saturating_add(count),
            Every::Input | Every::Time(_) => u64::MAX,
        };
        self.due = Due { records, at: None };
        self.producer.begin().map_err(|error| self.explain(&error))
    }

    /// Notes that records were pushed: the time of their transaction runs from the first on.
    pub(super) fn note_time(&mut self) {
        let begun = self.due.at.is_some() || self.producer.pushed() <= self.committed;
        if let Some(Every::Time(long)) = self.plan.txn.as_ref().map(|txn| txn.every).filter(|_| !begun) {
            self.due.at = Some(Instant::now() + long);
        }
    }

    /// Commits the transaction in hand where it is due, and begins the next.
    pub(super) async fn turn(&mut self, signals: &Signals) -> Result<(), Failure> {
        self.note_time();
        let late = self.due.at.is_some_and(|at| at <= Instant::now());
        if self.producer.pushed() < self.due.records && !late {
            return Ok(());
        }
        self.commit(signals).await?;
        self.begin()
    }

    fn is_whole(&self) -> bool {
        self.plan.txn.as_ref().is_some_and(|txn| txn.every == Every::Input)
    }

    /// Commits the transaction in hand.
    async fn commit(&mut self, signals: &Signals) -> Result<(), Failure> {
        let whole = self.is_whole();
        let flushed = tokio::select! {
            biased;
            _ = signals.wait(), if whole => Err(stopped()),
            flushed = self.flush() => flushed,
        };
        flushed?;
        let last = "it takes too long after a signal".to_owned();
        let done = tokio::select! {
            biased;
            done = self.producer.commit() => done,
            () = after_signal(signals) => Err(ClientError::CommitUnknown { id: self.id(), last }),
        };
        self.committed = self.producer.pushed();
        done.map_err(|error| {
            self.unknown = matches!(error, ClientError::CommitUnknown { .. });
            self.explain(&error)
        })
    }

    fn id(&self) -> String {
        self.plan.txn.as_ref().map(|txn| txn.id.clone()).unwrap_or_default()
    }

    /// Ends the last transaction: commits it where the input ended well, aborts it otherwise.
    pub(super) async fn end(&mut self, read: Result<(), Failure>, signals: &Signals) -> Result<(), Failure> {
        let failure = match read {
            Err(failure) => failure,
            Ok(()) if self.is_whole() && signals.received().is_some() => stopped(),
            Ok(()) => match self.commit(signals).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            },
        };
        let fate = self.fate(signals).await;
        let next = if failure.next.is_empty() { fate } else { format!("{fate}; {}", failure.next) };
        Err(Failure { next, ..failure })
    }

    /// Aborts what is open, and says what became of the records.
    async fn fate(&mut self, signals: &Signals) -> String {
        let id = self.id();
        if self.unknown {
            let done = self.producer.progress();
            let sure = format!("{} of {} records are committed for sure", done.committed, done.pushed);
            return format!("{sure}; what became of the transaction says: klog txn describe {id}");
        }
        let aborted = tokio::select! {
            biased;
            aborted = self.producer.abort() => aborted.map_err(|error| (error.code(), error.to_string())),
            () = after_signal(signals) => Err((None, "it takes too long after a signal".to_owned())),
        };
        let done = self.producer.progress();
        let kept = match done.committed {
            0 => format!("none of {} records is committed", done.pushed),
            some => format!("{some} of {} records are committed", done.pushed),
        };
        match aborted {
            Ok(()) => format!("{kept}: transaction {id} is aborted"),
            Err((Some(code), _)) if OUTLIVED.contains(&code.code()) => {
                format!("{kept}: the broker has ended transaction {id}")
            }
            Err((_, why)) => {
                let timeout = self.plan.txn.as_ref().map_or(DEFAULT_TIMEOUT, |txn| txn.timeout);
                let after = show_duration(timeout);
                format!(
                    "{kept}; transaction {id} is not aborted yet ({why}): the broker does it after {after}"
                )
            }
        }
    }

    /// An error of a producer of transactions.
    pub(super) fn explain_transaction(&self, error: &ClientError) -> Failure {
        refused(self.context, &self.plan, error)
    }
}

/// An error of the producer; of one of transactions with what may have led to it.
pub(super) fn refused(context: &Context, plan: &Plan, error: &ClientError) -> Failure {
    let failure = plan.explain(context, error);
    let Some(txn) = &plan.txn else { return failure };
    let timeout = show_duration(txn.timeout);
    let next = match error.code().map(|code| code.code()) {
        Some(code) if OUTLIVED.contains(&code) => format!(
            "another producer took over {}, or a transaction was open for longer than {timeout} (--txn-timeout)",
            txn.id
        ),
        Some(INVALID_TRANSACTION_TIMEOUT) => format!(
            "it is {timeout}; give a time up to the broker's transaction.max.timeout.ms with --txn-timeout"
        ),
        _ => return failure,
    };
    Failure { next, ..failure }
}

fn stopped() -> Failure {
    Failure::failed("stopped by a signal before the input was committed", "")
}

async fn after_signal(signals: &Signals) {
    signals.wait().await;
    sleep(AFTER_SIGNAL).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_by_records_or_by_time() {
        assert_eq!(every("1000"), Ok(Every::Records(1000)));
        assert_eq!(every("5s"), Ok(Every::Time(Duration::from_secs(5))));
        for text in ["", "0", "0s", "x", "-1", "99999999999999999999"] {
            assert!(every(text).is_err(), "{text}");
        }
    }
}
