//! What holds back the readers of committed records: transactions that are open in partitions, and whose they are;
//! asks more than the ends only where one is open.

use serde_json::{Value, json};

use super::output::rows::{Format, Rows};
use super::times;
use crate::client::admin::OffsetSpec;
use crate::client::options::Isolation;
use crate::client::{Client, ClientError};
use crate::model::id::TopicPartition;

/// The ends of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Ends {
    /// The high watermark.
    pub(super) end: Option<i64>,
    /// The last stable offset.
    pub(super) stable: Option<i64>,
}

impl Ends {
    /// Whether something before the end can not be read as committed yet.
    pub(super) fn are_apart(&self) -> bool {
        self.stable.zip(self.end).is_some_and(|(stable, end)| stable < end)
    }
}

/// A transaction that is open in a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OpenTransaction {
    pub(super) partition: TopicPartition,
    /// Its first record there.
    pub(super) first_offset: i64,
    pub(super) producer_id: i64,
    pub(super) producer_epoch: i32,
    /// Its transactional id; `None`: no coordinator tells of it.
    pub(super) id: Option<String>,
    /// When it began, ms since 1970.
    pub(super) started_ms: Option<i64>,
    /// The last stable offset of the partition stands at its first record.
    pub(super) holds: bool,
}

/// The ends of partitions, by both isolation levels.
pub(super) async fn ends(client: &Client, partitions: &[TopicPartition]) -> Result<Vec<Ends>, ClientError> {
    let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), OffsetSpec::Latest)).collect();
    // The stable end first: an end that moves meanwhile leaves it behind, never the other way round.
    let stable = client.list_offsets_as(&wanted, Isolation::ReadCommitted).await?;
    let end = client.list_offsets_as(&wanted, Isolation::ReadUncommitted).await?;
    let pairs = stable.into_iter().zip(end);
    Ok(pairs
        .map(|(stable, end)| Ends {
            end: end.ok().map(|listed| listed.offset),
            stable: stable.ok().map(|listed| listed.offset),
        })
        .collect())
}

/// The transactions open in partitions whose ends are apart. What may not be asked is left out.
pub(super) async fn open_in(
    client: &Client,
    partitions: &[TopicPartition],
    ends: &[Ends],
) -> Vec<OpenTransaction> {
    let apart: Vec<(TopicPartition, Option<i64>)> = partitions
        .iter()
        .zip(ends)
        .filter(|(_, ends)| ends.are_apart())
        .map(|(partition, ends)| (partition.clone(), ends.stable))
        .collect();
    let asked: Vec<TopicPartition> = apart.iter().map(|(partition, _)| partition.clone()).collect();
    let mut open = Vec::new();
    for ((partition, stable), producers) in apart.into_iter().zip(client.describe_producers(&asked).await) {
        for producer in producers.unwrap_or_default() {
            let Some(first_offset) = producer.first_offset else { continue };
            open.push(OpenTransaction {
                partition: partition.clone(),
                first_offset,
                producer_id: producer.producer_id,
                producer_epoch: producer.producer_epoch,
                id: None,
                started_ms: None,
                holds: stable.is_some_and(|stable| first_offset <= stable),
            });
        }
    }
    open.sort_by(|a, b| (&a.partition, a.first_offset).cmp(&(&b.partition, b.first_offset)));
    name(client, &mut open).await;
    open
}

/// Finds the transactional ids of what is open.
async fn name(client: &Client, open: &mut [OpenTransaction]) {
    let mut producers: Vec<i64> = open.iter().map(|one| one.producer_id).collect();
    producers.sort_unstable();
    producers.dedup();
    if producers.is_empty() {
        return;
    }
    let listed = client.list_transactions(&[], &producers, None).await.unwrap_or_default();
    let ids: Vec<String> = listed.into_iter().map(|one| one.id).collect();
    for found in client.describe_transactions(&ids).await.into_iter().flatten() {
        let of_it = |one: &&mut OpenTransaction| {
            one.producer_id == found.producer_id && found.partitions.contains(&one.partition)
        };
        for one in open.iter_mut().filter(of_it) {
            (one.id, one.started_ms) = (Some(found.id.clone()), found.started_ms);
        }
    }
}

const COLUMNS: [&str; 8] = [
    "topic",
    "partition",
    "first_offset",
    "transaction",
    "producer_id",
    "producer_epoch",
    "started",
    "holds",
];

fn rows(open: &[OpenTransaction]) -> Rows {
    let mut rows = Rows::new(&COLUMNS);
    for one in open {
        rows.push(vec![
            one.partition.topic.as_ref().into(),
            one.partition.partition.into(),
            one.first_offset.into(),
            one.id.clone().into(),
            one.producer_id.into(),
            one.producer_epoch.into(),
            one.started_ms.and_then(times::rfc3339).into(),
            one.holds.into(),
        ]);
    }
    rows
}

/// As objects for scripts.
pub(super) fn to_json(open: &[OpenTransaction]) -> Value {
    let one = |(row, one): (Vec<Value>, &OpenTransaction)| -> Value {
        let mut object: serde_json::Map<String, Value> =
            COLUMNS.iter().map(|name| (*name).to_owned()).zip(row).collect();
        object.insert("started_ms".to_owned(), json!(one.started_ms));
        Value::Object(object)
    };
    rows(open).rows.into_iter().zip(open).map(one).collect()
}

/// As a table for people, with what to do about one that stays; empty where nothing is open.
pub(super) fn to_text(open: &[OpenTransaction]) -> String {
    if open.is_empty() {
        return String::new();
    }
    let mut rows = rows(open);
    for (row, one) in rows.rows.iter_mut().zip(open) {
        if let Some(last) = row.last_mut() {
            *last = if one.holds { "the last stable offset".into() } else { "".into() };
        }
    }
    let mut out = format!("\nopen transactions\n{}", rows.render(Format::Table));
    if let Some(lost) = open.iter().find(|one| one.id.is_none()) {
        out += &format!(
            "no coordinator tells of producer {}; if it hangs: klog txn abort --topic {}:{} --producer-id {}\n",
            lost.producer_id, lost.partition.topic, lost.partition.partition, lost.producer_id
        );
    }
    out
}
