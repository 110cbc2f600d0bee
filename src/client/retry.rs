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

/// The pause before attempt `attempt` (1 is the first retry): doubled each time up to `longest`, and spread by a
/// fifth either way with `drawn` from 0 to 1, so that clients do not come back all at once.
pub fn pause(attempt: u32, shortest: Duration, longest: Duration, drawn: f64) -> Duration {
    let doubled = shortest.saturating_mul(1 << attempt.saturating_sub(1).min(16)).min(longest);
    doubled.mul_f64(0.8 + 0.4 * drawn.clamp(0.0, 1.0))
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
        let pause = pause(self.made, self.shortest, self.longest, fastrand::f64());
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
