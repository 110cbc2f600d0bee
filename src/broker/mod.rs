//! What the daemon is, callable without a socket: catalog, partitions, group commit, groups, and the Kafka APIs over
//! them; it must never write to a socket or a terminal, nor acknowledge what a power cut can take back.
//!
//! Locks: each is a short std mutex that is named with what it guards where it stands; none is held across an await.

pub mod api;
mod error;
pub mod groups;
mod partition;
mod peer;
pub mod settings;

pub use error::{BrokerError, OpenError};
pub use partition::{InternalRecord, Partition};
pub use peer::Peer;

use std::path::PathBuf;
use std::sync::Arc;

use crate::model::id::TopicId;
use crate::model::time::Clock;
use crate::storage::Disk;

/// What a broker is opened with.
#[derive(Debug, Clone)]
pub struct BrokerOptions {
    /// The data folder.
    pub data: PathBuf,
    /// The broker's settings.
    pub settings: settings::Settings,
    /// Makes everything random (topic ids, session ids) the same each time: for tests. `None` takes the machine's.
    pub seed: Option<u64>,
}

/// One node: a cluster of one.
pub struct Broker {}

impl Broker {
    /// Opens the data folder and reads the catalog; recovers what the last process left unclean.
    ///
    /// # Errors
    /// See [`OpenError`]; a folder that is not klog's is not touched.
    pub fn open(
        _options: BrokerOptions,
        _disk: Arc<dyn Disk>,
        _clock: Arc<dyn Clock>,
    ) -> Result<Arc<Self>, OpenError> {
        unimplemented!()
    }

    /// Opens the data folder on the machine's own disk and clock.
    ///
    /// # Errors
    /// As [`Broker::open`].
    pub fn open_on_this_machine(options: BrokerOptions) -> Result<Arc<Self>, OpenError> {
        Self::open(
            options,
            Arc::new(crate::storage::RealDisk),
            Arc::new(crate::model::time::SystemClock::new()),
        )
    }

    /// The housekeeping: retention, checkpoints, group timers. The server runs it on one of its threads until the
    /// broker is closed; it wakes at most once a second, and not at all while nothing is due.
    pub async fn tasks(self: Arc<Self>) {
        unimplemented!()
    }

    /// Stops: no new appends, everything synced, checkpoints and the clean mark written.
    ///
    /// # Errors
    /// A failing disk; the next start then recovers.
    pub async fn close(&self) -> Result<(), BrokerError> {
        unimplemented!()
    }

    /// This node's id, `node.id`.
    pub fn node_id(&self) -> i32 {
        unimplemented!()
    }

    /// The cluster's id, as its text.
    pub fn cluster_id(&self) -> &str {
        unimplemented!()
    }

    /// The settings in force.
    pub fn settings(&self) -> &settings::Settings {
        unimplemented!()
    }

    /// The clock that everything in the broker goes by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        unimplemented!()
    }

    /// A partition by its topic's name; `None` where the catalog has none.
    pub fn partition(&self, _topic: &str, _partition: i32) -> Option<Arc<Partition>> {
        unimplemented!()
    }

    /// A topic's id by its name.
    pub fn topic_id(&self, _topic: &str) -> Option<TopicId> {
        unimplemented!()
    }

    /// A topic's name by its id.
    pub fn topic_name(&self, _id: &TopicId) -> Option<Arc<str>> {
        unimplemented!()
    }

    /// The groups this node coordinates.
    pub fn groups(&self) -> &groups::Groups {
        unimplemented!()
    }

    /// Number of partitions of a topic; `None` where there is no such topic.
    pub fn partition_count(&self, _topic: &str) -> Option<i32> {
        unimplemented!()
    }

    /// Makes sure an internal topic is there (`__consumer_offsets`), with the number of partitions of its setting.
    ///
    /// # Errors
    /// A failing disk.
    pub async fn ensure_internal(self: &Arc<Self>, _topic: &'static str) -> Result<(), BrokerError> {
        unimplemented!()
    }
}
