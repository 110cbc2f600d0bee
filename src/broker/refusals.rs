//! Which refusals the log tells of, so that nobody fills the disk by asking in vain; it never decides what is refused.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::access::Denied;

/// How long the same refusal is not told again.
const QUIET: Duration = Duration::from_secs(10);
/// Refusals that are remembered: no more lines than that are written within [`QUIET`].
const KEPT: usize = 256;

/// One that was told.
#[derive(Debug, Clone, Copy)]
struct Told {
    at: Duration,
    /// How often it came since.
    since: u64,
}

/// The refusals told of late.
///
/// Locks: one, held for a look at the table.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    hasher: RandomState,
    told: Mutex<HashMap<u64, Told>>,
}

impl Refusals {
    /// Whether the log is to tell of a refusal at `now` of the monotonic clock: how often the same came untold since it
    /// was told last, or nothing where it is not its time.
    pub(super) fn tell(&self, denied: &Denied, now: Duration) -> Option<u64> {
        let key = self.hasher.hash_one((
            &denied.principal,
            denied.operation.code(),
            denied.resource.code(),
            &denied.name,
        ));
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(one) = told.get_mut(&key) {
            if now.saturating_sub(one.at) < QUIET {
                one.since = one.since.saturating_add(1);
                return None;
            }
            let since = one.since;
            *one = Told { at: now, since: 0 };
            return Some(since);
        }
        if told.len() >= KEPT {
            told.retain(|_, one| now.saturating_sub(one.at) < QUIET);
        }
        if told.len() >= KEPT {
            return None;
        }
        told.insert(key, Told { at: now, since: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::acl::{Operation, ResourceType};

    fn denied(name: &str, operation: Operation) -> Denied {
        let (principal, resource) = ("User:a".to_owned(), ResourceType::Topic);
        Denied { principal, operation, resource, name: name.to_owned() }
    }

    #[test]
    fn the_same_refusal_is_told_now_and_then() {
        let refusals = Refusals::default();
        let at = |seconds| refusals.tell(&denied("t", Operation::Read), Duration::from_secs(seconds));
        assert_eq!(
            (at(1), at(1), at(10), at(11), at(12), at(30)),
            (Some(0), None, None, Some(2), None, Some(1))
        );
        assert_eq!(refusals.tell(&denied("u", Operation::Read), Duration::from_secs(30)), Some(0));
        assert_eq!(refusals.tell(&denied("t", Operation::Write), Duration::from_secs(30)), Some(0));
    }

    #[test]
    fn names_made_up_fill_neither_memory_nor_log() {
        let refusals = Refusals::default();
        let tell = |name: usize, seconds| {
            refusals.tell(&denied(&name.to_string(), Operation::Read), Duration::from_secs(seconds)).is_some()
        };
        assert_eq!((0..10_000).filter(|name| tell(*name, 0)).count(), KEPT);
        assert_eq!(refusals.told.lock().unwrap().len(), KEPT);
        assert!(tell(20_000, 10));
        assert_eq!(refusals.told.lock().unwrap().len(), 1);
    }
}
