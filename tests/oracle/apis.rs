//! Every API that klog defines, as functions over bytes; a test that lists APIs by hand would miss the next one.

use bytes::Bytes;
use klog::codec::{DecodeError, EncodeError, Reader, Shape, Version, Wire, Writer};
use klog::wire::Message;
use klog::wire::api::ApiKey;

/// Bytes left over, and what the message was encoded to.
type Again = Result<(usize, Result<Vec<u8>, EncodeError>), DecodeError>;

/// A request or a response of an API.
#[allow(dead_code)]
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) key: ApiKey,
    /// Decodes and drops; gives the bytes left over.
    pub(crate) decode: fn(Bytes, i16) -> Result<usize, DecodeError>,
    /// Decodes and encodes again; gives the bytes left over as well.
    pub(crate) again: fn(Bytes, i16) -> Again,
    /// The layout in a version.
    pub(crate) shape: fn(i16) -> Shape,
}

#[allow(dead_code)]
impl Kind {
    pub(crate) fn versions(&self) -> std::ops::RangeInclusive<i16> {
        self.key.min_version()..=self.key.max_version()
    }

    pub(crate) fn is_request(&self) -> bool {
        self.word == "request"
    }
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    M::decode(&mut reader, version).map(|_| reader.remaining())
}

fn again<M: Message>(bytes: Bytes, version: i16) -> Again {
    let mut reader = Reader::new(bytes);
    let message = M::decode(&mut reader, version)?;
    let mut writer = Writer::new();
    let encoded = message.encode(&mut writer, version).map(|()| writer.into_vec());
    Ok((reader.remaining(), encoded))
}

fn shape<M: Message + Wire>(version: i16) -> Shape {
    M::shape(Version::new(version, M::KEY.first_flexible()))
}

/// Calls a macro with every API: its module and the names of its request and response.
macro_rules! each_api {
    ($call:ident) => {
        $call! {
            add_offsets_to_txn AddOffsetsToTxnRequest AddOffsetsToTxnResponse,
            add_partitions_to_txn AddPartitionsToTxnRequest AddPartitionsToTxnResponse,
            alter_configs AlterConfigsRequest AlterConfigsResponse,
            alter_partition_reassignments AlterPartitionReassignmentsRequest AlterPartitionReassignmentsResponse,
            alter_replica_log_dirs AlterReplicaLogDirsRequest AlterReplicaLogDirsResponse,
            alter_user_scram_credentials AlterUserScramCredentialsRequest AlterUserScramCredentialsResponse,
            api_versions ApiVersionsRequest ApiVersionsResponse,
            consumer_group_describe ConsumerGroupDescribeRequest ConsumerGroupDescribeResponse,
            consumer_group_heartbeat ConsumerGroupHeartbeatRequest ConsumerGroupHeartbeatResponse,
            create_acls CreateAclsRequest CreateAclsResponse,
            create_partitions CreatePartitionsRequest CreatePartitionsResponse,
            create_topics CreateTopicsRequest CreateTopicsResponse,
            delete_acls DeleteAclsRequest DeleteAclsResponse,
            delete_groups DeleteGroupsRequest DeleteGroupsResponse,
            delete_records DeleteRecordsRequest DeleteRecordsResponse,
            delete_topics DeleteTopicsRequest DeleteTopicsResponse,
            describe_acls DescribeAclsRequest DescribeAclsResponse,
            describe_client_quotas DescribeClientQuotasRequest DescribeClientQuotasResponse,
            describe_cluster DescribeClusterRequest DescribeClusterResponse,
            describe_configs DescribeConfigsRequest DescribeConfigsResponse,
            describe_groups DescribeGroupsRequest DescribeGroupsResponse,
            describe_log_dirs DescribeLogDirsRequest DescribeLogDirsResponse,
            describe_producers DescribeProducersRequest DescribeProducersResponse,
            describe_quorum DescribeQuorumRequest DescribeQuorumResponse,
            describe_topic_partitions DescribeTopicPartitionsRequest DescribeTopicPartitionsResponse,
            describe_transactions DescribeTransactionsRequest DescribeTransactionsResponse,
            describe_user_scram_credentials DescribeUserScramCredentialsRequest DescribeUserScramCredentialsResponse,
            elect_leaders ElectLeadersRequest ElectLeadersResponse,
            end_txn EndTxnRequest EndTxnResponse,
            fetch FetchRequest FetchResponse,
            find_coordinator FindCoordinatorRequest FindCoordinatorResponse,
            heartbeat HeartbeatRequest HeartbeatResponse,
            incremental_alter_configs IncrementalAlterConfigsRequest IncrementalAlterConfigsResponse,
            init_producer_id InitProducerIdRequest InitProducerIdResponse,
            join_group JoinGroupRequest JoinGroupResponse,
            leave_group LeaveGroupRequest LeaveGroupResponse,
            list_config_resources ListConfigResourcesRequest ListConfigResourcesResponse,
            list_groups ListGroupsRequest ListGroupsResponse,
            list_offsets ListOffsetsRequest ListOffsetsResponse,
            list_partition_reassignments ListPartitionReassignmentsRequest ListPartitionReassignmentsResponse,
            list_transactions ListTransactionsRequest ListTransactionsResponse,
            metadata MetadataRequest MetadataResponse,
            offset_commit OffsetCommitRequest OffsetCommitResponse,
            offset_delete OffsetDeleteRequest OffsetDeleteResponse,
            offset_fetch OffsetFetchRequest OffsetFetchResponse,
            offset_for_leader_epoch OffsetForLeaderEpochRequest OffsetForLeaderEpochResponse,
            produce ProduceRequest ProduceResponse,
            sasl_authenticate SaslAuthenticateRequest SaslAuthenticateResponse,
            sasl_handshake SaslHandshakeRequest SaslHandshakeResponse,
            sync_group SyncGroupRequest SyncGroupResponse,
            txn_offset_commit TxnOffsetCommitRequest TxnOffsetCommitResponse,
            write_txn_markers WriteTxnMarkersRequest WriteTxnMarkersResponse,
            update_features UpdateFeaturesRequest UpdateFeaturesResponse
        }
    };
}

macro_rules! kinds {
    ($($module:ident $request:ident $response:ident),*) => {
        /// All of them.
        pub(crate) fn kinds() -> Vec<Kind> {
            use klog::wire::messages::*;
            vec![$(
                Kind {
                    word: "request",
                    key: $module::$request::KEY,
                    decode: decode::<$module::$request>,
                    again: again::<$module::$request>,
                    shape: shape::<$module::$request>,
                },
                Kind {
                    word: "response",
                    key: $module::$response::KEY,
                    decode: decode::<$module::$response>,
                    again: again::<$module::$response>,
                    shape: shape::<$module::$response>,
                },
            )*]
        }
    };
}

each_api!(kinds);
