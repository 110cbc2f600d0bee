//! The client and its view of the cluster: nodes, topics, leaders; refreshed when an answer says it is stale.

use super::{ClientError, ClientOptions};
use crate::model::id::TopicId;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A broker of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The node's id, 0 or more.
    pub id: i32,
    /// Its host as announced; `unix` stands for the socket that was dialled.
    pub host: String,
    /// Its port; 0 beside `unix`.
    pub port: i32,
    /// Its rack, if it has one.
    pub rack: Option<String>,
}

/// A partition as the metadata tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionView {
    /// Kafka's error code for this partition; 0 is none.
    pub error: i16,
    /// The leader's node id, -1 when there is none.
    pub leader: i32,
    /// The leader's epoch, -1 when unknown.
    pub leader_epoch: i32,
    /// Node ids of all replicas.
    pub replicas: Vec<i32>,
    /// Node ids of those in sync.
    pub in_sync: Vec<i32>,
}

/// A topic as the metadata tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicView {
    /// Its name.
    pub name: Arc<str>,
    /// Its id; zero when the broker is too old to tell.
    pub id: TopicId,
    /// Whether it is one of the broker's own.
    pub internal: bool,
    /// Partitions by index, without holes.
    pub partitions: Vec<PartitionView>,
}

/// A client of one cluster. Cheap to clone; clones share connections and view.
#[derive(Debug, Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) options: ClientOptions,
}

impl Client {
    /// Dials the first address of the list that answers and learns what the broker speaks.
    ///
    /// Fails with [`ClientError::Refused`] at once when every address refuses, with [`ClientError::Silent`] after
    /// `connect_timeout`.
    pub async fn connect(_options: ClientOptions) -> Result<Self, ClientError> {
        unimplemented!()
    }

    /// What this client was told.
    pub fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    /// The topic as the cluster tells it now or told it recently; made by the broker where `create` and the broker allow it.
    ///
    /// Waits (up to `api_timeout`) until every partition of a new topic has a leader. [`ClientError::UnknownTopic`] otherwise.
    pub async fn topic(&self, _name: &str, _create: bool) -> Result<Arc<TopicView>, ClientError> {
        unimplemented!()
    }

    /// Every topic of the cluster, fresh, by name; internal ones included.
    pub async fn topics(&self) -> Result<BTreeMap<Arc<str>, Arc<TopicView>>, ClientError> {
        unimplemented!()
    }

    /// The cluster's id, its controller's node id and its nodes, fresh.
    pub async fn describe_cluster(&self) -> Result<(Option<String>, i32, Vec<Node>), ClientError> {
        unimplemented!()
    }

    /// Closes all connections; calls under way fail with [`ClientError::Closed`].
    pub fn close(&self) {
        unimplemented!()
    }
}
