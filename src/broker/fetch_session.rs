//! Incremental fetch sessions (KIP-227): what a consumer last asked for and was last told, so that both sides only say
//! what changed; a session holds no data and may be dropped at any time.
//!
//! Locks: `all` guards which sessions there are; each session has a lock of its own, held while one request is merged
//! or one answer is pared down.

use std::collections::HashMap;
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
    all: Mutex<HashMap<i32, Arc<Mutex<Session>>>>,
}

/// A session in hand, between its request and its answer.
#[derive(Debug, Clone)]
pub(super) struct Held {
    /// Its id, as the answer says it.
    pub(super) id: i32,
    session: Arc<Mutex<Session>>,
}

/// A session that was idle for so long may make way for a new one.
const IDLE: Duration = Duration::from_secs(120);

impl Sessions {
    /// Room for so many.
    pub(super) fn new(slots: usize) -> Self {
        Self { slots, all: Mutex::default() }
    }

    /// Forgets a session.
    pub(super) fn close(&self, id: i32) {
        lock(&self.all).remove(&id);
    }

    /// Begins a session under `id` (random, from the caller) with a full request's partitions; `None` where there is
    /// no room or the id is taken.
    pub(super) fn begin(&self, id: i32, wants: &[Want], by_id: bool, now: Duration) -> Option<Held> {
        let mut all = lock(&self.all);
        if all.contains_key(&id) {
            return None;
        }
        if all.len() >= self.slots {
            let idle = all.iter().map(|(id, session)| (lock(session).last_used, *id)).min()?;
            if now.saturating_sub(idle.0) < IDLE {
                return None;
            }
            all.remove(&idle.1);
        }
        let mut session = Session { epoch: 1, by_id, order: 0, partitions: HashMap::new(), last_used: now };
        session.put(wants);
        let session = Arc::new(Mutex::new(session));
        all.insert(id, Arc::clone(&session));
        Some(Held { id, session })
    }

    /// Takes the next request of a session in: `wants` are new or changed, `forgotten` are no longer wanted.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub(super) fn go_on(
        &self,
        id: i32,
        epoch: i32,
        by_id: bool,
        wants: &[Want],
        forgotten: &[(TopicKey, i32)],
        now: Duration,
    ) -> Result<Held, SessionError> {
        let session = lock(&self.all).get(&id).cloned().ok_or(SessionError::NotFound)?;
        {
            let mut session = lock(&session);
            if session.by_id != by_id {
                return Err(SessionError::TopicIds);
            }
            if session.epoch != epoch {
                return Err(SessionError::Epoch);
            }
            session.epoch = epoch.checked_add(1).unwrap_or(1);
            session.last_used = now;
            for place in forgotten {
                session.partitions.remove(place);
            }
            session.put(wants);
        }
        Ok(Held { id, session })
    }
}

impl Session {
    fn put(&mut self, wants: &[Want]) {
        for (topic, partition, wanted) in wants {
            self.order += 1;
            let order = self.order;
            let place = self.partitions.entry((topic.clone(), *partition));
            place.and_modify(|place| place.wanted = *wanted).or_insert(Place {
                wanted: *wanted,
                told: None,
                order,
            });
        }
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
