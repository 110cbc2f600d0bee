//! What exists: a fold over the records of `__cluster_metadata`. `decide` functions are pure and answer records;
//! `apply` is the only way that the state changes. Nothing here knows a disk or a clock.

mod access;
mod features;
mod settings;

pub use access::{Access, AlteredUsers, UserDeletion, UserRefusal, UserUpsertion};
pub use features::{FEATURES, Feature, Upgrade, feature};
pub use settings::ResourceKind;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::id::TopicId;
use crate::model::name::{BadTopicName, check_topic};
use crate::schema::metadata::{
    Config, FeatureRange, MetadataRecord, Partition, ProducerIds, RegisterBroker, RemoveTopic, Topic,
    resource_type,
};

/// Producer ids that one record hands out: Kafka's block.
pub const PRODUCER_ID_BLOCK: i64 = 1000;
/// Most partitions of one topic: what one batch of the metadata log holds with ease.
pub const MAX_PARTITIONS: i32 = 100_000;

/// A topic as the catalog knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicEntry {
    /// Its name.
    pub name: Arc<str>,
    /// Its id, never used again.
    pub id: TopicId,
    /// Leader epoch with which each partition was made, by index.
    pub partitions: Vec<i32>,
    /// The settings that were set on it, by Kafka's names.
    pub configs: BTreeMap<String, String>,
}

/// All that exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    topics: BTreeMap<Arc<str>, TopicEntry>,
    names: HashMap<TopicId, Arc<str>>,
    next_producer_id: i64,
    registrations: i32,
    /// How many records made topics what they are, and who may see them.
    topic_changes: u64,
    /// Settings of brokers and groups: by kind and name, never empty.
    settings: BTreeMap<(ResourceKind, String), BTreeMap<String, String>>,
    /// Levels that features are finalized at; 0 where one was taken back.
    features: BTreeMap<String, i16>,
    access: Access,
}

/// What a new topic is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// Number of partitions, already the broker's default where none was asked for.
    pub partitions: i32,
    /// Replicas a partition, already the broker's default where none was asked for.
    pub replication_factor: i16,
    /// Settings, checked and in the form in which they are kept.
    pub configs: BTreeMap<String, String>,
}

/// Why the catalog refuses a change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The name is not one a topic may have.
    #[error("{0}")]
    BadName(BadTopicName),
    /// There is a topic of that name.
    #[error("topic {0} exists already")]
    Exists(Arc<str>),
    /// There is a topic whose metric names would be the same.
    #[error("topic {name} collides with topic {other}: '.' and '_' are the same in metric names")]
    Collides {
        /// The name asked for.
        name: String,
        /// The topic there is.
        other: Arc<str>,
    },
    /// There is no such topic.
    #[error("there is no such topic")]
    Unknown,
    /// The number of partitions is not allowed.
    #[error("{0} partitions were asked for; allowed are 1 to {MAX_PARTITIONS}")]
    Partitions(i32),
    /// One node can not hold that many replicas.
    #[error("{0} replicas were asked for; there is one broker")]
    Replicas(i16),
    /// A topic only ever gets more partitions.
    #[error("topic {name} has {current} partitions already; {asked} would not be more")]
    NotMore {
        /// The topic.
        name: String,
        /// How many it has.
        current: i32,
        /// How many were asked for.
        asked: i32,
    },
    /// A feature can not be finalized at that level.
    #[error("feature {feature} can not be set to level {level}: {why}")]
    Feature {
        /// The feature.
        feature: String,
        /// The level asked for.
        level: i16,
        /// Why not.
        why: String,
    },
}

impl Catalog {
    /// A topic by its name.
    pub fn topic(&self, name: &str) -> Option<&TopicEntry> {
        self.topics.get(name)
    }

    /// A topic's name by its id.
    pub fn name(&self, id: &TopicId) -> Option<&Arc<str>> {
        self.names.get(id)
    }

    /// A number that rises whenever topics come, go or grow, or rules about who may see them do.
    pub fn topic_changes(&self) -> u64 {
        self.topic_changes
    }

    /// All topics, by name.
    pub fn topics(&self) -> impl Iterator<Item = &TopicEntry> {
        self.topics.values()
    }

    /// Users and access rules.
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The leader epoch of all partitions: it rises with every registration of this node but the first.
    pub fn leader_epoch(&self) -> i32 {
        (self.registrations - 1).max(0)
    }

    /// Whether this node has ever registered.
    pub fn is_registered(&self) -> bool {
        self.registrations > 0
    }

    /// Decides on a new topic with `id` (random, from the caller).
    ///
    /// # Errors
    /// `BadName`, `Exists`, `Collides`, `Partitions`, `Replicas`.
    pub fn create_topic(
        &self,
        new: &NewTopic,
        id: TopicId,
        node_id: i32,
        directory: TopicId,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        self.check_new(new)?;
        let mut records =
            Vec::with_capacity(1 + new.configs.len() + usize::try_from(new.partitions).unwrap_or(0));
        records.push(MetadataRecord::Topic(Topic { name: new.name.clone(), topic_id: id }));
        for (name, value) in &new.configs {
            records.push(MetadataRecord::Config(Config {
                resource_type: resource_type::TOPIC,
                resource_name: new.name.clone(),
                name: name.clone(),
                value: Some(value.clone()),
            }));
        }
        records.extend((0..new.partitions).map(|index| self.new_partition(id, index, node_id, directory)));
        Ok(records)
    }

    fn new_partition(
        &self,
        topic_id: TopicId,
        partition_id: i32,
        node_id: i32,
        directory: TopicId,
    ) -> MetadataRecord {
        MetadataRecord::Partition(Partition {
            partition_id,
            topic_id,
            replicas: vec![node_id],
            isr: vec![node_id],
            leader: node_id,
            leader_epoch: self.leader_epoch(),
            directories: vec![directory],
            ..Partition::default()
        })
    }

    /// Decides that a topic is to have `count` partitions.
    ///
    /// # Errors
    /// `Unknown`, `NotMore`, `Partitions`.
    pub fn add_partitions(
        &self,
        name: &str,
        count: i32,
        node_id: i32,
        directory: TopicId,
    ) -> Result<Vec<MetadataRecord>, Refusal> {
        let entry = self.topics.get(name).ok_or(Refusal::Unknown)?;
        let current = i32::try_from(entry.partitions.len()).unwrap_or(i32::MAX);
        if count <= current {
            return Err(Refusal::NotMore { name: name.to_owned(), current, asked: count });
        }
        if count > MAX_PARTITIONS {
            return Err(Refusal::Partitions(count));
        }
        Ok((current..count).map(|index| self.new_partition(entry.id, index, node_id, directory)).collect())
    }

    fn check_new(&self, new: &NewTopic) -> Result<(), Refusal> {
        check_topic(&new.name).map_err(Refusal::BadName)?;
        if let Some(entry) = self.topics.get(new.name.as_str()) {
            return Err(Refusal::Exists(Arc::clone(&entry.name)));
        }
        if let Some(other) = self.collision(&new.name) {
            return Err(Refusal::Collides { name: new.name.clone(), other });
        }
        if !(1..=MAX_PARTITIONS).contains(&new.partitions) {
            return Err(Refusal::Partitions(new.partitions));
        }
        if new.replication_factor != 1 {
            return Err(Refusal::Replicas(new.replication_factor));
        }
        Ok(())
    }

    /// A topic whose name differs from `name` only by `.` and `_`. Only names with such a character can collide.
    fn collision(&self, name: &str) -> Option<Arc<str>> {
        let first = name.find(['.', '_'])?;
        let flat = |name: &str| name.replace('.', "_");
        let (wanted, start) = (flat(name), &name[..first]);
        self.topics
            .range::<str, _>((std::ops::Bound::Included(start), std::ops::Bound::Unbounded))
            .take_while(|(other, _)| other.starts_with(start))
            .find(|(other, _)| flat(other) == wanted)
            .map(|(other, _)| Arc::clone(other))
    }

    /// Decides to remove a topic.
    ///
    /// # Errors
    /// `Unknown`.
    pub fn delete_topic(&self, name: &str) -> Result<Vec<MetadataRecord>, Refusal> {
        let entry = self.topics.get(name).ok_or(Refusal::Unknown)?;
        Ok(vec![MetadataRecord::RemoveTopic(RemoveTopic { topic_id: entry.id })])
    }

    /// Decides to hand out a block of producer ids; answers its first id as well.
    pub fn take_producer_ids(&self, node_id: i32) -> (i64, Vec<MetadataRecord>) {
        let first = self.next_producer_id;
        let record = ProducerIds {
            broker_id: node_id,
            broker_epoch: i64::from(self.registrations),
            next_producer_id: first.saturating_add(PRODUCER_ID_BLOCK),
        };
        (first, vec![MetadataRecord::ProducerIds(record)])
    }

    /// Decides that this node is up, after a start that was not clean or for the first time.
    pub fn register(&self, node_id: i32, incarnation_id: TopicId) -> Vec<MetadataRecord> {
        vec![MetadataRecord::RegisterBroker(RegisterBroker {
            broker_id: node_id,
            incarnation_id,
            broker_epoch: i64::from(self.registrations) + 1,
            features: FEATURES
                .iter()
                .map(|feature| FeatureRange {
                    name: feature.name.to_owned(),
                    min_supported_version: feature.min,
                    max_supported_version: feature.max,
                })
                .collect(),
            ..RegisterBroker::default()
        })]
    }

    /// Takes a record into the state. Records that make no sense where they stand are passed over: the log was
    /// written by this same fold.
    pub fn apply(&mut self, record: &MetadataRecord) {
        if let MetadataRecord::Topic(_)
        | MetadataRecord::Partition(_)
        | MetadataRecord::RemoveTopic(_)
        | MetadataRecord::AccessControlEntry(_)
        | MetadataRecord::RemoveAccessControlEntry(_) = record
        {
            self.topic_changes += 1;
        }
        self.access.apply(record);
        match record {
            MetadataRecord::RegisterBroker(_) => self.registrations = self.registrations.saturating_add(1),
            MetadataRecord::Topic(topic) => {
                let name: Arc<str> = topic.name.as_str().into();
                self.names.insert(topic.topic_id, Arc::clone(&name));
                let entry = TopicEntry {
                    name: Arc::clone(&name),
                    id: topic.topic_id,
                    partitions: Vec::new(),
                    configs: BTreeMap::new(),
                };
                self.topics.insert(name, entry);
            }
            MetadataRecord::Partition(partition) => {
                let index = usize::try_from(partition.partition_id).unwrap_or(usize::MAX);
                if let Some(entry) = self.entry(&partition.topic_id)
                    && index == entry.partitions.len()
                    && index < MAX_PARTITIONS as usize
                {
                    entry.partitions.push(partition.leader_epoch);
                }
            }
            MetadataRecord::Config(config) if config.resource_type == resource_type::TOPIC => {
                if let Some(entry) = self.topics.get_mut(config.resource_name.as_str()) {
                    match &config.value {
                        Some(value) => entry.configs.insert(config.name.clone(), value.clone()),
                        None => entry.configs.remove(&config.name),
                    };
                }
            }
            MetadataRecord::RemoveTopic(gone) => {
                if let Some(name) = self.names.remove(&gone.topic_id) {
                    self.topics.remove(&name);
                }
            }
            MetadataRecord::ProducerIds(ids) => {
                self.next_producer_id = self.next_producer_id.max(ids.next_producer_id);
            }
            MetadataRecord::Config(config) => self.apply_setting(config),
            MetadataRecord::FeatureLevel(level) => self.apply_feature(level),
            MetadataRecord::UserScramCredential(_)
            | MetadataRecord::RemoveUserScramCredential(_)
            | MetadataRecord::AccessControlEntry(_)
            | MetadataRecord::RemoveAccessControlEntry(_) => {}
            MetadataRecord::Other(_) => {}
        }
    }

    fn entry(&mut self, id: &TopicId) -> Option<&mut TopicEntry> {
        let name = self.names.get(id)?;
        self.topics.get_mut(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> TopicId {
        TopicId([byte; 16])
    }

    fn new(name: &str, partitions: i32) -> NewTopic {
        NewTopic { name: name.to_owned(), partitions, replication_factor: 1, configs: BTreeMap::new() }
    }

    fn with(catalog: &mut Catalog, records: Vec<MetadataRecord>) {
        for record in records {
            catalog.apply(&record);
        }
    }

    #[test]
    fn topics_come_and_go_by_records_alone() {
        let mut catalog = Catalog::default();
        let mut wanted = new("a.b", 3);
        wanted.configs.insert("retention.ms".to_owned(), "5".to_owned());
        let records = catalog.create_topic(&wanted, id(1), 1, id(9)).unwrap();
        assert_eq!(records.len(), 5);
        assert!(catalog.topic("a.b").is_none(), "deciding changes nothing");
        with(&mut catalog, records);
        let entry = catalog.topic("a.b").unwrap();
        assert_eq!((entry.partitions.len(), entry.configs.len()), (3, 1));
        assert_eq!(catalog.name(&id(1)).map(|name| &**name), Some("a.b"));
        let removal = catalog.delete_topic("a.b").unwrap();
        with(&mut catalog, removal);
        assert!(catalog.topic("a.b").is_none() && catalog.name(&id(1)).is_none());
        assert_eq!(catalog.delete_topic("a.b"), Err(Refusal::Unknown));
    }

    #[test]
    fn a_new_topic_under_an_old_name_outlives_the_old_ones_removal() {
        let mut catalog = Catalog::default();
        for byte in [1, 2] {
            let records = catalog.create_topic(&new("t", 1), id(byte), 1, id(9)).unwrap();
            with(&mut catalog, records);
            if byte == 1 {
                let removal = catalog.delete_topic("t").unwrap();
                with(&mut catalog, removal);
            }
        }
        with(&mut catalog, vec![MetadataRecord::RemoveTopic(RemoveTopic { topic_id: id(1) })]);
        assert_eq!(catalog.topic("t").unwrap().id, id(2));
    }

    #[test]
    fn what_can_not_be_is_refused() {
        let mut catalog = Catalog::default();
        let records = catalog.create_topic(&new("a.b", 1), id(1), 1, id(9)).unwrap();
        with(&mut catalog, records);
        let refused = |new: &NewTopic| catalog.create_topic(new, id(2), 1, id(9)).unwrap_err();
        assert!(matches!(refused(&new("a.b", 1)), Refusal::Exists(_)));
        assert!(matches!(refused(&new("a_b", 1)), Refusal::Collides { .. }));
        assert!(matches!(refused(&new("a/b", 1)), Refusal::BadName(_)));
        assert_eq!(refused(&new("c", 0)), Refusal::Partitions(0));
        assert_eq!(refused(&NewTopic { replication_factor: 3, ..new("c", 1) }), Refusal::Replicas(3));
    }

    #[test]
    fn producer_ids_and_epochs_only_rise() {
        let mut catalog = Catalog::default();
        assert_eq!((catalog.leader_epoch(), catalog.is_registered()), (0, false));
        for epoch in 0..3 {
            let records = catalog.register(1, id(7));
            with(&mut catalog, records);
            assert_eq!(catalog.leader_epoch(), epoch);
            let (first, records) = catalog.take_producer_ids(1);
            assert_eq!(first, i64::from(epoch) * PRODUCER_ID_BLOCK);
            with(&mut catalog, records);
        }
    }
}
