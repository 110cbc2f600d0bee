//! Fetch (1): records to read.

use bytes::Bytes;

use crate::codec::{EncodeError, Writer, structs};
use crate::model::id::TopicId;
use crate::wire::Message;
use crate::wire::error::ErrorCode;
use crate::wire::frame::ResponseHeader;
use crate::wire::message::api;

structs! {
    /// Asks for records. Session id 0 with epoch -1 is a request without a session (KIP-227).
    pub struct FetchRequest {
        cluster_id: Option<String> [12.., tag 0, ignorable],
        replica_id: i32 [..=14] = -1,
        replica_state: ReplicaState [15.., tag 1],
        max_wait_ms: i32,
        min_bytes: i32,
        max_bytes: i32 = i32::MAX,
        isolation_level: i8,
        session_id: i32 [7.., ignorable],
        session_epoch: i32 [7.., ignorable] = -1,
        topics: Vec<FetchTopic>,
        forgotten_topics_data: Vec<ForgottenTopic> [7..],
        rack_id: String [11.., ignorable],
    }

    /// The follower that asks; -1 for a consumer (KIP-903).
    pub struct ReplicaState {
        replica_id: i32 = -1,
        replica_epoch: i64 = -1,
    }

    /// The partitions to read of one topic, named up to version 12 and known by id after that (KIP-516).
    pub struct FetchTopic {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<FetchPartition>,
    }

    /// A partition to read, from an offset on, up to a number of bytes.
    pub struct FetchPartition {
        partition: i32,
        current_leader_epoch: i32 [9.., ignorable] = -1,
        fetch_offset: i64,
        last_fetched_epoch: i32 [12..] = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        partition_max_bytes: i32,
        replica_directory_id: TopicId [17.., tag 0, ignorable],
        high_watermark: i64 [18.., tag 1, ignorable] = i64::MAX,
    }

    /// Partitions to take out of the session.
    pub struct ForgottenTopic {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<i32>,
    }

    /// What there was to read.
    pub struct FetchResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode [7.., ignorable],
        session_id: i32 [7..],
        responses: Vec<FetchableTopicResponse>,
        node_endpoints: Vec<NodeEndpoint> [16.., tag 0],
    }

    /// What there was to read of one topic.
    pub struct FetchableTopicResponse {
        topic: String [..=12, ignorable],
        topic_id: TopicId [13.., ignorable],
        partitions: Vec<PartitionData>,
    }

    /// What there was to read of one partition: whole batches, of which the last may be cut off.
    pub struct PartitionData {
        partition_index: i32,
        error_code: ErrorCode,
        high_watermark: i64,
        last_stable_offset: i64 = -1,
        log_start_offset: i64 [5.., ignorable] = -1,
        diverging_epoch: EpochEndOffset [12.., tag 0],
        current_leader: LeaderIdAndEpoch [12.., tag 1],
        snapshot_id: SnapshotId [12.., tag 2],
        aborted_transactions: Option<Vec<AbortedTransaction>>,
        preferred_read_replica: i32 [11..] = -1,
        records: Option<Bytes>,
    }

    /// Where the reader's log parts from the leader's (KIP-595).
    pub struct EpochEndOffset {
        epoch: i32 = -1,
        end_offset: i64 = -1,
    }

    /// Who leads the partition now (KIP-595, KIP-951).
    pub struct LeaderIdAndEpoch {
        leader_id: i32 = -1,
        leader_epoch: i32 = -1,
    }

    /// The snapshot to fetch instead (KIP-630).
    pub struct SnapshotId {
        end_offset: i64 = -1,
        epoch: i32 = -1,
    }

    /// A transaction that was aborted: from its first offset on its records are to be passed over (KIP-98).
    pub struct AbortedTransaction {
        producer_id: i64,
        first_offset: i64,
    }

    /// The address of a leader named in the answer (KIP-951).
    pub struct NodeEndpoint {
        node_id: i32,
        host: String,
        port: i32,
        rack: Option<String>,
    }
}

api!(Fetch: FetchRequest => FetchResponse);

/// A Fetch answer without its records: chunks of bytes and, between them, the places of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchParts {
    /// What was encoded, cut where records belong: one more than there are `lengths`.
    pub chunks: Vec<Bytes>,
    /// Bytes of records after each chunk but the last; none is 0.
    pub lengths: Vec<usize>,
}

impl FetchParts {
    /// Bytes of the whole answer, records included.
    pub fn len(&self) -> usize {
        self.chunks.iter().map(Bytes::len).sum::<usize>() + self.lengths.iter().sum::<usize>()
    }

    /// Whether there is nothing at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FetchResponse {
    /// Encodes header and body, without the length prefix, with the records left out: `lengths` says, for each
    /// partition in order, how many bytes of records are supplied elsewhere, and the partitions' own `records`
    /// are not looked at. All chunks share one buffer.
    ///
    /// # Errors
    /// Any [`EncodeError`]; [`EncodeError::Holes`] unless there is one length for each partition.
    pub fn encode_parts(
        &self,
        version: i16,
        correlation_id: i32,
        lengths: &[usize],
    ) -> Result<FetchParts, EncodeError> {
        let mut writer = Writer::with_capacity(64 + 64 * lengths.len());
        ResponseHeader { correlation_id }.encode(&mut writer, Self::KEY, version);
        let holes = writer.with_holes(lengths, |writer| self.encode(writer, version))?;
        let lengths = holes.iter().map(|hole| hole.length).collect();
        Ok(FetchParts { chunks: writer.into_pieces(&holes), lengths })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Reader;
    use crate::wire::frame::response_bytes;

    fn partition(index: i32, records: &'static [u8]) -> PartitionData {
        PartitionData {
            partition_index: index,
            records: Some(Bytes::from_static(records)),
            ..PartitionData::default()
        }
    }

    fn answer() -> FetchResponse {
        let topic = |topic: &str, partitions| FetchableTopicResponse {
            topic: topic.to_owned(),
            partitions,
            ..FetchableTopicResponse::default()
        };
        FetchResponse {
            responses: vec![
                topic("a", vec![partition(0, b"first"), partition(1, b"")]),
                topic("b", vec![]),
                topic("c", vec![partition(0, &[7; 300])]),
            ],
            ..FetchResponse::default()
        }
    }

    #[test]
    fn parts_and_their_records_are_the_whole_answer() {
        for version in [4, 11, 12] {
            let whole = response_bytes(&answer(), version, 42).unwrap();
            let parts = answer().encode_parts(version, 42, &[5, 0, 300]).unwrap();
            assert_eq!((parts.chunks.len(), &parts.lengths[..]), (3, &[5, 300][..]));
            assert_eq!(parts.len(), whole.len());
            let joined = [&parts.chunks[0], &b"first"[..], &parts.chunks[1], &[7; 300], &parts.chunks[2]];
            assert_eq!(joined.concat(), whole);
        }
    }

    #[test]
    fn a_length_for_each_partition_is_needed() {
        for lengths in [&[5, 0][..], &[5, 0, 300, 1]] {
            let error = answer().encode_parts(12, 42, lengths).unwrap_err();
            assert_eq!(error, EncodeError::Holes { given: lengths.len(), fields: 3 });
        }
        let empty = FetchResponse::default().encode_parts(12, 42, &[]).unwrap();
        assert_eq!((empty.chunks.len(), empty.lengths.len(), empty.is_empty()), (1, 0, false));
    }

    #[test]
    fn records_are_slices_of_the_frame() {
        let mut writer = Writer::new();
        answer().encode(&mut writer, 12).unwrap();
        let frame = writer.into_bytes();
        let decoded = FetchResponse::decode(&mut Reader::new(frame.clone()), 12).unwrap();
        assert_eq!(decoded, answer());
        let records = decoded.responses[2].partitions[0].records.as_ref().unwrap();
        let place = records.as_ptr() as usize - frame.as_ptr() as usize;
        assert_eq!(&frame[place..place + 300], &[7; 300]);
    }
}
