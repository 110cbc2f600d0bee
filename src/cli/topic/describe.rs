//! `klog topic describe`: one topic's partitions, offsets and settings, for people and for scripts.

use std::sync::Arc;

use serde_json::{Value, json};

use super::DescribeArgs;
use crate::cli::context::Context;
use crate::cli::exit::{Exit, Failure};
use crate::cli::held::{self, Ends, OpenTransaction};
use crate::cli::output;
use crate::cli::output::rows::{Format, Rows};
use crate::client::admin::{ConfigEntry, OffsetSpec, Operation};
use crate::client::{Client, TopicView};
use crate::model::id::TopicPartition;

/// What it takes to see all of it.
const SEEN: [Operation; 2] = [Operation::Describe, Operation::DescribeConfigs];

/// Everything there is to say about a topic.
struct Description {
    view: Arc<TopicView>,
    /// Start and ends of each partition, where its leader answered.
    offsets: Vec<(Option<i64>, Ends)>,
    /// Transactions that are open in it.
    open: Vec<OpenTransaction>,
    settings: Vec<ConfigEntry>,
}

pub(super) async fn run(context: &Context, args: DescribeArgs) -> Result<Exit, Failure> {
    let client = context.client().await?;
    let mut exit = Exit::Done;
    let mut found = Vec::new();
    for name in &args.names {
        match describe(&client, name).await {
            Ok(description) => found.push(description),
            Err(error) => {
                let failure = super::not_found(&client, name, &error, &SEEN).await;
                exit = super::worse(exit, output::failure(&failure));
            }
        }
    }
    let text = match args.output.output {
        Format::Table => found.iter().map(Description::text).collect::<Vec<_>>().join("\n"),
        Format::Json if found.is_empty() => String::new(),
        Format::Json => {
            let objects: Vec<String> = found.iter().map(|one| one.json().to_string()).collect();
            format!("[{}]\n", objects.join(",\n "))
        }
        Format::Jsonl => found.iter().map(|one| one.json().to_string() + "\n").collect(),
        Format::Name => found.iter().map(|one| format!("{}\n", one.view.name)).collect(),
        Format::Tsv => {
            let mut rows = Rows::new(&COLUMNS);
            found.iter().for_each(|one| one.partitions(&mut rows));
            rows.render(Format::Tsv)
        }
    };
    output::data(text.as_bytes())?;
    Ok(exit)
}

async fn describe(client: &Client, name: &str) -> Result<Description, crate::client::ClientError> {
    let view = client.topic(name, false).await?;
    let partitions: Vec<_> = (0..view.count()).map(|index| TopicPartition::new(name, index)).collect();
    let wanted: Vec<_> = partitions.iter().map(|one| (one.clone(), OffsetSpec::Earliest)).collect();
    let starts = client.list_offsets(&wanted).await?;
    let ends = held::ends(client, &partitions).await?;
    let open = held::open_in(client, &partitions, &ends).await;
    let starts = starts.into_iter().map(|start| start.ok().map(|start| start.offset));
    let offsets = starts.zip(ends).collect();
    let settings = client.describe_topic_configs(&[name.to_owned()]).await?;
    let mut settings = settings.into_iter().next().unwrap_or_else(|| Ok(Vec::new()))?;
    settings.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(Description { view, offsets, open, settings })
}

const COLUMNS: [&str; 10] = [
    "topic",
    "partition",
    "leader",
    "leader_epoch",
    "replicas",
    "in_sync",
    "start",
    "end",
    "records",
    "stable",
];

impl Description {
    fn partitions(&self, rows: &mut Rows) {
        for (index, (partition, (start, ends))) in self.view.partitions.iter().zip(&self.offsets).enumerate()
        {
            let records = start.zip(ends.end).map(|(start, end)| end - start);
            let leader = Some(partition.leader).filter(|leader| *leader >= 0);
            rows.push(vec![
                self.view.name.as_ref().into(),
                index.into(),
                leader.into(),
                partition.leader_epoch.into(),
                partition.replicas.clone().into(),
                partition.in_sync.clone().into(),
                (*start).into(),
                ends.end.into(),
                records.into(),
                ends.stable.into(),
            ]);
        }
    }

    /// Why acknowledged records may be lost by a power cut; nothing when they can not.
    fn warning(&self) -> Option<String> {
        let flush = self.settings.iter().find(|setting| setting.name == "flush.messages")?;
        let value = flush.value.as_deref()?;
        let alone = self.view.partitions.iter().all(|partition| partition.replicas.len() < 2);
        (value != "1" && alone).then(|| {
            format!(
                "flush.messages is {value}: records are acknowledged and readable before they are on disk, \
                 a power cut may lose them"
            )
        })
    }

    fn json(&self) -> Value {
        let mut rows = Rows::new(&COLUMNS);
        self.partitions(&mut rows);
        let partitions: Vec<Value> = rows
            .rows
            .into_iter()
            .map(|row| COLUMNS.iter().map(|name| (*name).to_owned()).zip(row).skip(1).collect())
            .collect();
        let settings: Vec<Value> = self
            .settings
            .iter()
            .map(|setting| {
                json!({
                    "name": setting.name,
                    "value": setting.value,
                    "source": source(setting.source),
                    "read_only": setting.read_only,
                    "sensitive": setting.sensitive,
                    "documentation": setting.documentation,
                })
            })
            .collect();
        json!({
            "topic": self.view.name.as_ref(),
            "id": (!self.view.id.is_zero()).then(|| self.view.id.to_string()),
            "internal": self.view.internal,
            "partitions": partitions,
            "open_transactions": held::to_json(&self.open),
            "settings": settings,
            "warning": self.warning(),
        })
    }

    fn text(&self) -> String {
        let mut out = format!("topic {}", self.view.name);
        if !self.view.id.is_zero() {
            out += &format!(", id {}", self.view.id);
        }
        if self.view.internal {
            out += ", internal";
        }
        out += "\n";
        if let Some(warning) = self.warning() {
            out += &format!("warning: {warning}\n");
        }
        let mut rows = Rows::new(&COLUMNS);
        self.partitions(&mut rows);
        rows.columns.remove(0);
        rows.rows.iter_mut().for_each(|row| {
            row.remove(0);
        });
        if !self.offsets.iter().any(|(_, ends)| ends.are_apart()) {
            // Without open transactions it says nothing that the end does not.
            rows.columns.pop();
            rows.rows.iter_mut().for_each(|row| {
                row.pop();
            });
        }
        out += &format!("\n{}", rows.render(Format::Table));
        out += &held::to_text(&self.open);
        if !self.settings.is_empty() {
            let mut rows = Rows::new(&["setting", "value", "source"]);
            for setting in &self.settings {
                let hidden = if setting.sensitive { "(hidden)" } else { "" };
                let value = setting.value.as_deref().unwrap_or(hidden);
                rows.push(vec![setting.name.as_str().into(), value.into(), source(setting.source).into()]);
            }
            out += &format!("\n{}", rows.render(Format::Table));
        }
        out
    }
}

/// Kafka's code for where a setting comes from, in words.
fn source(code: i8) -> &'static str {
    match code {
        1 => "topic",
        2 => "broker",
        3 => "cluster",
        4 => "broker start",
        5 => "default",
        8 => "group",
        _ => "unknown",
    }
}
