//! Produce (0): records to append; versions 0 to 2 (older record formats) can not be decoded.

use bytes::Bytes;

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Batches to append. `acks` 0: no answer wanted, 1: once written, -1: once every in-sync replica has
    /// them.
    pub struct ProduceRequest {
        transactional_id: Option<String>,
        acks: i16,
        timeout_ms: i32,
        topic_data: Vec<TopicProduceData>,
    }

    /// The batches for one topic, named up to version 12 and known by id after that (KIP-516).
    pub struct TopicProduceData {
        name: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partition_data: Vec<PartitionProduceData>,
    }

    /// The batches for one partition, as bytes of the request's frame.
    pub struct PartitionProduceData {
        index: i32,
        records: Option<Bytes>,
    }

    /// Where the batches went.
    pub struct ProduceResponse {
        responses: Vec<TopicProduceResponse>,
        throttle_time_ms: i32,
        node_endpoints: Vec<NodeEndpoint> [10.., tag 0],
    }

    /// Where the batches for one topic went.
    pub struct TopicProduceResponse {
        name: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partition_responses: Vec<PartitionProduceResponse>,
    }

    /// Where the batches for one partition went. Times in milliseconds since 1970; -1 says none.
    pub struct PartitionProduceResponse {
        index: i32,
        error_code: ErrorCode,
        base_offset: i64,
        log_append_time_ms: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        record_errors: Vec<BatchIndexAndErrorMessage> [8.., ignorable],
        error_message: Option<String> [8.., ignorable],
        current_leader: LeaderIdAndEpoch [10.., tag 0],
    }

    /// A record that was refused, by its index in the batch (KIP-467).
    pub struct BatchIndexAndErrorMessage {
        batch_index: i32,
        batch_index_error_message: Option<String>,
    }

    /// Who leads the partition now (KIP-951).
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// The address of a leader named in the answer (KIP-951).
    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }
}

api!(Produce: ProduceRequest => ProduceResponse);
