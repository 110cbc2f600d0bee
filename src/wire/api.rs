//! The APIs of Kafka 4.3 and their versions, as one table; never says which of them this broker serves.

/// Who answers an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// Brokers.
    Broker,
    /// Controllers.
    Controller,
    /// Brokers and controllers.
    Both,
    /// Nobody any more: only the key is still reserved.
    Removed,
}

/// What is known of an API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ApiFacts {
    /// The API.
    pub key: ApiKey,
    /// Its name in Kafka.
    pub name: &'static str,
    /// Lowest version that can be decoded.
    pub min: i16,
    /// Highest stable version; -1 when the API was removed.
    pub max: i16,
    /// First version with compact lengths and tagged fields, of request and response alike.
    pub first_flexible: Option<i16>,
    /// Who answers it.
    pub listener: Listener,
}

macro_rules! optional {
    (none) => {
        None
    };
    ($value:literal) => {
        Some($value)
    };
}

macro_rules! apis {
    ($($name:ident = $key:literal, $min:literal..=$max:literal, flexible $flexible:tt, $listener:ident;)*) => {
        /// An API by its key on the wire (KIP-35).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i16)]
        pub enum ApiKey {
            $(
                #[doc = concat!("Key ", $key, ", versions ", $min, " to ", $max, ".")]
                $name = $key,
            )*
        }

        /// All APIs, each at the index that is its key.
        pub const APIS: &[ApiFacts] = &[$(ApiFacts {
            key: ApiKey::$name,
            name: stringify!($name),
            min: $min,
            max: $max,
            first_flexible: optional!($flexible),
            listener: Listener::$listener,
        }),*];
    };
}

apis! {
    Produce = 0, 3..=13, flexible 9, Broker;
    Fetch = 1, 4..=18, flexible 12, Both;
    ListOffsets = 2, 1..=11, flexible 6, Broker;
    Metadata = 3, 0..=13, flexible 9, Broker;
    LeaderAndIsr = 4, 0..=-1, flexible none, Removed;
    StopReplica = 5, 0..=-1, flexible none, Removed;
    UpdateMetadata = 6, 0..=-1, flexible none, Removed;
    ControlledShutdown = 7, 0..=-1, flexible none, Removed;
    OffsetCommit = 8, 2..=10, flexible 8, Broker;
    OffsetFetch = 9, 1..=10, flexible 6, Broker;
    FindCoordinator = 10, 0..=6, flexible 3, Broker;
    JoinGroup = 11, 0..=9, flexible 6, Broker;
    Heartbeat = 12, 0..=4, flexible 4, Broker;
    LeaveGroup = 13, 0..=5, flexible 4, Broker;
    SyncGroup = 14, 0..=5, flexible 4, Broker;
    DescribeGroups = 15, 0..=6, flexible 5, Broker;
    ListGroups = 16, 0..=5, flexible 3, Broker;
    SaslHandshake = 17, 0..=1, flexible none, Both;
    ApiVersions = 18, 0..=4, flexible 3, Both;
    CreateTopics = 19, 2..=7, flexible 5, Both;
    DeleteTopics = 20, 1..=6, flexible 4, Both;
    DeleteRecords = 21, 0..=2, flexible 2, Broker;
    InitProducerId = 22, 0..=5, flexible 2, Broker;
    OffsetForLeaderEpoch = 23, 2..=4, flexible 4, Broker;
    AddPartitionsToTxn = 24, 0..=5, flexible 3, Broker;
    AddOffsetsToTxn = 25, 0..=4, flexible 3, Broker;
    EndTxn = 26, 0..=5, flexible 3, Broker;
    WriteTxnMarkers = 27, 1..=2, flexible 1, Broker;
    TxnOffsetCommit = 28, 0..=5, flexible 3, Broker;
    DescribeAcls = 29, 1..=3, flexible 2, Both;
    CreateAcls = 30, 1..=3, flexible 2, Both;
    DeleteAcls = 31, 1..=3, flexible 2, Both;
    DescribeConfigs = 32, 1..=4, flexible 4, Both;
    AlterConfigs = 33, 0..=2, flexible 2, Both;
    AlterReplicaLogDirs = 34, 1..=2, flexible 2, Broker;
    DescribeLogDirs = 35, 1..=5, flexible 2, Broker;
    SaslAuthenticate = 36, 0..=2, flexible 2, Both;
    CreatePartitions = 37, 0..=3, flexible 2, Both;
    CreateDelegationToken = 38, 1..=3, flexible 2, Both;
    RenewDelegationToken = 39, 1..=2, flexible 2, Both;
    ExpireDelegationToken = 40, 1..=2, flexible 2, Both;
    DescribeDelegationToken = 41, 1..=3, flexible 2, Both;
    DeleteGroups = 42, 0..=2, flexible 2, Broker;
    ElectLeaders = 43, 0..=2, flexible 2, Both;
    IncrementalAlterConfigs = 44, 0..=1, flexible 1, Both;
    AlterPartitionReassignments = 45, 0..=1, flexible 0, Both;
    ListPartitionReassignments = 46, 0..=0, flexible 0, Both;
    OffsetDelete = 47, 0..=0, flexible none, Broker;
    DescribeClientQuotas = 48, 0..=1, flexible 1, Broker;
    AlterClientQuotas = 49, 0..=1, flexible 1, Both;
    DescribeUserScramCredentials = 50, 0..=0, flexible 0, Both;
    AlterUserScramCredentials = 51, 0..=0, flexible 0, Both;
    Vote = 52, 0..=2, flexible 0, Controller;
    BeginQuorumEpoch = 53, 0..=1, flexible 1, Controller;
    EndQuorumEpoch = 54, 0..=1, flexible 1, Controller;
    DescribeQuorum = 55, 0..=2, flexible 0, Both;
    AlterPartition = 56, 2..=3, flexible 2, Controller;
    UpdateFeatures = 57, 0..=2, flexible 0, Both;
    Envelope = 58, 0..=0, flexible 0, Controller;
    FetchSnapshot = 59, 0..=1, flexible 0, Controller;
    DescribeCluster = 60, 0..=2, flexible 0, Both;
    DescribeProducers = 61, 0..=0, flexible 0, Broker;
    BrokerRegistration = 62, 0..=4, flexible 0, Controller;
    BrokerHeartbeat = 63, 0..=2, flexible 0, Controller;
    UnregisterBroker = 64, 0..=0, flexible 0, Both;
    DescribeTransactions = 65, 0..=0, flexible 0, Broker;
    ListTransactions = 66, 0..=2, flexible 0, Broker;
    AllocateProducerIds = 67, 0..=0, flexible 0, Controller;
    ConsumerGroupHeartbeat = 68, 0..=1, flexible 0, Broker;
    ConsumerGroupDescribe = 69, 0..=1, flexible 0, Broker;
    ControllerRegistration = 70, 0..=0, flexible 0, Controller;
    GetTelemetrySubscriptions = 71, 0..=0, flexible 0, Broker;
    PushTelemetry = 72, 0..=0, flexible 0, Broker;
    AssignReplicasToDirs = 73, 0..=0, flexible 0, Controller;
    ListConfigResources = 74, 0..=1, flexible 0, Broker;
    DescribeTopicPartitions = 75, 0..=0, flexible 0, Broker;
    ShareGroupHeartbeat = 76, 1..=1, flexible 1, Broker;
    ShareGroupDescribe = 77, 1..=1, flexible 1, Broker;
    ShareFetch = 78, 1..=2, flexible 1, Broker;
    ShareAcknowledge = 79, 1..=2, flexible 1, Broker;
    AddRaftVoter = 80, 0..=1, flexible 0, Both;
    RemoveRaftVoter = 81, 0..=0, flexible 0, Both;
    UpdateRaftVoter = 82, 0..=0, flexible 0, Controller;
    InitializeShareGroupState = 83, 0..=0, flexible 0, Broker;
    ReadShareGroupState = 84, 0..=0, flexible 0, Broker;
    WriteShareGroupState = 85, 0..=1, flexible 0, Broker;
    DeleteShareGroupState = 86, 0..=0, flexible 0, Broker;
    ReadShareGroupStateSummary = 87, 0..=1, flexible 0, Broker;
    StreamsGroupHeartbeat = 88, 0..=0, flexible 0, Broker;
    StreamsGroupDescribe = 89, 0..=0, flexible 0, Broker;
    DescribeShareGroupOffsets = 90, 0..=1, flexible 0, Broker;
    AlterShareGroupOffsets = 91, 0..=0, flexible 0, Broker;
    DeleteShareGroupOffsets = 92, 0..=0, flexible 0, Broker;
}

impl ApiKey {
    /// The API with key `code`.
    pub fn from_code(code: i16) -> Option<Self> {
        usize::try_from(code).ok().and_then(|index| APIS.get(index)).map(|facts| facts.key)
    }

    /// The key on the wire.
    pub const fn code(self) -> i16 {
        self as i16
    }

    /// What is known of the API.
    pub const fn facts(self) -> &'static ApiFacts {
        &APIS[self as usize]
    }

    /// Its name in Kafka.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Lowest version that can be decoded.
    pub const fn min_version(self) -> i16 {
        self.facts().min
    }

    /// Lowest version that an ApiVersions answer names: for Produce 0, although 0 to 2 are refused, because
    /// librdkafka takes a higher one for a broker without Produce (KAFKA-18659).
    pub const fn advertised_min_version(self) -> i16 {
        match self {
            Self::Produce => 0,
            _ => self.min_version(),
        }
    }

    /// Highest stable version; -1 when the API was removed.
    pub const fn max_version(self) -> i16 {
        self.facts().max
    }

    /// First version with compact lengths and tagged fields.
    pub const fn first_flexible(self) -> Option<i16> {
        self.facts().first_flexible
    }

    /// Whether `version` can be decoded.
    pub const fn supports(self, version: i16) -> bool {
        self.min_version() <= version && version <= self.max_version()
    }

    /// Whether `version` has compact lengths and tagged fields.
    pub const fn is_flexible(self, version: i16) -> bool {
        match self.first_flexible() {
            Some(first) => version >= first,
            None => false,
        }
    }
}

impl std::fmt::Display for ApiKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_lies_at_its_key() {
        for (index, facts) in APIS.iter().enumerate() {
            assert_eq!(facts.key.code() as usize, index);
            assert_eq!(ApiKey::from_code(index as i16), Some(facts.key));
        }
        assert_eq!(ApiKey::from_code(-1), None);
        assert_eq!(ApiKey::from_code(APIS.len() as i16), None);
        assert_eq!(ApiKey::Fetch.to_string(), "Fetch");
        assert!(ApiKey::Fetch.is_flexible(12) && !ApiKey::Fetch.is_flexible(11));
        assert!(!ApiKey::SaslHandshake.is_flexible(1));
        assert!(!ApiKey::Produce.supports(2) && ApiKey::Produce.advertised_min_version() == 0);
    }
}
