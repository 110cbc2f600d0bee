//! Changes of the catalog: each is decided, appended, synced and only then applied and visible, so that nothing need
//! ever be taken back; a failure leaves everything as it was.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::catalog::{Catalog, NewTopic, Refusal, Upgrade};
use super::partition::InternalRecord;
use super::{Broker, BrokerError, Partition, Topic};
use crate::model::id::TopicId;
use crate::model::name::{CONSUMER_OFFSETS, TRANSACTION_STATE};
use crate::schema::metadata::MetadataRecord;

/// Why a topic was not made or not removed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdminError {
    /// The catalog refuses.
    #[error("{0}")]
    Refused(#[from] Refusal),
    /// It could not be stored.
    #[error("{0}")]
    Failed(#[from] BrokerError),
}

impl Broker {
    /// Decides a change, stores its records durably and applies them. Blocking; one change at a time.
    pub(super) fn change<T>(
        &self,
        decide: impl FnOnce(&Catalog) -> Result<(T, Vec<MetadataRecord>), Refusal>,
    ) -> Result<T, BrokerError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let decided = decide(&self.state().catalog);
        let (answer, records) = decided.map_err(|refusal| BrokerError::Refused(Box::new(refusal)))?;
        if !records.is_empty() {
            self.store(&records)?;
            self.apply(&records);
        }
        Ok(answer)
    }

    /// Appends the records as one batch, whole or not at all, and syncs.
    pub(super) fn store(&self, records: &[MetadataRecord]) -> Result<(), BrokerError> {
        let encoded = records
            .iter()
            .map(|record| Ok(InternalRecord { key: None, value: Some(record.encode()?) }))
            .collect::<Result<Vec<_>, BrokerError>>()?;
        self.metadata.append_internal(&encoded, self.clock.wall_ms())?;
        self.metadata.log().sync()?;
        Ok(())
    }

    pub(super) fn apply(&self, records: &[MetadataRecord]) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for record in records {
            state.catalog.apply(record);
        }
    }

    /// Makes topics: folders and records are on disk when this answers. Blocking.
    pub fn create_topics(&self, wanted: &[NewTopic]) -> Vec<Result<Arc<Topic>, AdminError>> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut beside = Catalog::default();
        let mut made = Vec::new();
        let mut records = Vec::new();
        for new in wanted {
            let decided = self.decide_topic(new, &beside).and_then(|decided| {
                let topic = self.make_folders(new, decided.0)?;
                Ok((topic, decided.1))
            });
            made.push(decided.map(|(topic, decided)| {
                decided.iter().for_each(|record| beside.apply(record));
                records.extend(decided);
                topic
            }));
        }
        if records.is_empty() {
            return made;
        }
        // One batch: where a part of it could not be stored, no topic must be there at the next start.
        if let Err(error) = self.folder.sync().map_err(BrokerError::from).and_then(|()| self.store(&records))
        {
            for done in made.iter_mut().filter(|done| done.is_ok()) {
                *done = Err(error.clone().into());
            }
            return made;
        }
        self.apply(&records);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        for topic in made.iter().flatten() {
            topic.opened().for_each(Partition::touch);
            state.live.insert(Arc::clone(topic.name()), Arc::clone(topic));
        }
        drop(state);
        made
    }

    fn decide_topic(
        &self,
        new: &NewTopic,
        beside: &Catalog,
    ) -> Result<(TopicId, Vec<MetadataRecord>), AdminError> {
        let id = self.random.id().map_err(|_| BrokerError::NoRandom)?;
        beside.create_topic(new, id, self.node_id, TopicId::ZERO)?;
        let records = self.state().catalog.create_topic(new, id, self.node_id, self.directory_id())?;
        Ok((id, records))
    }

    /// Checks what [`Broker::create_topics`] would do, without doing it; answers an id that the topic could have had.
    ///
    /// # Errors
    /// As there.
    pub fn check_topic(&self, new: &NewTopic) -> Result<TopicId, AdminError> {
        self.decide_topic(new, &Catalog::default()).map(|(id, _)| id)
    }

    fn make_folders(&self, new: &NewTopic, id: TopicId) -> Result<Arc<Topic>, AdminError> {
        let settings = self.topic_settings(new.configs.clone(), &new.name);
        let count = usize::try_from(new.partitions).unwrap_or(0);
        let epoch = self.state().catalog.leader_epoch();
        let topic = Topic::new(new.name.as_str().into(), id, count, epoch, settings);
        for index in 0..new.partitions {
            topic.partition(index, &self.folder, &self.around).map_err(BrokerError::from)?;
        }
        Ok(topic)
    }

    /// Gives a topic more partitions, `count` in all: folders and records are on disk when this answers. With
    /// `validate_only` only checked. Blocking.
    ///
    /// # Errors
    /// `Unknown`, `NotMore`, `Partitions`; a failing disk.
    pub fn add_partitions(&self, name: &str, count: i32, validate_only: bool) -> Result<(), AdminError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.state().catalog.add_partitions(name, count, self.node_id, self.directory_id())?;
        let Some(topic) = self.topic(name).filter(|_| !validate_only) else { return Ok(()) };
        let old = topic.partition_count();
        let grown = topic.grown(usize::try_from(count).unwrap_or(0));
        for index in old..count {
            grown.partition(index, &self.folder, &self.around).map_err(BrokerError::from)?;
        }
        self.folder.sync().map_err(BrokerError::from)?;
        self.store(&records)?;
        self.apply(&records);
        (old..count).filter_map(|index| grown.opened_at(index)).for_each(Partition::touch);
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.live.insert(Arc::clone(grown.name()), grown);
        Ok(())
    }

    /// Moves features to levels, all or none; with `validate_only` only checked. Blocking.
    ///
    /// # Errors
    /// `Feature`; a failing disk.
    pub fn update_features(
        &self,
        wanted: &[(String, i16, Upgrade)],
        validate_only: bool,
    ) -> Result<(), AdminError> {
        let done = self.change(|catalog| {
            let mut records = Vec::new();
            for (name, level, upgrade) in wanted {
                records.extend(catalog.set_feature(name, *level, *upgrade)?);
            }
            Ok(((), if validate_only { Vec::new() } else { records }))
        });
        done.map_err(|error| match error {
            BrokerError::Refused(refusal) => AdminError::Refused(*refusal),
            other => AdminError::Failed(other),
        })
    }

    /// The level a feature is finalized at; 0 where it is not.
    pub fn feature_level(&self, name: &str) -> i16 {
        self.state().catalog.feature_level(name)
    }

    /// All finalized features with their levels, and the epoch of that: it rises with every change of the catalog.
    pub fn features(&self) -> (Vec<(String, i16)>, i64) {
        let state = self.state();
        let levels = state.catalog.features().map(|(name, level)| (name.to_owned(), level)).collect();
        (levels, self.metadata.log_end() - 1)
    }

    /// Removes a topic: gone from the catalog, on disk, when this answers; its files follow. Blocking.
    ///
    /// # Errors
    /// `Unknown`; a failing disk.
    pub fn delete_topic(&self, name: &str) -> Result<(), AdminError> {
        let _one = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let records = self.state().catalog.delete_topic(name)?;
        self.store(&records)?;
        self.apply(&records);
        let topic = self.state.write().unwrap_or_else(PoisonError::into_inner).live.remove(name);
        let Some(topic) = topic else { return Ok(()) };
        for index in 0..topic.partition_count() {
            match topic.partition(index, &self.folder, &self.around) {
                Ok(Some(partition)) => {
                    partition.leave();
                    if let Err(error) = partition.log().delete() {
                        tracing::warn!(partition = %partition.id(), %error, "a deleted topic's folder is still there");
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(topic = name, index, %error, "a deleted topic's folder is still there");
                }
            }
        }
        if let Err(error) = self.folder.sync() {
            tracing::warn!(topic = name, %error, "a deleted topic's folders may come back as strays");
        }
        self.deleted.notify_one();
        Ok(())
    }

    /// Makes sure an internal topic is there, with the number of partitions of its setting.
    ///
    /// # Errors
    /// A failing disk.
    pub async fn ensure_internal(self: &Arc<Self>, topic: &'static str) -> Result<(), BrokerError> {
        if self.topic(topic).is_some() {
            return Ok(());
        }
        let (partitions, segment) = match topic {
            CONSUMER_OFFSETS => ("offsets.topic.num.partitions", "offsets.topic.segment.bytes"),
            TRANSACTION_STATE => {
                ("transaction.state.log.num.partitions", "transaction.state.log.segment.bytes")
            }
            _ => return Err(BrokerError::UnknownPartition),
        };
        let partitions = i32::try_from(self.settings().int(partitions)).unwrap_or(1);
        let segment = self.settings().int(segment).max(1 << 20).to_string();
        let configs = BTreeMap::from([
            ("cleanup.policy".to_owned(), "compact".to_owned()),
            ("compression.type".to_owned(), "producer".to_owned()),
            ("segment.bytes".to_owned(), segment),
        ]);
        let new = NewTopic { name: topic.to_owned(), partitions, replication_factor: 1, configs };
        let made = self.blocking(move |broker| broker.create_topics(&[new])).await?;
        match made.into_iter().next() {
            Some(Err(AdminError::Failed(error))) => Err(error),
            // Made by another meanwhile is as good.
            _ => Ok(()),
        }
    }
}
