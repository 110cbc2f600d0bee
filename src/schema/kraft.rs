//! Records of Kafka's metadata log that klog does not write, and the control records of Raft and of transactions;
//! known so that they can be shown, never acted on.
//!
//! As Apache Kafka 4.3 defines them (`UnregisterBrokerRecord.json` and so on in its metadata module,
//! `LeaderChangeMessage.json` and so on among its clients' messages); all are flexible from version 0 on.

use bytes::Bytes;

use super::metadata::{EndPoint, FeatureRange};
use crate::codec::structs;
use crate::model::id::TopicId;

structs! {
    /// Record type 1.
    pub struct UnregisterBroker {
        broker_id: i32,
        broker_epoch: i64,
    }

    /// Record type 5, versions 0 to 2: only what changed is there.
    pub struct PartitionChange {
        partition_id: i32 = -1,
        topic_id: TopicId,
        isr: Option<Vec<i32>> [0.., tag 0],
        /// -1 for none; -2, the default, says that it did not change.
        leader: i32 [0.., tag 1] = -2,
        replicas: Option<Vec<i32>> [0.., tag 2],
        removing_replicas: Option<Vec<i32>> [0.., tag 3],
        adding_replicas: Option<Vec<i32>> [0.., tag 4],
        leader_recovery_state: i8 [0.., tag 5] = -1,
        directories: Option<Vec<TopicId>> [1.., tag 8],
        eligible_leader_replicas: Option<Vec<i32>> [2.., tag 6],
        last_known_elr: Option<Vec<i32>> [2.., tag 7],
    }

    /// Record types 7 (fenced) and 8 (no longer fenced), of old logs.
    pub struct FenceBroker {
        id: i32,
        epoch: i64,
    }

    /// Record type 10.
    pub struct DelegationToken {
        owner: String,
        requester: String,
        renewers: Vec<String>,
        issue_timestamp: i64,
        max_timestamp: i64,
        expiration_timestamp: i64,
        token_id: String,
    }

    /// Record type 11.
    pub struct UserScramCredential {
        name: String,
        /// 1 SCRAM-SHA-256, 2 SCRAM-SHA-512.
        mechanism: i8,
        salt: Bytes,
        stored_key: Bytes,
        server_key: Bytes,
        iterations: i32,
    }

    /// Record type 14.
    pub struct ClientQuota {
        entity: Vec<QuotaEntity>,
        key: String,
        value: f64,
        remove: bool,
    }

    /// Whom a quota is about; a name of none is everyone without a quota of their own.
    pub struct QuotaEntity {
        entity_type: String,
        entity_name: Option<String>,
    }

    /// Record type 17, versions 0 to 3: only what changed is there.
    pub struct BrokerRegistrationChange {
        broker_id: i32,
        broker_epoch: i64,
        /// 1 fenced, -1 no longer fenced.
        fenced: i8 [0.., tag 0],
        in_controlled_shutdown: i8 [1.., tag 1],
        log_dirs: Vec<TopicId> [2.., tag 2],
        cordoned_log_dirs: Option<Vec<TopicId>> [3.., tag 3],
    }

    /// Record type 18. Numbers are those of Kafka's `ResourceType`, `PatternType`, `AclOperation`, `AclPermissionType`.
    pub struct AccessControlEntry {
        id: TopicId,
        resource_type: i8,
        resource_name: String,
        pattern_type: i8,
        principal: String,
        host: String,
        operation: i8,
        permission_type: i8,
    }

    /// Record type 19.
    pub struct RemoveAccessControlEntry {
        id: TopicId,
    }

    /// Record types 20 and 24, and whatever else says all by being there.
    pub struct Empty {}

    /// Record type 21.
    pub struct ZkMigrationState {
        zk_migration_state: i8,
    }

    /// Record type 22.
    pub struct RemoveUserScramCredential {
        name: String,
        mechanism: i8,
    }

    /// Record type 23: what follows counts once the transaction ends.
    pub struct BeginTransaction {
        name: Option<String> [0.., tag 0],
    }

    /// Record type 25: what came since the beginning does not count.
    pub struct AbortTransaction {
        reason: Option<String> [0.., tag 0],
    }

    /// Record type 26.
    pub struct RemoveDelegationToken {
        token_id: String,
    }

    /// Record type 27.
    pub struct RegisterController {
        controller_id: i32,
        incarnation_id: TopicId,
        zk_migration_ready: bool,
        end_points: Vec<EndPoint>,
        features: Vec<FeatureRange>,
    }

    /// Record type 28.
    pub struct ClearElr {
        topic_name: String,
    }

    /// Control types 0 (abort) and 1 (commit): the value's version is said before it. Never flexible.
    pub struct EndTxnMarker {
        coordinator_epoch: i32,
    }

    /// Control type 2, versions 0 and 1.
    pub struct LeaderChange {
        version: i16,
        leader_id: i32,
        voters: Vec<Voter>,
        granting_voters: Vec<Voter>,
    }

    /// A voter by its id.
    pub struct Voter {
        voter_id: i32,
        voter_directory_id: TopicId [1..],
    }

    /// Control type 3: a snapshot begins.
    pub struct SnapshotHeader {
        version: i16,
        last_contained_log_timestamp: i64,
    }

    /// Control type 4: a snapshot ends.
    pub struct SnapshotFooter {
        version: i16,
    }

    /// Control type 5.
    pub struct KRaftVersion {
        version: i16,
        k_raft_version: i16,
    }

    /// Control type 6: who votes.
    pub struct KRaftVoters {
        version: i16,
        voters: Vec<VoterAddress>,
    }

    /// A voter and where it is.
    pub struct VoterAddress {
        voter_id: i32,
        voter_directory_id: TopicId,
        endpoints: Vec<VoterEndpoint>,
        k_raft_version_feature: KRaftVersionRange,
    }

    /// A listener of a voter.
    pub struct VoterEndpoint {
        name: String,
        host: String,
        port: u16,
    }

    /// The levels of `kraft.version` that a voter supports, inclusive.
    pub struct KRaftVersionRange {
        min_supported_version: i16,
        max_supported_version: i16,
    }
}
