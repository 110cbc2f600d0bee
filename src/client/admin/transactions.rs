//! Admin calls about transactions (KIP-664): list, describe, who holds a partition, and ending what is stuck; never
//! touches a transaction that it was not told to end.

use super::{Each, missing};
use crate::client::cluster::{Coordinated, Lane};
use crate::client::producer::DEFAULT_TIMEOUT;
use crate::client::retry::{Attempts, refresh_after};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::model::txn::STATES;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::describe_producers::{DescribeProducersRequest, TopicRequest};
use crate::wire::messages::describe_transactions::DescribeTransactionsRequest;
use crate::wire::messages::init_producer_id::InitProducerIdRequest;
use crate::wire::messages::list_transactions::ListTransactionsRequest;
use crate::wire::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerTopic, WriteTxnMarkersRequest,
};
use std::sync::Arc;

/// A transactional id as its coordinator lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedTransaction {
    /// The transactional id.
    pub id: String,
    /// Kafka's word for its state, like `Ongoing` or `CompleteCommit`.
    pub state: String,
    /// The producer's id.
    pub producer_id: i64,
    /// The node that coordinates it.
    pub coordinator: i32,
}

/// A transactional id in detail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionDescription {
    /// The transactional id.
    pub id: String,
    /// Kafka's word for its state.
    pub state: String,
    /// After how long the coordinator aborts, ms.
    pub timeout_ms: i32,
    /// When the transaction began, ms since 1970; `None` where none is open.
    pub started_ms: Option<i64>,
    /// The producer's id.
    pub producer_id: i64,
    /// The producer's epoch.
    pub producer_epoch: i16,
    /// The partitions in it.
    pub partitions: Vec<TopicPartition>,
    /// The node that coordinates it.
    pub coordinator: i32,
}

impl TransactionDescription {
    /// Whether a transaction is open: begun, and neither committed nor aborted yet.
    pub fn is_open(&self) -> bool {
        self.state == "Ongoing"
    }
}

/// A producer as a partition knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionProducer {
    /// Its id.
    pub producer_id: i64,
    /// Its epoch.
    pub producer_epoch: i32,
    /// The last sequence, -1 when unknown.
    pub last_sequence: i32,
    /// When it wrote last, ms since 1970; -1 when unknown.
    pub last_timestamp: i64,
    /// Epoch of the coordinator that ended its last transaction here, -1 for none.
    pub coordinator_epoch: i32,
    /// The first offset of the transaction that is open here.
    pub first_offset: Option<i64>,
}

/// A state as brokers know it, which heed the case of letters; one that is not known here is left to them.
fn as_kafka_writes(state: &str) -> String {
    let known = STATES.into_iter().find(|known| known.eq_ignore_ascii_case(state));
    known.unwrap_or(state).to_owned()
}

impl Client {
    /// Transactional ids of all coordinators, by id; `producers` and `states` (in any case) choose some (empty: all),
    /// `longer_ms` only those with a transaction that runs for longer.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; what a broker says; [`ClientError::Option`] for a state that
    /// Kafka has not.
    pub async fn list_transactions(
        &self,
        states: &[String],
        producers: &[i64],
        longer_ms: Option<i64>,
    ) -> Result<Vec<ListedTransaction>, ClientError> {
        let (_, _, nodes) = self.describe_cluster().await?;
        let mut all = Vec::new();
        for node in nodes {
            let request = ListTransactionsRequest {
                state_filters: states.iter().map(|state| as_kafka_writes(state)).collect(),
                producer_id_filters: producers.to_vec(),
                duration_filter: longer_ms.unwrap_or(-1),
                transactional_id_pattern: None,
            };
            let mut attempts = Attempts::within(self.options().api_timeout, self.options());
            let answer = loop {
                let outcome = async {
                    let connection = self.node(node.id, Lane::Main).await?;
                    let answer = connection.call(&request, self.options().request_timeout).await?;
                    match answer.error_code {
                        ErrorCode::NONE => Ok(answer),
                        code => {
                            Err(ClientError::broker(code, format!("transactions of node {}", node.id), None))
                        }
                    }
                };
                match outcome.await {
                    Ok(answer) => break answer,
                    Err(error) => attempts.after(error).await?,
                }
            };
            if let Some(state) = answer.unknown_state_filters.first() {
                let allowed = STATES.join(", ");
                let text = format!("{state:?} is no state of a transaction; allowed: {allowed}");
                return Err(ClientError::Option(text));
            }
            all.extend(answer.transaction_states.into_iter().map(|one| ListedTransaction {
                id: one.transactional_id,
                state: one.transaction_state,
                producer_id: one.producer_id,
                coordinator: node.id,
            }));
        }
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    /// Transactional ids in detail. [`ClientError::Broker`] with TRANSACTIONAL_ID_NOT_FOUND for those that are not there.
    ///
    /// # Errors
    /// Each id has a result of its own: what the coordinator says; failures of the connection, after `api_timeout`.
    pub async fn describe_transactions(&self, ids: &[String]) -> Each<TransactionDescription> {
        let mut each = Vec::new();
        for id in ids {
            let mut attempts = Attempts::within(self.options().api_timeout, self.options());
            each.push(loop {
                match self.describe_transaction_once(id).await {
                    Ok(found) => break Ok(found),
                    Err(error) => {
                        if let Err(error) = attempts.after(error).await {
                            break Err(error);
                        }
                    }
                }
            });
        }
        each
    }

    async fn describe_transaction_once(&self, id: &str) -> Result<TransactionDescription, ClientError> {
        let of = Coordinated::Transaction(id.to_owned());
        let (coordinator, connection) = self.coordinator_of(&of, Lane::Main).await?;
        let request = DescribeTransactionsRequest { transactional_ids: vec![id.to_owned()] };
        let answer = connection.call(&request, self.options().request_timeout).await?;
        let found = answer.transaction_states.into_iter().next().ok_or_else(|| missing(of.to_string()))?;
        if !found.error_code.is_ok() {
            return Err(self.coordinator_error_of(&of, found.error_code, None));
        }
        let partitions = found.topics.into_iter().flat_map(|topic| {
            let name: Arc<str> = Arc::from(topic.topic);
            topic.partitions.into_iter().map(move |index| TopicPartition::new(name.clone(), index))
        });
        Ok(TransactionDescription {
            id: found.transactional_id,
            state: found.transaction_state,
            timeout_ms: found.transaction_timeout_ms,
            started_ms: Some(found.transaction_start_time_ms).filter(|&ms| ms >= 0),
            producer_id: found.producer_id,
            producer_epoch: found.producer_epoch,
            partitions: partitions.collect(),
            coordinator,
        })
    }

    /// The producers that each partition knows, in the order asked.
    ///
    /// # Errors
    /// Each partition has a result of its own: [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`]; what
    /// the leader says; failures of the connection, after `api_timeout`.
    pub async fn describe_producers(&self, partitions: &[TopicPartition]) -> Each<Vec<PartitionProducer>> {
        let mut each = Vec::new();
        for partition in partitions {
            let mut attempts = Attempts::within(self.options().api_timeout, self.options());
            each.push(loop {
                match self.describe_producers_once(partition).await {
                    Ok(found) => break Ok(found),
                    Err(error) => {
                        if let Err(error) = attempts.after(error).await {
                            break Err(error);
                        }
                    }
                }
            });
        }
        each
    }

    async fn describe_producers_once(
        &self,
        partition: &TopicPartition,
    ) -> Result<Vec<PartitionProducer>, ClientError> {
        let (leader, _) = self.leader(partition).await?;
        let connection = self.node(leader, Lane::Main).await?;
        let topic =
            TopicRequest { name: partition.topic.to_string(), partition_indexes: vec![partition.partition] };
        let request = DescribeProducersRequest { topics: vec![topic] };
        let answer = connection.call(&request, self.options().request_timeout).await?;
        let found = answer.topics.into_iter().next().and_then(|topic| topic.partitions.into_iter().next());
        let found = found.ok_or_else(|| missing(partition.to_string()))?;
        if !found.error_code.is_ok() {
            if refresh_after(found.error_code).is_some() {
                self.forget_topics([&*partition.topic]);
            }
            return Err(ClientError::broker(found.error_code, partition.to_string(), found.error_message));
        }
        let one = |one: crate::wire::messages::describe_producers::ProducerState| PartitionProducer {
            producer_id: one.producer_id,
            producer_epoch: one.producer_epoch,
            last_sequence: one.last_sequence,
            last_timestamp: one.last_timestamp,
            coordinator_epoch: one.coordinator_epoch,
            first_offset: Some(one.current_txn_start_offset).filter(|&offset| offset >= 0),
        };
        Ok(found.active_producers.into_iter().map(one).collect())
    }

    /// Ends the transaction that a transactional id has open, by taking the id over: it is aborted, and its producer is
    /// fenced. Returns once it is ended. `timeout_ms` is what the id is given for later transactions.
    ///
    /// # Errors
    /// What the coordinator says; failures of the connection, after `api_timeout`.
    pub async fn abort_transaction(&self, id: &str, timeout_ms: i32) -> Result<(), ClientError> {
        let of = Coordinated::Transaction(id.to_owned());
        let least = i32::try_from(DEFAULT_TIMEOUT.as_millis()).unwrap_or(i32::MAX);
        let request = InitProducerIdRequest {
            transactional_id: Some(id.to_owned()),
            transaction_timeout_ms: if timeout_ms > 0 { timeout_ms } else { least },
            ..InitProducerIdRequest::default()
        };
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = async {
                let (_, connection) = self.coordinator_of(&of, Lane::Main).await?;
                let answer = connection.call(&request, self.options().request_timeout).await?;
                match answer.error_code {
                    ErrorCode::NONE => Ok(()),
                    code => Err(self.coordinator_error_of(&of, code, None)),
                }
            };
            match outcome.await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }

    /// Writes an abort marker for a producer's transaction straight into a partition whose coordinator knows nothing of
    /// it any more (a hanging transaction).
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`], [`ClientError::UnknownPartition`]; what the leader says; failures of the
    /// connection, after `api_timeout`.
    pub async fn abort_hanging(
        &self,
        partition: &TopicPartition,
        producer: &PartitionProducer,
    ) -> Result<(), ClientError> {
        let request = WriteTxnMarkersRequest {
            markers: vec![WritableTxnMarker {
                producer_id: producer.producer_id,
                producer_epoch: i16::try_from(producer.producer_epoch).unwrap_or(i16::MAX),
                transaction_result: false,
                topics: vec![WritableTxnMarkerTopic {
                    name: partition.topic.to_string(),
                    partition_indexes: vec![partition.partition],
                }],
                // Kafka's own tool says 0 where no coordinator has written yet.
                coordinator_epoch: producer.coordinator_epoch.max(0),
                transaction_version: 0,
            }],
        };
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let outcome = async {
                let (leader, _) = self.leader(partition).await?;
                let connection = self.node(leader, Lane::Main).await?;
                let version = connection.version(ApiKey::WriteTxnMarkers)?;
                let answer = connection.call_in(&request, version, self.options().request_timeout).await?;
                let marker = answer.markers.into_iter().next();
                let topic = marker.and_then(|marker| marker.topics.into_iter().next());
                let one = topic.and_then(|topic| topic.partitions.into_iter().next());
                let code = one.ok_or_else(|| missing(partition.to_string()))?.error_code;
                if code.is_ok() {
                    return Ok(());
                }
                if refresh_after(code).is_some() {
                    self.forget_topics([&*partition.topic]);
                }
                Err(ClientError::broker(code, partition.to_string(), None))
            };
            match outcome.await {
                Ok(()) => return Ok(()),
                Err(error) => attempts.after(error).await?,
            }
        }
    }
}
