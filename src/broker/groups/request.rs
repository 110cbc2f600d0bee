//! What a group is asked and what it answers, as plain values; never a struct of the protocol.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::model::id::{TopicId, TopicPartition};

/// The time as the coordinator sees it; both come from the broker's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Milliseconds that only grow; time-outs are counted in these.
    pub mono_ms: i64,
    /// Milliseconds since 1970; stored with offsets and group states.
    pub wall_ms: i64,
}

/// Names a parked answer: who waits is known to the shell around the core alone.
pub type Ticket = u64;

/// Why a group says no. Each stands for one code of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs)]
pub enum GroupError {
    #[error("the member is not known to the group")]
    UnknownMember,
    #[error("the generation is not the group's")]
    IllegalGeneration,
    #[error("another member holds this instance id")]
    FencedInstance,
    #[error("the group is rebalancing")]
    RebalanceInProgress,
    #[error("the member shares no protocol with the group")]
    InconsistentProtocol,
    #[error("join again with the member id given")]
    MemberIdRequired,
    #[error("the group has as many members as group.max.size allows")]
    GroupFull,
    #[error("the group id is not valid")]
    InvalidGroup,
    #[error("the session time-out is outside group.min.session.timeout.ms to group.max.session.timeout.ms")]
    InvalidSessionTimeout,
    #[error("no such group")]
    GroupNotFound,
    #[error("the offset's metadata is longer than offset.metadata.max.bytes")]
    MetadataTooLarge,
    #[error("the coordinator lost its log and reads it again")]
    NotCoordinator,
    #[error("the coordinator is not there (yet)")]
    NotAvailable,
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the member's epoch is not the one it is in: it must give up its partitions and join again")]
    FencedEpoch,
    #[error("the member's epoch is not the one it is in")]
    StaleEpoch,
    #[error("a member of this instance id has not left")]
    UnreleasedInstance,
    #[error("the assignor is not one of group.consumer.assignors")]
    UnsupportedAssignor,
    #[error("the pattern is not a regular expression, or is too large")]
    InvalidRegex,
    #[error("members of the consumer protocol need a newer version of this request")]
    UnsupportedVersion,
    #[error("the group has members")]
    NonEmpty,
    #[error("the group reads this topic")]
    Subscribed,
    #[error("a later epoch of the producer has replaced this one")]
    ProducerFenced,
    #[error("a later coordinator has ended transactions of the producer")]
    CoordinatorFenced,
    #[error("the transaction is not under way")]
    NotInTransaction,
}

/// A protocol a member can work with, and what it tells the leader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protocol {
    /// The assignor's name.
    pub name: String,
    /// Opaque to the broker (a subscription, for consumers).
    pub metadata: Bytes,
}

/// A member that wants in.
#[derive(Debug, Clone)]
pub struct JoinRequest {
    /// The group; not empty.
    pub group: Arc<str>,
    /// The member's id, empty if it has none yet.
    pub member_id: String,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// The client's own name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// Milliseconds without a sign of life until the member is removed.
    pub session_timeout_ms: i32,
    /// Milliseconds the member takes at most to join again.
    pub rebalance_timeout_ms: i32,
    /// `consumer`, `connect` ...
    pub protocol_type: String,
    /// In the member's order of preference.
    pub protocols: Vec<Protocol>,
    /// Whether a member without id is sent back with one first (KIP-394).
    pub needs_member_id: bool,
    /// Whether a returning static leader may be told to keep the assignment (KIP-814).
    pub may_skip_assignment: bool,
    /// Topics that the member may not know of: to it they are not there.
    pub hidden: BTreeSet<Arc<str>>,
    /// Random text for a new member id: randomness comes in from outside.
    pub draw: String,
}

/// One member as the leader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinedMember {
    /// The member.
    pub member_id: String,
    /// Its name, if static.
    pub instance_id: Option<String>,
    /// Its metadata for the chosen protocol.
    pub metadata: Bytes,
}

/// A join that came to a generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joined {
    /// The generation.
    pub generation: i32,
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The protocol chosen by vote.
    pub protocol: Option<String>,
    /// The leader's member id.
    pub leader: String,
    /// Whether the leader keeps the assignment there is.
    pub skip_assignment: bool,
    /// The asking member's id.
    pub member_id: String,
    /// All members, for the leader alone.
    pub members: Vec<JoinedMember>,
}

/// A join refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinRefused {
    /// Why.
    pub error: GroupError,
    /// The id to join with next, where there is one.
    pub member_id: String,
}

/// A member that wants its assignment; the leader brings everyone's.
#[derive(Debug, Clone)]
pub struct SyncRequest {
    /// The group.
    pub group: Arc<str>,
    /// The generation the member joined.
    pub generation: i32,
    /// The member.
    pub member_id: String,
    /// Its name, if static.
    pub instance_id: Option<String>,
    /// What the member takes the group's protocol type for, if it says.
    pub protocol_type: Option<String>,
    /// What the member takes the chosen protocol for, if it says.
    pub protocol: Option<String>,
    /// Assignments by member id, from the leader.
    pub assignments: Vec<(String, Bytes)>,
}

/// An assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// The group's protocol type.
    pub protocol_type: Option<String>,
    /// The chosen protocol.
    pub protocol: Option<String>,
    /// What the leader gave this member.
    pub assignment: Bytes,
}

/// Who a request says it comes from: held against the group before anything is done for it.
#[derive(Debug, Clone, Copy)]
pub struct Sender<'a> {
    /// Generation, -1 for none.
    pub generation: i32,
    /// Member id, empty for none.
    pub member_id: &'a str,
    /// Name of a static member.
    pub instance_id: Option<&'a str>,
    /// Whether the request is of a version that knows of member epochs (OffsetCommit 9).
    pub knows_epochs: bool,
}

/// A member to take out of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaver {
    /// Its id; empty when an admin names the instance only.
    pub member_id: String,
    /// Its name, if static.
    pub instance_id: Option<String>,
}

/// One offset to keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOffset {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The topic's id; zero if not known.
    pub topic_id: TopicId,
    /// The partition.
    pub partition: i32,
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 for unknown.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: String,
}

/// An offset that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptOffset {
    /// The next offset to read.
    pub offset: i64,
    /// Leader epoch of the last record read, -1 for unknown.
    pub leader_epoch: i32,
    /// The client's note.
    pub metadata: String,
    /// When it was committed (wall clock).
    pub committed_ms: i64,
    /// When it ends by the client's own wish (old clients only), -1 for never.
    pub expires_ms: i64,
    /// The id of the topic it was committed for; zero if not known.
    pub topic_id: TopicId,
    /// The offset of the record that says so, in its partition of `__consumer_offsets`; -1 before it has one. Of two
    /// commits the later record counts, whenever the transaction of either ends.
    pub recorded_at: i64,
}

/// What a reader is told of a partition's offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Committed {
    /// None is kept.
    Nothing,
    /// This one.
    At(KeptOffset),
    /// A transaction that may replace it has not ended, and the reader asked for one that stays (KIP-447).
    Unstable,
}

/// The transaction that offsets belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTransaction {
    /// The transactional id.
    pub id: String,
    /// Its producer id.
    pub producer_id: i64,
    /// Its producer epoch.
    pub epoch: i16,
    /// Whether the commit itself brings the group's partition into the transaction (KIP-890), else it must be in it.
    pub adds: bool,
}

/// A group described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Description {
    /// `Empty`, `PreparingRebalance`, `CompletingRebalance` or `Stable`.
    pub state: &'static str,
    /// Empty if the group only keeps offsets.
    pub protocol_type: String,
    /// The chosen protocol; told while stable.
    pub protocol: String,
    /// The members.
    pub members: Vec<DescribedMember>,
}

/// A member described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedMember {
    /// The member.
    pub member_id: String,
    /// Its name, if static.
    pub instance_id: Option<String>,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// Its metadata for the chosen protocol; told while stable.
    pub metadata: Bytes,
    /// Its assignment; told while stable.
    pub assignment: Bytes,
}

/// A group in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The group.
    pub group: Arc<str>,
    /// Empty if the group only keeps offsets.
    pub protocol_type: String,
    /// As in [`Description::state`] or [`ConsumerDescription::state`].
    pub state: &'static str,
    /// Whether it is a consumer group.
    pub consumer: bool,
}

/// A group as the metrics see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observed {
    /// The group.
    pub group: Arc<str>,
    /// As in [`Description::state`].
    pub state: &'static str,
    /// How many members it has.
    pub members: usize,
    /// The offsets it keeps: where, of which topic (zero if not known), the next offset to read.
    pub offsets: Vec<(TopicPartition, TopicId, i64)>,
}

/// What a member of a consumer group is timed by, in milliseconds: the group's settings, or the broker's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// `consumer.session.timeout.ms`: without a sign of life until the member is removed.
    pub session_ms: i32,
    /// `consumer.heartbeat.interval.ms`: what members are told.
    pub interval_ms: i32,
    /// `consumer.assignment.interval.ms`: the least time between two targets.
    pub assignment_interval_ms: i32,
}

/// A member of a consumer group says it is there; `None` says that nothing changed.
#[derive(Debug, Clone)]
pub struct ConsumerHeartbeat {
    /// The group; not empty.
    pub group: Arc<str>,
    /// The member's id; empty only for one that joins and wants an id.
    pub member_id: String,
    /// 0 joins, -1 leaves, -2 leaves for a while.
    pub epoch: i32,
    /// The name of a static member.
    pub instance_id: Option<String>,
    /// The member's rack.
    pub rack_id: Option<String>,
    /// Milliseconds it takes at most to give partitions back, -1 if unchanged.
    pub rebalance_timeout_ms: i32,
    /// Topics by name.
    pub topics: Option<Vec<String>>,
    /// Topics by pattern; empty ends such a subscription.
    pub regex: Option<String>,
    /// The assignor it wishes for.
    pub assignor: Option<String>,
    /// What it has.
    pub owned: Option<BTreeMap<TopicId, BTreeSet<i32>>>,
    /// The client's own name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// Random text for a member id, should the member need one.
    pub draw: String,
    /// What it is timed by.
    pub timing: Timing,
}

impl ConsumerHeartbeat {
    /// Whether everything is said again, as after an error: the answer then says everything too.
    pub fn is_whole(&self) -> bool {
        self.rebalance_timeout_ms != -1
            && (self.topics.is_some() || self.regex.is_some())
            && self.owned.is_some()
    }
}

/// The answer to a [`ConsumerHeartbeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beat {
    /// The member's id.
    pub member_id: String,
    /// The epoch it is in from now on.
    pub epoch: i32,
    /// Milliseconds until its next heartbeat.
    pub interval_ms: i32,
    /// What it is to have, where that changed.
    pub assignment: Option<BTreeMap<TopicId, BTreeSet<i32>>>,
}

/// A consumer group described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// `Empty`, `Assigning`, `Reconciling` or `Stable`.
    pub state: &'static str,
    /// The group's epoch.
    pub epoch: i32,
    /// The epoch of its target.
    pub target_epoch: i32,
    /// The assignor in use.
    pub assignor: String,
    /// The members.
    pub members: Vec<DescribedConsumer>,
}

/// A member of a consumer group described.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedConsumer {
    /// The member.
    pub member_id: String,
    /// Its name, if static.
    pub instance_id: Option<String>,
    /// Its rack.
    pub rack_id: Option<String>,
    /// The epoch it is in.
    pub epoch: i32,
    /// The client's name for itself.
    pub client_id: String,
    /// Where it calls from.
    pub client_host: String,
    /// Topics by name.
    pub topics: Vec<String>,
    /// Topics by pattern.
    pub regex: Option<String>,
    /// What it has.
    pub assignment: Vec<DescribedParts>,
    /// What it is to have.
    pub target: Vec<DescribedParts>,
    /// Whether it speaks the classic protocol.
    pub classic: bool,
}

/// Partitions of one topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DescribedParts {
    /// The topic's id.
    pub topic_id: TopicId,
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partitions.
    pub partitions: Vec<i32>,
}

/// An assignor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assignor {
    /// Balanced over all topics.
    Uniform,
    /// A range of each topic.
    Range,
}

impl Assignor {
    const ALL: [Self; 2] = [Self::Uniform, Self::Range];

    /// Its name in the protocol.
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Range => "range",
        }
    }
}

/// The assignors that `group.consumer.assignors` allows, the default first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assignors {
    first: Assignor,
    second: Option<Assignor>,
}

impl Default for Assignors {
    fn default() -> Self {
        Self { first: Assignor::Uniform, second: Some(Assignor::Range) }
    }
}

impl Assignors {
    /// The assignors of these names, in their order; all of them if none is known.
    pub fn of<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known = names.into_iter().filter_map(|name| {
            let name = name.trim();
            Assignor::ALL.into_iter().find(|assignor| assignor.name() == name)
        });
        match known.next() {
            Some(first) => Self { first, second: known.find(|other| *other != first) },
            None => Self::default(),
        }
    }

    /// The one taken where no member wishes for another.
    pub fn default_one(self) -> Assignor {
        self.first
    }

    /// The one of that name, if it is allowed.
    pub fn get(self, name: &str) -> Option<Assignor> {
        [Some(self.first), self.second].into_iter().flatten().find(|assignor| assignor.name() == name)
    }
}

/// Bounds of consumer groups, by the settings' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConsumerRules {
    /// The broker's times, for groups without settings of their own.
    pub timing: Timing,
    /// `group.consumer.max.size`
    pub max_size: usize,
    /// `group.consumer.assignors`
    pub assignors: Assignors,
    /// `group.consumer.migration.policy` lets a classic group become a consumer group.
    pub upgrade: bool,
    /// `group.consumer.migration.policy` lets a consumer group become a classic one.
    pub downgrade: bool,
}

impl Default for ConsumerRules {
    fn default() -> Self {
        Self {
            timing: Timing { session_ms: 45_000, interval_ms: 5_000, assignment_interval_ms: 1_000 },
            max_size: i32::MAX as usize,
            assignors: Assignors::default(),
            upgrade: true,
            downgrade: true,
        }
    }
}

/// Bounds and defaults of groups, by the settings' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// `group.min.session.timeout.ms`
    pub min_session_timeout_ms: i32,
    /// `group.max.session.timeout.ms`
    pub max_session_timeout_ms: i32,
    /// `group.initial.rebalance.delay.ms`
    pub initial_rebalance_delay_ms: i32,
    /// `group.max.size`
    pub max_size: usize,
    /// `offset.metadata.max.bytes`
    pub offset_metadata_max_bytes: usize,
    /// `offsets.retention.minutes`, in milliseconds.
    pub offsets_retention_ms: i64,
    /// `offsets.retention.check.interval.ms`
    pub offsets_retention_check_interval_ms: i64,
    /// Of consumer groups.
    pub consumer: ConsumerRules,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            min_session_timeout_ms: 6_000,
            max_session_timeout_ms: 1_800_000,
            initial_rebalance_delay_ms: 0,
            max_size: i32::MAX as usize,
            offset_metadata_max_bytes: 4_096,
            offsets_retention_ms: 10_080 * 60_000,
            offsets_retention_check_interval_ms: 600_000,
            consumer: ConsumerRules::default(),
        }
    }
}
