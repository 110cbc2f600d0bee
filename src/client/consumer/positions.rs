//! Offsets by time or mark: ListOffsets at each partition's leader; never guesses one.

use super::{Consumer, Position};
use crate::client::admin::{Each, ListedOffset, OffsetSpec};
use crate::client::cluster::Lane;
use crate::client::options::Isolation;
use crate::client::retry::{Attempts, Refresh, refresh_after};
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;
use crate::wire::api::ApiKey;
use crate::wire::error::ErrorCode;
use crate::wire::messages::list_offsets::{ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// The first version of ListOffsets that knows the mark of the largest timestamp (KIP-734).
const BY_LARGEST_TIME: i16 = 7;

/// What one partition is asked for, by its place in the caller's list.
type Wanted<'a> = (usize, &'a TopicPartition, OffsetSpec);

impl Client {
    /// Offsets by time or mark, of any partitions, with the client's isolation level.
    ///
    /// # Errors
    /// Failures of the connection, after `api_timeout`; each partition has a result of its own, among them
    /// [`ClientError::UnknownTopic`] and [`ClientError::UnknownPartition`].
    pub async fn list_offsets(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
    ) -> Result<Each<ListedOffset>, ClientError> {
        self.list_offsets_as(wanted, self.options().isolation).await
    }

    /// As [`Client::list_offsets`], with an isolation level of the caller's: the end is the last stable offset or
    /// the high watermark by it.
    ///
    /// # Errors
    /// As [`Client::list_offsets`].
    pub async fn list_offsets_as(
        &self,
        wanted: &[(TopicPartition, OffsetSpec)],
        isolation: Isolation,
    ) -> Result<Each<ListedOffset>, ClientError> {
        let mut found: Vec<Option<Result<ListedOffset, ClientError>>> = vec![None; wanted.len()];
        let mut attempts = Attempts::within(self.options().api_timeout, self.options());
        loop {
            let open: Vec<Wanted<'_>> = (0..)
                .zip(wanted)
                .filter(|(at, _)| found.get(*at).is_some_and(Option::is_none))
                .map(|(at, (partition, spec))| (at, partition, *spec))
                .collect();
            if open.is_empty() {
                return Ok(found.into_iter().flatten().collect());
            }
            if let Some(error) = self.list_round(&open, isolation, &mut found).await? {
                attempts.after(error).await?;
            }
        }
    }

    /// Asks every leader once; gives back a failure that another round may mend.
    async fn list_round(
        &self,
        open: &[Wanted<'_>],
        isolation: Isolation,
        found: &mut [Option<Result<ListedOffset, ClientError>>],
    ) -> Result<Option<ClientError>, ClientError> {
        let mut leaders: BTreeMap<i32, Vec<(Wanted<'_>, i32)>> = BTreeMap::new();
        let mut again = None;
        for &one in open {
            let (at, partition, _) = one;
            match self.leader(partition).await {
                Ok((leader, epoch)) => {
                    let list = leaders.entry(leader).or_default();
                    // A request names a partition once; a second question about it goes with the next round.
                    if !list.iter().any(|((_, other, _), _)| *other == partition) {
                        list.push((one, epoch));
                    }
                }
                Err(error @ (ClientError::UnknownTopic(_) | ClientError::UnknownPartition { .. })) => {
                    set(found, at, Err(error));
                }
                Err(error) => return Err(error),
            }
        }
        for (node, asked) in leaders {
            match self.list_from(node, &asked, isolation).await {
                Ok(answers) => again = self.take_offsets(&asked, answers, found).or(again),
                Err(error) if error.is_retriable() => {
                    self.forget_topics(asked.iter().map(|((_, partition, _), _)| &*partition.topic));
                    again = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(again)
    }

    async fn list_from(
        &self,
        node: i32,
        asked: &[(Wanted<'_>, i32)],
        isolation: Isolation,
    ) -> Result<HashMap<TopicPartition, (ErrorCode, ListedOffset)>, ClientError> {
        let connection = self.node(node, Lane::Main).await?;
        let version = connection.version(ApiKey::ListOffsets)?;
        if version < BY_LARGEST_TIME
            && asked.iter().any(|((_, _, spec), _)| *spec == OffsetSpec::MaxTimestamp)
        {
            // Older brokers would take the mark for a time.
            let what = format!("the largest timestamp (node {node})");
            return Err(ClientError::broker(ErrorCode::UNSUPPORTED_VERSION, what, None));
        }
        let mut topics: BTreeMap<&str, Vec<ListOffsetsPartition>> = BTreeMap::new();
        for ((_, partition, spec), epoch) in asked {
            topics.entry(&partition.topic).or_default().push(ListOffsetsPartition {
                partition_index: partition.partition,
                current_leader_epoch: *epoch,
                timestamp: timestamp_of(*spec),
            });
        }
        let isolation = match isolation {
            Isolation::ReadCommitted if version >= 2 => 1,
            _ => 0,
        };
        let request = ListOffsetsRequest {
            replica_id: -1,
            isolation_level: isolation,
            topics: topics
                .into_iter()
                .map(|(name, partitions)| ListOffsetsTopic { name: name.to_owned(), partitions })
                .collect(),
            timeout_ms: i32::try_from(self.options().request_timeout.as_millis()).unwrap_or(i32::MAX),
        };
        let answer = connection.call_in(&request, version, self.options().request_timeout).await?;
        let mut found = HashMap::new();
        for topic in answer.topics {
            let name: Arc<str> = Arc::from(topic.name);
            for one in topic.partitions {
                let listed = ListedOffset {
                    offset: one.offset,
                    timestamp: one.timestamp,
                    leader_epoch: one.leader_epoch,
                };
                let partition = TopicPartition::new(name.clone(), one.partition_index);
                found.insert(partition, (one.error_code, listed));
            }
        }
        Ok(found)
    }

    fn take_offsets(
        &self,
        asked: &[(Wanted<'_>, i32)],
        mut answers: HashMap<TopicPartition, (ErrorCode, ListedOffset)>,
        found: &mut [Option<Result<ListedOffset, ClientError>>],
    ) -> Option<ClientError> {
        let mut again = None;
        for ((at, partition, _), _) in asked {
            let Some((code, listed)) = answers.remove(partition) else {
                again = Some(ClientError::broker(ErrorCode::REQUEST_TIMED_OUT, partition.to_string(), None));
                continue;
            };
            if code.is_ok() {
                set(found, *at, Ok(listed));
                continue;
            }
            let error = ClientError::broker(code, partition.to_string(), None);
            match refresh_after(code) {
                Some(refresh) => {
                    if refresh == Refresh::Metadata {
                        self.forget_topics([&*partition.topic]);
                    }
                    again = Some(error);
                }
                None => set(found, *at, Err(error)),
            }
        }
        again
    }
}

impl Consumer {
    /// The offsets that positions stand for now, in the order asked.
    ///
    /// # Errors
    /// [`ClientError::UnknownTopic`] and [`ClientError::UnknownPartition`] where there is none; what a leader says;
    /// failures of the connection, after `api_timeout`.
    pub async fn resolve(&self, wanted: &[(TopicPartition, Position)]) -> Result<Vec<i64>, ClientError> {
        resolve(&self.client, wanted).await
    }
}

/// See [`Consumer::resolve`].
pub(super) async fn resolve(
    client: &Client,
    wanted: &[(TopicPartition, Position)],
) -> Result<Vec<i64>, ClientError> {
    // Both ends of each partition where needed, and the time where one is asked for.
    let mut asked = Vec::new();
    for (partition, position) in wanted {
        match position {
            Position::Offset(_) => {}
            Position::Start | Position::AfterStart(_) => {
                asked.push((partition.clone(), OffsetSpec::Earliest))
            }
            Position::End => asked.push((partition.clone(), OffsetSpec::Latest)),
            Position::BeforeEnd(_) => {
                asked.push((partition.clone(), OffsetSpec::Earliest));
                asked.push((partition.clone(), OffsetSpec::Latest));
            }
            Position::Time(time) => {
                asked.push((partition.clone(), OffsetSpec::Time(*time)));
                asked.push((partition.clone(), OffsetSpec::Latest));
            }
        }
    }
    let mut answers = client.list_offsets(&asked).await?.into_iter();
    let mut next = || answers.next().unwrap_or(Err(ClientError::Closed)).map(|listed| listed.offset);
    let mut out = Vec::with_capacity(wanted.len());
    for (_, position) in wanted {
        out.push(match position {
            Position::Offset(offset) => *offset,
            Position::Start | Position::End => next()?,
            Position::AfterStart(after) => next()?.saturating_add(*after),
            Position::BeforeEnd(before) => {
                let start = next()?;
                next()?.saturating_sub(*before).max(start)
            }
            Position::Time(_) => match (next()?, next()?) {
                (-1, end) => end,
                (at, _) => at,
            },
        });
    }
    Ok(out)
}

fn set(
    found: &mut [Option<Result<ListedOffset, ClientError>>],
    at: usize,
    to: Result<ListedOffset, ClientError>,
) {
    if let Some(place) = found.get_mut(at) {
        *place = Some(to);
    }
}

fn timestamp_of(spec: OffsetSpec) -> i64 {
    match spec {
        OffsetSpec::Latest => -1,
        OffsetSpec::Earliest => -2,
        OffsetSpec::MaxTimestamp => -3,
        OffsetSpec::Time(time) => time.max(0),
    }
}
