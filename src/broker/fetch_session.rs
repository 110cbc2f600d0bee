//! Incremental fetch sessions (KIP-227): what a consumer last asked for and was last told, so that both sides only say
//! what changed; a session holds no data and may be dropped at any time.
//!
//! Locks: `all` guards which sessions there are; each session has a lock of its own, held while one request is merged
//! or one answer is pared down.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::model::id::TopicId;

/// A topic within a session: by id from Fetch 13 on, before by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum TopicKey {
    /// By name.
    Name(Arc<str>),
    /// By id.
    Id(TopicId),
}

/// What a consumer asks of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Wanted {
    /// From this offset on.
    pub(super) offset: i64,
    /// At most so many bytes.
    pub(super) max_bytes: i32,
    /// The leader epoch the consumer knows, -1 for none.
    pub(super) current_leader_epoch: i32,
    /// The epoch of the last record the consumer has, -1 for none.
    pub(super) last_fetched_epoch: i32,
}

/// What a consumer was last told of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Told {
    high_watermark: i64,
    log_start: i64,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    /// Places of all sessions, this one's among them.
    places: Arc<AtomicUsize>,
    /// Whose it is: nobody else goes on with it or ends it.
    owner: Arc<str>,
    epoch: i32,
    by_id: bool,
    order: u64,
    partitions: HashMap<(TopicKey, i32), Place>,
    last_used: Duration,
}

#[derive(Debug)]
struct Place {
    wanted: Wanted,
    told: Option<Told>,
    order: u64,
}

/// What a request's session fields ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// No session: a full request, a full answer.
    None,
    /// A full request that would like a session.
    New,
    /// What changed since the last request of a session.
    Next {
        /// The session.
        id: i32,
        /// The request's number within it.
        epoch: i32,
    },
}

impl Asked {
    /// Of a request's session id and epoch; with the session that is given up, if one is.
    pub(super) fn of(id: i32, epoch: i32) -> (Self, Option<i32>) {
        let left = (id != 0 && epoch <= 0).then_some(id);
        match epoch {
            -1 => (Self::None, left),
            0 => (Self::New, left),
            epoch => (Self::Next { id, epoch }, None),
        }
    }
}

/// Why a session can not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionError {
    /// It is not (or no longer) known.
    NotFound,
    /// The request's number is not the next one.
    Epoch,
    /// It was begun with names and goes on with ids, or the other way round.
    TopicIds,
}

/// One partition of a request: topic, index, what is wanted.
pub(super) type Want = (TopicKey, i32, Wanted);

/// All sessions of the broker.
#[derive(Debug)]
pub(super) struct Sessions {
    slots: usize,
    places: Arc<AtomicUsize>,
    all: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// A session in hand, between its request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Its id, as the answer says it.
    pub(super) id: i32,
    session: Arc<Mutex<Session>>,
}

/// Most partitions of all sessions together: a session is a kindness, and must not be a way to fill the memory.
const MOST_PLACES: usize = 100_000;
/// A session that was idle for so long may make way for a new one.
const IDLE: Duration = Duration::from_secs(120);

impl Sessions {
    /// Room for so many.
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, places: Arc::default(), all: Mutex::default() }
    }

    /// Forgets a session, if it is `owner`'s.
    pub(super) fn close(&self, id: i32, owner: &str) {
        let mut all = lock(&self.all);
        if all.get(&id).is_some_and(|session| *lock(session).owner == *owner) {
            all.remove(&id);
        }
    }

    /// Begins a session of `owner` (its principal) under `id` (random, from the caller) with a full request's
    /// partitions; `None` where there is no room or the id is taken.
    pub(super) fn begin(
        &self,
        id: i32,
        owner: &str,
        wants: &[Want],
        by_id: bool,
        now: Duration,
    ) -> Option<Held> {
        let mut all = lock(&self.all);
        if all.contains_key(&id) {
            return None;
        }
        while all.len() >= self.slots || self.places.load(Ordering::Relaxed) + wants.len() > MOST_PLACES {
            let idle = all.iter().map(|(id, session)| (lock(session).last_used, *id)).min()?;
            if now.saturating_sub(idle.0) < IDLE {
                return None;
            }
            all.remove(&idle.1);
        }
        let (places, partitions) = (Arc::clone(&self.places), HashMap::new());
        let (owner, order) = (owner.into(), 0);
        let mut session = Session { places, owner, epoch: 1, by_id, order, partitions, last_used: now };
        session.put(wants);
        let session = Arc::new(Mutex::new(session));
        all.insert(id, Arc::clone(&session));
        Some(Held { id, session })
    }

    /// Takes the next request of a session in: `wants` are new or changed, `forgotten` are no longer wanted. A session
    /// that would become too large is forgotten. Another's is not found.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub(super) fn go_on(
        &self,
        (id, owner): (i32, &str),
        epoch: i32,
        by_id: bool,
        wants: &[Want],
        forgotten: &[(TopicKey, i32)],
        now: Duration,
    ) -> Result<Held, SessionError> {
        let session = lock(&self.all).get(&id).cloned().ok_or(SessionError::NotFound)?;
        {
            let mut session = lock(&session);
            if *session.owner != *owner {
                return Err(SessionError::NotFound);
            }
            if session.by_id != by_id {
                return Err(SessionError::TopicIds);
            }
            if session.epoch != epoch {
                return Err(SessionError::Epoch);
            }
            session.epoch = epoch.checked_add(1).unwrap_or(1);
            session.last_used = now;
            for place in forgotten {
                if session.partitions.remove(place).is_some() {
                    session.places.fetch_sub(1, Ordering::Relaxed);
                }
            }
            session.put(wants);
        }
        if self.places.load(Ordering::Relaxed) > MOST_PLACES {
            self.close(id, owner);
            return Err(SessionError::NotFound);
        }
        Ok(Held { id, session })
    }
}

impl Session {
    fn put(&mut self, wants: &[Want]) {
        for (topic, partition, wanted) in wants {
            self.order += 1;
            let order = self.order;
            match self.partitions.entry((topic.clone(), *partition)) {
                Entry::Occupied(mut place) => place.get_mut().wanted = *wanted,
                Entry::Vacant(place) => {
                    place.insert(Place { wanted: *wanted, told: None, order });
                    self.places.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.places.fetch_sub(self.partitions.len(), Ordering::Relaxed);
    }
}

impl Held {
    /// All partitions of the session, those first that were not served last time.
    pub(super) fn wants(&self) -> Vec<Want> {
        let session = lock(&self.session);
        let mut wants: Vec<_> = session.partitions.iter().collect();
        wants.sort_unstable_by_key(|(_, place)| place.order);
        wants
            .into_iter()
            .map(|((topic, partition), place)| (topic.clone(), *partition, place.wanted))
            .collect()
    }

    /// Whether an answer for a partition must be said: it has records, an error or marks that moved. Notes what is
    /// said, and lets a partition that was served go to the end of the line.
    pub(super) fn tell(
        &self,
        topic: &TopicKey,
        partition: i32,
        high_watermark: i64,
        log_start: i64,
        served: bool,
        failed: bool,
    ) -> bool {
        let mut session = lock(&self.session);
        session.order += 1;
        let last = session.order;
        let Some(place) = session.partitions.get_mut(&(topic.clone(), partition)) else { return true };
        if served {
            place.order = last;
        }
        let told = Told { high_watermark, log_start };
        let changed = place.told != Some(told);
        // An error is said each time until it is gone, and what follows it is said in full.
        place.told = (!failed).then_some(told);
        changed || served || failed
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(partitions: std::ops::Range<i32>) -> Vec<Want> {
        let wanted = Wanted { offset: 0, max_bytes: 1, current_leader_epoch: -1, last_fetched_epoch: -1 };
        partitions.map(|partition| (TopicKey::Name("t".into()), partition, wanted)).collect()
    }

    #[test]
    fn sessions_hold_so_many_partitions_together_and_no_more() {
        let sessions = Sessions::new(1000);
        let most = i32::try_from(MOST_PLACES).unwrap();
        let now = Duration::ZERO;
        assert!(sessions.begin(1, "User:a", &wants(0..most), false, now).is_some());
        assert!(
            sessions.begin(2, "User:a", &wants(0..1), false, now).is_none(),
            "a full answer without a session"
        );
        let forgotten = [(TopicKey::Name("t".into()), 0)];
        assert!(sessions.go_on((1, "User:a"), 1, false, &[], &forgotten, now).is_ok());
        assert!(sessions.begin(2, "User:a", &wants(0..1), false, now).is_some());
        // One that grows beyond is forgotten, and gives its room back.
        let grown = sessions.go_on((2, "User:a"), 1, false, &wants(1..5), &[], now);
        assert!(matches!(grown, Err(SessionError::NotFound)));
        assert!(sessions.begin(3, "User:a", &wants(0..1), false, now).is_some());
        // The idle make way.
        assert!(sessions.begin(4, "User:a", &wants(0..most), false, IDLE).is_some());
        assert!(matches!(
            sessions.go_on((1, "User:a"), 2, false, &[], &[], IDLE),
            Err(SessionError::NotFound)
        ));
    }

    #[test]
    fn a_session_is_its_owners_alone() {
        let sessions = Sessions::new(10);
        let now = Duration::ZERO;
        assert!(sessions.begin(1, "User:a", &wants(0..2), false, now).is_some());
        let others = sessions.go_on((1, "User:b"), 1, false, &[], &[], now);
        assert!(matches!(others, Err(SessionError::NotFound)));
        sessions.close(1, "User:b");
        assert_eq!(sessions.go_on((1, "User:a"), 1, false, &[], &[], now).unwrap().wants().len(), 2);
        sessions.close(1, "User:a");
        let gone = sessions.go_on((1, "User:a"), 2, false, &[], &[], now);
        assert!(matches!(gone, Err(SessionError::NotFound)));
    }
}
