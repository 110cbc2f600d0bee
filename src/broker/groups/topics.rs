//! The topics as a coordinator sees them: names, ids and sizes at one moment; it never asks the broker anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use crate::model::id::TopicId;

/// A topic at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeenTopic {
    /// Its id.
    pub(super) id: TopicId,
    /// How many partitions it has.
    pub(super) partitions: i32,
}

/// All topics at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Topics {
    version: u64,
    by_name: BTreeMap<Arc<str>, SeenTopic>,
    names: HashMap<TopicId, Arc<str>>,
}

impl Topics {
    /// Topics by name, as of `version`: a number that differs whenever topics differ.
    pub(super) fn new(version: u64, topics: impl IntoIterator<Item = (Arc<str>, SeenTopic)>) -> Self {
        let by_name: BTreeMap<_, _> = topics.into_iter().collect();
        let names = by_name.iter().map(|(name, topic)| (topic.id, Arc::clone(name))).collect();
        Self { version, by_name, names }
    }

    /// Which moment this is.
    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// A topic by its name.
    pub(super) fn get(&self, name: &str) -> Option<SeenTopic> {
        self.by_name.get(name).copied()
    }

    /// A topic's name by its id.
    pub(super) fn name(&self, id: &TopicId) -> Option<&Arc<str>> {
        self.names.get(id)
    }

    /// All names, in order.
    pub(super) fn all_names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_name.keys()
    }

    /// A number that tells whether any of `names` came, went, grew or was made anew; 0 if none of them is there.
    ///
    /// It is kept with the group's epoch; only klog compares it, so how it is made is klog's own business (FNV-1a).
    pub(super) fn hash(&self, names: &BTreeSet<Arc<str>>) -> i64 {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let mut any = false;
        let mut take = |bytes: &[u8]| {
            for &byte in bytes {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        };
        for (name, topic) in names.iter().filter_map(|name| Some((name, self.get(name)?))) {
            any = true;
            take(name.as_bytes());
            take(&[0]);
            take(&topic.id.0);
            take(&topic.partitions.to_be_bytes());
        }
        if any { i64::from_be_bytes(hash.to_be_bytes()) } else { 0 }
    }
}
