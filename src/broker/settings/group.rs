//! Every group setting of Kafka 4.3 as a table, each with the broker settings that give its default and its bounds;
//! those of share and streams groups are kept and shown, and no group acts on them.

use super::Settings;
use super::kind::Allowed::{self, Any, AtLeast, OneOf};
use super::kind::Kind::{self, Boolean, Int, Text};
use super::kind::Stand::{self, Honoured, WithoutEffect};
use super::kind::{self, Row};
use super::{SettingError, checked};

/// One setting of a group.
#[derive(Debug, Clone, Copy)]
pub struct GroupRow {
    /// What it is.
    pub row: Row,
    /// The broker setting that gives its default; empty where none does.
    pub synonym: &'static str,
    /// The broker settings that bound it from below and above; empty where none does.
    pub bounds: (&'static str, &'static str),
}

/// How its default and bounds are found.
enum Of {
    /// `group.NAME` is the default, `group.KIND.min.REST` and `group.KIND.max.REST` are the bounds.
    Broker(&'static str, &'static str, &'static str),
    /// The row says all.
    Row,
}

const fn row(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    allowed: Allowed,
    stand: Stand,
    of: Of,
    doc: &'static str,
) -> GroupRow {
    let (synonym, bounds) = match of {
        Of::Broker(synonym, least, most) => (synonym, (least, most)),
        Of::Row => ("", ("", "")),
    };
    let default = Some(default);
    GroupRow {
        row: Row { name, kind, default, kafka_default: default, allowed, stand, doc },
        synonym,
        bounds,
    }
}

/// All group settings, sorted by name.
#[rustfmt::skip]
pub const GROUP: &[GroupRow] = &[
    row("consumer.assignment.interval.ms", Int, "1000", AtLeast(0), Honoured,
        Of::Broker("group.consumer.assignment.interval.ms", "group.consumer.min.assignment.interval.ms", "group.consumer.max.assignment.interval.ms"),
        "Least time between two assignments of the group's partitions."),
    row("consumer.heartbeat.interval.ms", Int, "5000", AtLeast(1), Honoured,
        Of::Broker("group.consumer.heartbeat.interval.ms", "group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
        "Heartbeat interval that the group's members are told."),
    row("consumer.session.timeout.ms", Int, "45000", AtLeast(1), Honoured,
        Of::Broker("group.consumer.session.timeout.ms", "group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
        "How long a member of the group may be silent before it is taken for gone."),
    row("share.assignment.interval.ms", Int, "1000", AtLeast(0), WithoutEffect,
        Of::Broker("group.share.assignment.interval.ms", "group.share.min.assignment.interval.ms", "group.share.max.assignment.interval.ms"),
        "Least time between two assignments of a share group; klog serves none."),
    row("share.auto.offset.reset", Text, "latest", Allowed::ResetOffset, WithoutEffect, Of::Row,
        "Where a share group begins in a partition it has not read; klog serves none."),
    row("share.delivery.count.limit", Int, "5", AtLeast(2), WithoutEffect,
        Of::Broker("group.share.delivery.count.limit", "group.share.min.delivery.count.limit", "group.share.max.delivery.count.limit"),
        "How often a share group delivers a record; klog serves none."),
    row("share.heartbeat.interval.ms", Int, "5000", AtLeast(1), WithoutEffect,
        Of::Broker("group.share.heartbeat.interval.ms", "group.share.min.heartbeat.interval.ms", "group.share.max.heartbeat.interval.ms"),
        "Heartbeat interval of a share group; klog serves none."),
    row("share.isolation.level", Text, "read_uncommitted", OneOf(&["read_committed", "read_uncommitted"]), WithoutEffect, Of::Row,
        "Whether a share group sees records of open transactions; klog serves none."),
    row("share.partition.max.record.locks", Int, "2000", AtLeast(100), WithoutEffect,
        Of::Broker("group.share.partition.max.record.locks", "group.share.min.partition.max.record.locks", "group.share.max.partition.max.record.locks"),
        "Most records of a partition that a share group holds locked; klog serves none."),
    row("share.record.lock.duration.ms", Int, "30000", AtLeast(1000), WithoutEffect,
        Of::Broker("group.share.record.lock.duration.ms", "group.share.min.record.lock.duration.ms", "group.share.max.record.lock.duration.ms"),
        "How long a share group locks a record for a consumer; klog serves none."),
    row("share.renew.acknowledge.enable", Boolean, "true", Any, WithoutEffect, Of::Row,
        "Whether a member of a share group may renew its locks; klog serves none."),
    row("share.session.timeout.ms", Int, "45000", AtLeast(1), WithoutEffect,
        Of::Broker("group.share.session.timeout.ms", "group.share.min.session.timeout.ms", "group.share.max.session.timeout.ms"),
        "How long a member of a share group may be silent; klog serves none."),
    row("streams.assignment.interval.ms", Int, "1000", AtLeast(0), WithoutEffect,
        Of::Broker("group.streams.assignment.interval.ms", "group.streams.min.assignment.interval.ms", "group.streams.max.assignment.interval.ms"),
        "Least time between two assignments of a streams group; klog serves none."),
    row("streams.heartbeat.interval.ms", Int, "5000", AtLeast(1), WithoutEffect,
        Of::Broker("group.streams.heartbeat.interval.ms", "group.streams.min.heartbeat.interval.ms", "group.streams.max.heartbeat.interval.ms"),
        "Heartbeat interval of a streams group; klog serves none."),
    row("streams.initial.rebalance.delay.ms", Int, "3000", AtLeast(0), WithoutEffect,
        Of::Broker("group.streams.initial.rebalance.delay.ms", "", ""),
        "How long an empty streams group waits for more members; klog serves none."),
    row("streams.num.standby.replicas", Int, "0", AtLeast(0), WithoutEffect,
        Of::Broker("group.streams.num.standby.replicas", "", "group.streams.max.standby.replicas"),
        "Standby tasks of each task of a streams group; klog serves none."),
    row("streams.session.timeout.ms", Int, "45000", AtLeast(1), WithoutEffect,
        Of::Broker("group.streams.session.timeout.ms", "group.streams.min.session.timeout.ms", "group.streams.max.session.timeout.ms"),
        "How long a member of a streams group may be silent; klog serves none."),
];

/// The group setting of that name.
pub fn find(name: &str) -> Option<&'static GroupRow> {
    kind::find(GROUP, name, |group| &group.row)
}

/// Holds one setting of a group against the table and the broker's bounds; answers it as it is kept.
///
/// # Errors
/// `Unknown`, `BadValue`.
pub fn check(name: &str, value: &str, broker: &Settings) -> Result<(&'static str, String), SettingError> {
    let Some(group) = find(name) else {
        let nearest = kind::nearest(name, GROUP.iter().map(|group| group.row.name));
        return Err(SettingError::Unknown { name: name.to_owned(), nearest });
    };
    let kept = checked(&group.row, value)?;
    let number = kept.parse::<i64>().unwrap_or(0);
    let refused =
        |allowed: String| SettingError::BadValue { name: group.row.name, value: kept.clone(), allowed };
    let (least, most) = group.bounds;
    if !least.is_empty() && number < broker.int(least) {
        return Err(refused(format!("a whole number from {least} ({}) on", broker.int(least))));
    }
    if !most.is_empty() && number > broker.int(most) {
        return Err(refused(format!("a whole number up to {most} ({})", broker.int(most))));
    }
    Ok((group.row.name, kept))
}

#[cfg(test)]
mod tests {
    use super::super::BROKER;
    use super::*;

    #[test]
    fn the_table_is_sorted_and_names_broker_settings() {
        assert!(GROUP.is_sorted_by_key(|group| group.row.name));
        for group in GROUP {
            let default = group.row.default.unwrap();
            assert!(group.row.check(default).is_ok(), "{}", group.row.name);
            for name in [group.synonym, group.bounds.0, group.bounds.1] {
                assert!(name.is_empty() || kind::find(BROKER, name, |row| row).is_some(), "{name}");
            }
            if let Some(row) = kind::find(BROKER, group.synonym, |row| row) {
                assert_eq!(row.default, group.row.default, "{}", group.row.name);
            }
        }
    }

    #[test]
    fn the_brokers_bounds_hold() {
        let broker = Settings::default();
        let timeout = |value| check("consumer.session.timeout.ms", value, &broker);
        assert_eq!(timeout("50000"), Ok(("consumer.session.timeout.ms", "50000".to_owned())));
        assert!(matches!(timeout("44999"), Err(SettingError::BadValue { .. })));
        assert!(matches!(timeout("60001"), Err(SettingError::BadValue { .. })));
        let nearest = Some("consumer.session.timeout.ms");
        let wrong = check("consumer.session.timeout", "1", &broker);
        assert!(matches!(wrong, Err(SettingError::Unknown { nearest: near, .. }) if near == nearest));
        for good in ["latest", "earliest", "by_duration:PT1H"] {
            assert!(check("share.auto.offset.reset", good, &broker).is_ok(), "{good}");
        }
        assert!(check("share.auto.offset.reset", "by_duration:soon", &broker).is_err());
    }
}
