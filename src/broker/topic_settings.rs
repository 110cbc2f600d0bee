//! A topic's settings: checked by Kafka's table, defaults from the broker's own, and as the plain values that the log
//! and the checks of a produce act on; an unknown name is never kept.

use std::collections::BTreeMap;

use super::settings::kind::{self, Row};
use super::settings::table::TOPIC;
use super::settings::{Origin, SettingError, Settings};
use crate::record::{Codec, Compression};
use crate::storage::LogSettings;

/// A topic's settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSettings {
    /// What the log acts on.
    pub log: LogSettings,
    /// `max.message.bytes`: largest batch, in bytes.
    pub max_message_bytes: usize,
    /// `message.timestamp.type` is LogAppendTime.
    pub log_append_time: bool,
    /// `message.timestamp.before.max.ms`; `i64::MAX` for no bound.
    pub timestamp_before_max_ms: i64,
    /// `message.timestamp.after.max.ms`; `i64::MAX` for no bound.
    pub timestamp_after_max_ms: i64,
    /// `compression.type` with its level: the codec in which batches are kept; `None` keeps what was sent.
    pub compression: Option<Compression>,
    /// `cleanup.policy` has compact.
    pub compacted: bool,
    /// What was set on the topic itself, by Kafka's names.
    pub given: BTreeMap<String, String>,
}

/// Where a setting's value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Set on the topic.
    Topic,
    /// Set on the group.
    Group,
    /// Set at run time, on this broker.
    ThisBroker,
    /// Set at run time, as the default of all brokers.
    AllBrokers,
    /// Given to the broker at start.
    Broker,
    /// klog's default.
    Default,
}

impl From<Origin> for Source {
    fn from(origin: Origin) -> Self {
        match origin {
            Origin::ThisBroker => Self::ThisBroker,
            Origin::AllBrokers => Self::AllBrokers,
            Origin::Start => Self::Broker,
        }
    }
}

/// One step of the way to a setting's value: the name it has there, the value, where from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The setting's name at that place.
    pub name: &'static str,
    /// The value; `None` is null.
    pub value: Option<String>,
    /// The place.
    pub source: Source,
}

/// Most bytes that a batch may inflate to: enough for any text, a bound for bombs.
pub fn max_inflated_bytes(max_message_bytes: usize) -> usize {
    max_message_bytes.saturating_mul(64).clamp(16 << 20, 512 << 20)
}

/// Holds one setting of a topic against the table; answers it as it is kept.
///
/// # Errors
/// `Unknown`, `BadValue`.
pub fn check(name: &str, value: &str) -> Result<(&'static str, String), SettingError> {
    let Some((row, _)) = kind::find(TOPIC, name, |(row, _)| row) else {
        let nearest = kind::nearest(name, TOPIC.iter().map(|(row, _)| row.name));
        return Err(SettingError::Unknown { name: name.to_owned(), nearest });
    };
    let bad = |allowed| SettingError::BadValue { name: row.name, value: value.to_owned(), allowed };
    let kept = row.check(value).map_err(bad)?;
    if row.name == "remote.storage.enable" && kept == "true" {
        let why = "klog has no remote storage";
        return Err(SettingError::Refused { name: row.name, value: kept, why });
    }
    Ok((row.name, kept))
}

/// Rules between the settings of a topic on which `given` is set.
///
/// # Errors
/// `BadValue`.
pub fn check_together(given: &BTreeMap<String, String>, broker: &Settings) -> Result<(), SettingError> {
    let value = |name: &str| -> i64 {
        let found = kind::find(TOPIC, name, |(row, _)| row);
        let step =
            found.and_then(|(row, synonym)| steps(row, synonym, given.get(name), broker).into_iter().next());
        step.and_then(|step| step.value).and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    let (least, most) = (value("min.compaction.lag.ms"), value("max.compaction.lag.ms"));
    if least > most {
        return Err(SettingError::BadValue {
            name: "min.compaction.lag.ms",
            value: least.to_string(),
            allowed: format!("at most max.compaction.lag.ms, which is {most}"),
        });
    }
    Ok(())
}

/// The way to the value of a topic's setting, from the one in force down to the default.
pub fn steps(
    row: &'static Row,
    synonym: &'static str,
    given: Option<&String>,
    broker: &Settings,
) -> Vec<Step> {
    let mut steps = Vec::new();
    if let Some(value) = given {
        steps.push(Step { name: row.name, value: Some(value.clone()), source: Source::Topic });
    }
    for (name, scale) in synonyms(synonym) {
        for (origin, value) in broker.layers(name) {
            steps.push(Step { name, value: Some(scaled(value, scale)), source: origin.into() });
        }
    }
    let name = synonyms(synonym).last().map_or(row.name, |(name, _)| name);
    steps.push(Step { name, value: row.default.map(str::to_owned), source: Source::Default });
    steps
}

/// The broker settings that give a topic setting's default, first wins, each with what its value is multiplied by.
fn synonyms(synonym: &'static str) -> impl Iterator<Item = (&'static str, i64)> {
    const HOUR: i64 = 3_600_000;
    let list: &[(&'static str, i64)] = match synonym {
        "" => &[],
        "log.retention.ms" => {
            &[("log.retention.ms", 1), ("log.retention.minutes", 60_000), ("log.retention.hours", HOUR)]
        }
        "log.roll.ms" => &[("log.roll.ms", 1), ("log.roll.hours", HOUR)],
        "log.roll.jitter.ms" => &[("log.roll.jitter.ms", 1), ("log.roll.jitter.hours", HOUR)],
        _ => &[],
    };
    let single = (list.is_empty() && !synonym.is_empty()).then_some((synonym, 1));
    list.iter().copied().chain(single)
}

fn scaled(value: &str, scale: i64) -> String {
    match value.parse::<i64>() {
        Ok(number) if number < 0 => "-1".to_owned(),
        Ok(number) if scale != 1 => number.saturating_mul(scale).to_string(),
        _ => value.to_owned(),
    }
}

/// The codec and level that `compression.type` and its level setting name; `None` for `producer`.
fn compression(kind: &str, text: &dyn Fn(&str) -> String) -> Option<Compression> {
    let level = |name: &str| text(name).parse::<i32>().ok();
    Some(match kind {
        "uncompressed" => Compression::NONE,
        // -1 is the library's default.
        "gzip" => Compression {
            codec: Codec::Gzip,
            level: level("compression.gzip.level").filter(|level| *level > 0),
        },
        "snappy" => Codec::Snappy.into(),
        "lz4" => Compression { codec: Codec::Lz4, level: level("compression.lz4.level") },
        "zstd" => Compression { codec: Codec::Zstd, level: level("compression.zstd.level") },
        _ => return None,
    })
}

/// A share between 0 and 1 in millionths.
fn millionths(share: &str) -> u32 {
    (share.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0) * 1e6).round() as u32
}

impl TopicSettings {
    /// The settings in force for what was `given` on the topic, over the broker's.
    pub fn of(given: BTreeMap<String, String>, broker: &Settings) -> Self {
        let text = |name: &str| -> String {
            let Some((row, synonym)) = kind::find(TOPIC, name, |(row, _)| row) else {
                debug_assert!(false, "{name} is not a topic setting");
                return String::new();
            };
            let first = steps(row, synonym, given.get(name), broker).into_iter().next();
            first.and_then(|step| step.value).unwrap_or_default()
        };
        let long = |name: &str| text(name).parse::<i64>().unwrap_or(0);
        let word = |name: &str| u32::try_from(long(name)).unwrap_or(u32::MAX);
        let policy = text("cleanup.policy");
        let has = |wanted: &str| policy.split(',').any(|word| word == wanted);
        let log = LogSettings {
            segment_bytes: word("segment.bytes"),
            segment_ms: long("segment.ms"),
            segment_index_bytes: word("segment.index.bytes"),
            index_interval_bytes: word("index.interval.bytes"),
            segment_jitter_ms: long("segment.jitter.ms"),
            preallocate: text("preallocate") == "true",
            file_delete_delay_ms: long("file.delete.delay.ms"),
            retention_ms: long("retention.ms"),
            retention_bytes: long("retention.bytes"),
            delete_by_retention: has("delete"),
            compact: has("compact"),
            min_dirty_millionths: millionths(&text("min.cleanable.dirty.ratio")),
            min_compaction_lag_ms: long("min.compaction.lag.ms"),
            max_compaction_lag_ms: long("max.compaction.lag.ms"),
            delete_retention_ms: long("delete.retention.ms"),
            flush_messages: long("flush.messages"),
            flush_ms: long("flush.ms"),
            producer_expiration_ms: broker.int("producer.id.expiration.ms"),
        };
        Self {
            log,
            max_message_bytes: usize::try_from(long("max.message.bytes")).unwrap_or(0),
            log_append_time: text("message.timestamp.type") == "LogAppendTime",
            timestamp_before_max_ms: long("message.timestamp.before.max.ms"),
            timestamp_after_max_ms: long("message.timestamp.after.max.ms"),
            compression: compression(&text("compression.type"), &text),
            compacted: has("compact"),
            given,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(pairs: &[(&str, &str)]) -> Settings {
        Settings::parse(pairs.iter().copied()).unwrap()
    }

    #[test]
    fn defaults_come_from_the_broker_and_the_topic_wins() {
        let plain = TopicSettings::of(BTreeMap::new(), &broker(&[]));
        assert_eq!(plain.log, LogSettings::default());
        assert_eq!(plain.max_message_bytes, 1_048_588);
        let hours = broker(&[("log.retention.hours", "2"), ("log.flush.interval.messages", "7")]);
        let kept = TopicSettings::of(BTreeMap::new(), &hours);
        assert_eq!((kept.log.retention_ms, kept.log.flush_messages), (7_200_000, 7));
        let both = broker(&[("log.retention.hours", "2"), ("log.retention.ms", "-1")]);
        assert_eq!(TopicSettings::of(BTreeMap::new(), &both).log.retention_ms, -1);
        let given = BTreeMap::from([("retention.ms".to_owned(), "5".to_owned())]);
        assert_eq!(TopicSettings::of(given, &both).log.retention_ms, 5);
    }

    #[test]
    fn unknown_names_and_bad_values_are_refused() {
        assert_eq!(check("retention.ms", " 10 "), Ok(("retention.ms", "10".to_owned())));
        assert!(matches!(
            check("retention.mss", "10"),
            Err(SettingError::Unknown { nearest: Some("retention.ms"), .. })
        ));
        for (name, value) in [("segment.bytes", "5"), ("cleanup.policy", "x"), ("flush.messages", "0")] {
            assert!(matches!(check(name, value), Err(SettingError::BadValue { .. })), "{name}");
        }
        assert!(check("remote.storage.enable", "true").is_err());
    }
}
