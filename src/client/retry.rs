//! What an error code asks for, and how long to pause, as pure functions; never waits by itself.

use super::{ClientError, ClientOptions};
use crate::wire::error::ErrorCode;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// What must be looked up anew before trying again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refresh {
    /// Nothing: the same broker may say something else in a moment.
    Nothing,
    /// Topics and leaders.
    Metadata,
    /// The group's coordinator.
    Coordinator,
}

/// What to look up anew after `code`, where trying again makes sense at all.
pub fn refresh_after(code: ErrorCode) -> Option<Refresh> {
    match code {
        ErrorCode::UNKNOWN_TOPIC_OR_PARTITION
        | ErrorCode::LEADER_NOT_AVAILABLE
        | ErrorCode::NOT_LEADER_OR_FOLLOWER
        | ErrorCode::REPLICA_NOT_AVAILABLE
        | ErrorCode::NOT_CONTROLLER
        | ErrorCode::KAFKA_STORAGE_ERROR
        | ErrorCode::LISTENER_NOT_FOUND
        | ErrorCode::FENCED_LEADER_EPOCH
        | ErrorCode::UNKNOWN_LEADER_EPOCH
        | ErrorCode::UNKNOWN_TOPIC_ID
        | ErrorCode::INCONSISTENT_TOPIC_ID => Some(Refresh::Metadata),
        ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR => Some(Refresh::Coordinator),
        other => other.retriable().then_some(Refresh::Nothing),
    }
}

/// What becomes of a batch after the broker's answer to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It is stored; also when it was stored by an attempt before this one.
    Stored,
    /// Send it again, in order.
    Again(Refresh),
    /// Too large as it is: as smaller batches, or not at all.
    Split,
    /// The broker does not know this producer any more: with a new epoch and sequences from 0.
    NewEpoch,
    /// It can not be stored.
    Fail,
}

/// The rule for one batch of an idempotent (or plain) producer. `first` says that no earlier batch of the
/// partition is without an answer: only then does a gap in the sequence mean that the broker lost something.
pub fn verdict(code: ErrorCode, first: bool) -> Verdict {
    match code {
        ErrorCode::NONE | ErrorCode::DUPLICATE_SEQUENCE_NUMBER => Verdict::Stored,
        ErrorCode::MESSAGE_TOO_LARGE => Verdict::Split,
        ErrorCode::OUT_OF_ORDER_SEQUENCE_NUMBER if !first => Verdict::Again(Refresh::Nothing),
        ErrorCode::UNKNOWN_PRODUCER_ID if !first => Verdict::Again(Refresh::Nothing),
        ErrorCode::UNKNOWN_PRODUCER_ID | ErrorCode::INVALID_PRODUCER_EPOCH => Verdict::NewEpoch,
        other => refresh_after(other).map_or(Verdict::Fail, Verdict::Again),
    }
}

/// A step of a transaction whose answer is an error code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// InitProducerId.
    Init,
    /// A batch.
    Produce,
    /// AddPartitionsToTxn, AddOffsetsToTxn.
    Add,
    /// TxnOffsetCommit.
    Offsets,
}

/// What an error code means for the transaction it came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The step is done.
    Done,
    /// The same again, after a look-up.
    Again(Refresh),
    /// The transaction can only be aborted.
    Abort,
    /// The producer is of no use any more: another has its transactional id, or it must not have it.
    Fatal,
}

/// The rule for the steps of a transaction other than its end. An epoch that is not the newest says only that the
/// broker moved on, by a time-out perhaps: whether to another producer, InitProducerId tells (KIP-588).
pub fn outcome(step: Step, code: ErrorCode) -> Outcome {
    match code {
        ErrorCode::NONE => Outcome::Done,
        ErrorCode::PRODUCER_FENCED | ErrorCode::TRANSACTIONAL_ID_AUTHORIZATION_FAILED => Outcome::Fatal,
        other => match (refresh_after(other), step) {
            (Some(refresh), _) => Outcome::Again(refresh),
            (None, Step::Init) => Outcome::Fatal,
            (None, _) => Outcome::Abort,
        },
    }
}

/// What the answer to EndTxn means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The transaction is ended as asked.
    Ended,
    /// The same again, after a look-up.
    Again(Refresh),
    /// It is not ended as asked, and was not before.
    Refused,
    /// It may have been ended as asked by an attempt before this one.
    Unknown,
    /// Another producer has the transactional id, or this one must not have it; it is not ended as asked.
    Fatal,
}

/// The rule for EndTxn. `uncertain` says that an earlier attempt of the same went without an answer. A broker that did
/// what it asked for says so again (`NONE`) as long as nobody else came; after that nobody can tell.
pub fn end(code: ErrorCode, uncertain: bool) -> End {
    match code {
        ErrorCode::NONE => End::Ended,
        ErrorCode::INVALID_TXN_STATE | ErrorCode::TRANSACTION_ABORTABLE => End::Refused,
        other => match (refresh_after(other), outcome(Step::Produce, other)) {
            (Some(refresh), _) => End::Again(refresh),
            _ if uncertain => End::Unknown,
            (None, Outcome::Fatal) => End::Fatal,
            (None, _) => End::Refused,
        },
    }
}

/// Whether a commit that is answered with `code` may come to be done all the same: the coordinator had written its
/// decision and could not make sure of it. Kafka answers so after a failed or late append, klog after a failed sync.
pub fn may_be_decided(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::COORDINATOR_NOT_AVAILABLE | ErrorCode::NOT_COORDINATOR)
}

/// The pause before attempt `attempt` (1 is the first retry): doubled each time up to `longest`, and spread by a
/// fifth either way with `drawn` from 0 to 1, so that clients do not come back all at once.
pub fn pause(attempt: u32, shortest: Duration, longest: Duration, drawn: f64) -> Duration {
    let doubled = shortest.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    doubled.mul_f64(0.8 + 0.4 * drawn.clamp(0.0, 1.0))
}

/// The markers of the transaction before are written within milliseconds.
const MARKERS: Duration = Duration::from_millis(20);

/// The first pause after an error: shorter where the broker only has to finish a transaction.
pub(super) fn shortest_pause(code: Option<ErrorCode>, shortest: Duration) -> Duration {
    match code {
        Some(ErrorCode::CONCURRENT_TRANSACTIONS) => shortest.min(MARKERS),
        _ => shortest,
    }
}

/// Attempts of one call, within its time.
pub(super) struct Attempts {
    made: u32,
    until: Instant,
    shortest: Duration,
    longest: Duration,
}

impl Attempts {
    /// Attempts for at most `limit` from now on.
    pub(super) fn within(limit: Duration, options: &ClientOptions) -> Self {
        let until = Instant::now() + limit;
        Self { made: 0, until, shortest: options.retry_backoff, longest: options.retry_backoff_max }
    }

    /// Pauses after a failure; gives the error back when another attempt is of no use or comes too late.
    pub(super) async fn after(&mut self, error: ClientError) -> Result<(), ClientError> {
        self.made += 1;
        let shortest = shortest_pause(error.code(), self.shortest);
        let pause = pause(self.made, shortest, self.longest, fastrand::f64());
        if !error.is_retriable() || Instant::now() + pause >= self.until {
            return Err(error);
        }
        sleep(pause).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_a_loss_only_for_the_first_in_line() {
        use ErrorCode as E;
        assert_eq!(verdict(E::OUT_OF_ORDER_SEQUENCE_NUMBER, true), Verdict::Fail);
        assert_eq!(verdict(E::OUT_OF_ORDER_SEQUENCE_NUMBER, false), Verdict::Again(Refresh::Nothing));
        assert_eq!(verdict(E::UNKNOWN_PRODUCER_ID, true), Verdict::NewEpoch);
        assert_eq!(verdict(E::UNKNOWN_PRODUCER_ID, false), Verdict::Again(Refresh::Nothing));
        assert_eq!(verdict(E::DUPLICATE_SEQUENCE_NUMBER, true), Verdict::Stored);
        assert_eq!(verdict(E::NOT_LEADER_OR_FOLLOWER, true), Verdict::Again(Refresh::Metadata));
        assert_eq!(verdict(E::MESSAGE_TOO_LARGE, true), Verdict::Split);
        assert_eq!(verdict(E::TOPIC_AUTHORIZATION_FAILED, true), Verdict::Fail);
        assert_eq!(verdict(ErrorCode(999), true), Verdict::Fail);
    }

    #[test]
    fn in_a_transaction_what_is_not_passing_leaves_only_the_abort() {
        use ErrorCode as E;
        for step in [Step::Init, Step::Produce, Step::Add, Step::Offsets] {
            assert_eq!(outcome(step, E::NONE), Outcome::Done);
            assert_eq!(outcome(step, E::PRODUCER_FENCED), Outcome::Fatal);
            assert_eq!(outcome(step, E::TRANSACTIONAL_ID_AUTHORIZATION_FAILED), Outcome::Fatal);
            assert_eq!(outcome(step, E::CONCURRENT_TRANSACTIONS), Outcome::Again(Refresh::Nothing));
            assert_eq!(outcome(step, E::NOT_COORDINATOR), Outcome::Again(Refresh::Coordinator));
            let bad = if step == Step::Init { Outcome::Fatal } else { Outcome::Abort };
            for code in [
                E::INVALID_PRODUCER_EPOCH,
                E::TRANSACTION_ABORTABLE,
                E::INVALID_TXN_STATE,
                E::INVALID_PRODUCER_ID_MAPPING,
                E::UNKNOWN_PRODUCER_ID,
                E::ILLEGAL_GENERATION,
                E::OUT_OF_ORDER_SEQUENCE_NUMBER,
                E(999),
            ] {
                assert_eq!(outcome(step, code), bad, "{step:?} {code}");
            }
        }
    }

    #[test]
    fn an_end_that_may_have_been_reached_before_is_unknown_and_never_refused() {
        use ErrorCode as E;
        for uncertain in [false, true] {
            assert_eq!(end(E::NONE, uncertain), End::Ended);
            assert_eq!(end(E::CONCURRENT_TRANSACTIONS, uncertain), End::Again(Refresh::Nothing));
            assert_eq!(end(E::COORDINATOR_NOT_AVAILABLE, uncertain), End::Again(Refresh::Coordinator));
            assert_eq!(end(E::INVALID_TXN_STATE, uncertain), End::Refused);
        }
        assert_eq!(end(E::INVALID_PRODUCER_EPOCH, false), End::Refused);
        assert_eq!(end(E::PRODUCER_FENCED, false), End::Fatal);
        for code in [E::INVALID_PRODUCER_EPOCH, E::PRODUCER_FENCED, E::INVALID_PRODUCER_ID_MAPPING, E(999)] {
            assert_eq!(end(code, true), End::Unknown, "{code}");
        }
    }

    #[test]
    fn whatever_kafka_calls_retriable_is_tried_again_and_nothing_else() {
        for &(code, name, retriable) in crate::wire::error::ERRORS {
            assert_eq!(refresh_after(code).is_some(), retriable, "{name}");
        }
    }

    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let plain = |attempt| pause(attempt, ms(100), ms(1000), 0.5);
        assert_eq!(
            (1..=6).map(plain).collect::<Vec<_>>(),
            [ms(100), ms(200), ms(400), ms(800), ms(1000), ms(1000)]
        );
        assert_eq!(pause(1, ms(100), ms(1000), 0.0), ms(80));
        assert_eq!(pause(9, ms(100), ms(1000), 1.0), ms(1200));
        assert_eq!(pause(u32::MAX, ms(0), ms(1000), 1.0), ms(0));
    }
}
