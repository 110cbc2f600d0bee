//! Settings that change at run time, more partitions, features, and what one node says of a cluster: what is answered,
//! that it counts at once, and that a power cut leaves all of it or nothing.

use klog::broker::GroupSettings;
use klog::record::ProducerStamp;
use klog::wire::error::ErrorCode;
use klog::wire::messages::alter_configs as whole;
use klog::wire::messages::api_versions::ApiVersionsRequest;
use klog::wire::messages::create_partitions::{
    CreatePartitionsAssignment, CreatePartitionsRequest, CreatePartitionsTopic,
};
use klog::wire::messages::create_topics::CreateTopicsRequest;
use klog::wire::messages::delete_records as deletion;
use klog::wire::messages::describe_configs::{
    DescribeConfigsRequest, DescribeConfigsResource, DescribeConfigsResourceResult,
};
use klog::wire::messages::describe_producers as producers;
use klog::wire::messages::describe_topic_partitions as paging;
use klog::wire::messages::incremental_alter_configs::{
    AlterConfigsResource, AlterableConfig, IncrementalAlterConfigsRequest,
};
use klog::wire::messages::list_config_resources::ListConfigResourcesRequest;
use klog::wire::messages::metadata::{MetadataRequest, MetadataRequestTopic};
use klog::wire::messages::offset_for_leader_epoch as epochs;
use klog::wire::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};

use crate::rig::{NOW, Rig, batch, stamped, topic};

const TOPIC: i8 = 2;
const BROKER: i8 = 4;
const GROUP: i8 = 32;
const SET: i8 = 0;
const DELETE: i8 = 1;
const APPEND: i8 = 2;
const SUBTRACT: i8 = 3;

type Change<'a> = (&'a str, i8, Option<&'a str>);

fn change(kind: i8, name: &str, changes: &[Change<'_>]) -> IncrementalAlterConfigsRequest {
    let configs = changes
        .iter()
        .map(|(name, operation, value)| AlterableConfig {
            name: (*name).to_owned(),
            config_operation: *operation,
            value: value.map(str::to_owned),
        })
        .collect();
    let resource = AlterConfigsResource { resource_type: kind, resource_name: name.to_owned(), configs };
    IncrementalAlterConfigsRequest { resources: vec![resource], validate_only: false }
}

impl Rig {
    async fn alter(&self, kind: i8, name: &str, changes: &[Change<'_>]) -> ErrorCode {
        let answer = self.call(&change(kind, name, changes), 1).await;
        let one = &answer.responses[0];
        assert_eq!(one.error_code == ErrorCode::NONE, one.error_message.is_none());
        one.error_code
    }

    async fn set(&self, kind: i8, name: &str, setting: &str, value: &str) {
        assert_eq!(
            self.alter(kind, name, &[(setting, SET, Some(value))]).await,
            ErrorCode::NONE,
            "{setting}"
        );
    }

    async fn described(&self, kind: i8, name: &str, key: &str) -> Option<DescribeConfigsResourceResult> {
        let resource = DescribeConfigsResource {
            resource_type: kind,
            resource_name: name.to_owned(),
            configuration_keys: Some(vec![key.to_owned()]),
        };
        let request = DescribeConfigsRequest {
            resources: vec![resource],
            include_synonyms: true,
            ..Default::default()
        };
        let mut answer = self.call(&request, 4).await;
        assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
        answer.results.remove(0).configs.pop()
    }

    /// Value and source.
    async fn value(&self, kind: i8, name: &str, key: &str) -> (String, i8) {
        let found = self.described(kind, name, key).await.unwrap();
        (found.value.unwrap_or_default(), found.config_source)
    }

    fn retention(&self, name: &str) -> i64 {
        self.broker.topic(name).unwrap().settings().log.retention_ms
    }

    async fn grow(&self, name: &str, count: i32) -> ErrorCode {
        let asked = CreatePartitionsTopic { name: name.to_owned(), count, assignments: None };
        let request = CreatePartitionsRequest { topics: vec![asked], ..Default::default() };
        self.call(&request, 3).await.results[0].error_code
    }
}

fn value(text: &str, source: i8) -> (String, i8) {
    (text.to_owned(), source)
}

#[tokio::test]
async fn a_topics_settings_change_at_once_and_for_good() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[("retention.ms", "77")]).await;
    rig.produce("t", &["a"]).await;
    let log = std::sync::Arc::clone(rig.broker.partition("t", 0).unwrap().log());
    rig.set(TOPIC, "t", "retention.ms", "100").await;
    assert_eq!((rig.retention("t"), log.settings().retention_ms), (100, 100));
    let append = [("cleanup.policy", APPEND, Some("compact"))];
    assert_eq!(rig.alter(TOPIC, "t", &append).await, ErrorCode::NONE);
    assert_eq!(rig.value(TOPIC, "t", "cleanup.policy").await, value("delete,compact", 1));
    let subtract = [("cleanup.policy", SUBTRACT, Some("delete")), ("retention.ms", DELETE, None)];
    assert_eq!(rig.alter(TOPIC, "t", &subtract).await, ErrorCode::NONE);
    assert_eq!(rig.retention("t"), 604_800_000);
    drop(log);
    rig.cut_power();
    assert_eq!(rig.value(TOPIC, "t", "cleanup.policy").await, value("compact", 1));
    assert_eq!(rig.value(TOPIC, "t", "retention.ms").await, value("604800000", 5));
    assert_eq!(rig.values("t", 0, 0).await, ["a"]);
}

#[tokio::test]
async fn settings_as_a_whole_take_away_what_they_do_not_name() {
    let rig = Rig::new();
    rig.create("t", 1, &[("retention.ms", "77"), ("segment.ms", "5")]).await;
    let alter = |pairs: &[(&str, Option<&str>)], validate_only| whole::AlterConfigsRequest {
        resources: vec![whole::AlterConfigsResource {
            resource_type: TOPIC,
            resource_name: "t".to_owned(),
            configs: pairs
                .iter()
                .map(|(name, value)| whole::AlterableConfig {
                    name: (*name).to_owned(),
                    value: value.map(str::to_owned),
                })
                .collect(),
        }],
        validate_only,
    };
    let checked = rig.call(&alter(&[("segment.ms", Some("6"))], true), 2).await;
    assert_eq!(checked.responses[0].error_code, ErrorCode::NONE);
    assert_eq!(rig.retention("t"), 77);
    for wrong in [&[("segment.ms", None)][..], &[("segment.ms", Some("6")), ("segment.ms", Some("7"))]] {
        let refused = rig.call(&alter(wrong, false), 2).await;
        assert_eq!(refused.responses[0].error_code, ErrorCode::INVALID_REQUEST);
    }
    rig.call(&alter(&[("segment.ms", Some("6"))], false), 0).await;
    assert_eq!(rig.value(TOPIC, "t", "segment.ms").await, value("6", 1));
    assert_eq!(rig.retention("t"), 604_800_000);
}

#[tokio::test]
async fn what_can_not_be_set_is_refused_as_kafka_refuses_it() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let x = Some("x");
    let cases: &[(i8, &str, &[Change<'_>], ErrorCode)] = &[
        (TOPIC, "none", &[("retention.ms", SET, Some("1"))], ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        (TOPIC, "a/b", &[("retention.ms", SET, Some("1"))], ErrorCode::INVALID_TOPIC_EXCEPTION),
        (TOPIC, "", &[], ErrorCode::INVALID_REQUEST),
        (TOPIC, "t", &[("retention.mss", SET, Some("1"))], ErrorCode::INVALID_CONFIG),
        (TOPIC, "t", &[("retention.ms", SET, x)], ErrorCode::INVALID_CONFIG),
        (TOPIC, "t", &[("retention.ms", SET, None)], ErrorCode::INVALID_REQUEST),
        (TOPIC, "t", &[("retention.ms", APPEND, Some("1"))], ErrorCode::INVALID_CONFIG),
        (TOPIC, "t", &[("retention.ms", 9, Some("1"))], ErrorCode::INVALID_REQUEST),
        (TOPIC, "t", &[("cleanup.policy", APPEND, Some("shred"))], ErrorCode::INVALID_CONFIG),
        (
            TOPIC,
            "t",
            &[("retention.ms", SET, Some("1")), ("retention.ms", SET, Some("2"))],
            ErrorCode::INVALID_REQUEST,
        ),
        (
            TOPIC,
            "t",
            &[("min.compaction.lag.ms", SET, Some("9")), ("max.compaction.lag.ms", SET, Some("8"))],
            ErrorCode::INVALID_CONFIG,
        ),
        (TOPIC, "t", &[("foo", DELETE, None)], ErrorCode::NONE),
        (BROKER, "", &[("node.id", SET, Some("5"))], ErrorCode::INVALID_REQUEST),
        (BROKER, "1", &[("listeners", SET, x)], ErrorCode::INVALID_REQUEST),
        (BROKER, "1", &[("log.retention.ms", SET, x)], ErrorCode::INVALID_REQUEST),
        (BROKER, "1", &[("log.retention.ms", SET, Some("0"))], ErrorCode::INVALID_REQUEST),
        (BROKER, "2", &[("log.retention.ms", SET, Some("1"))], ErrorCode::INVALID_REQUEST),
        (BROKER, "x", &[("log.retention.ms", SET, Some("1"))], ErrorCode::INVALID_REQUEST),
        (GROUP, "", &[("consumer.session.timeout.ms", SET, Some("50000"))], ErrorCode::INVALID_REQUEST),
        (GROUP, "g", &[("consumer.session.timeout.ms", SET, Some("1"))], ErrorCode::INVALID_CONFIG),
        (GROUP, "g", &[("foo", SET, Some("1"))], ErrorCode::INVALID_CONFIG),
        (8, "1", &[("root", SET, Some("DEBUG"))], ErrorCode::INVALID_CONFIG),
        (16, "m", &[("interval.ms", SET, Some("1"))], ErrorCode::INVALID_REQUEST),
        (77, "m", &[], ErrorCode::INVALID_REQUEST),
    ];
    for (kind, name, changes, code) in cases {
        assert_eq!(rig.alter(*kind, name, changes).await, *code, "{kind} {name} {changes:?}");
    }
    let twice = change(TOPIC, "t", &[("retention.ms", SET, Some("1"))]).resources.remove(0);
    let request =
        IncrementalAlterConfigsRequest { resources: vec![twice.clone(), twice], validate_only: false };
    let answer = rig.call(&request, 1).await;
    assert!(answer.responses.iter().all(|one| one.error_code == ErrorCode::INVALID_REQUEST));
    assert_eq!(rig.retention("t"), 604_800_000, "nothing of all that was done");
}

#[tokio::test]
async fn a_brokers_settings_change_for_all_topics_that_do_not_say() {
    let mut rig = Rig::with(&[("log.retention.ms", "4000")]);
    rig.create("plain", 1, &[]).await;
    rig.create("own", 1, &[("retention.ms", "77")]).await;
    let log = std::sync::Arc::clone(rig.broker.partition("plain", 0).unwrap().log());
    rig.set(BROKER, "", "log.retention.ms", "5000").await;
    assert_eq!((rig.retention("plain"), rig.retention("own")), (5000, 77));
    rig.set(BROKER, "1", "log.retention.ms", "6000").await;
    assert_eq!((rig.retention("plain"), log.settings().retention_ms), (6000, 6000));
    drop(log);
    rig.cut_power();
    rig.create("later", 1, &[]).await;
    assert_eq!((rig.retention("plain"), rig.retention("later"), rig.retention("own")), (6000, 6000, 77));
    let described = rig.described(TOPIC, "own", "retention.ms").await.unwrap();
    let steps: Vec<_> =
        described.synonyms.iter().map(|step| (step.value.as_deref().unwrap(), step.source)).collect();
    // Not the default, which is that of log.retention.hours: Kafka takes it for no synonym.
    assert_eq!(steps, [("77", 1), ("6000", 2), ("5000", 3), ("4000", 4)]);
    assert_eq!(rig.value(BROKER, "1", "log.retention.ms").await, value("6000", 2));
    assert_eq!(rig.value(BROKER, "", "log.retention.ms").await, value("5000", 3));
    assert_eq!(rig.described(BROKER, "", "log.retention.bytes").await, None);
    assert!(!rig.described(BROKER, "1", "log.retention.ms").await.unwrap().read_only);
    assert!(rig.described(BROKER, "1", "node.id").await.unwrap().read_only);
    for name in ["1", ""] {
        assert_eq!(rig.alter(BROKER, name, &[("log.retention.ms", DELETE, None)]).await, ErrorCode::NONE);
    }
    assert_eq!((rig.retention("plain"), rig.broker.settings().int("log.retention.ms")), (4000, 4000));
}

#[tokio::test]
async fn a_groups_settings_are_its_own_within_the_brokers_bounds() {
    let mut rig = Rig::with(&[("group.consumer.session.timeout.ms", "46000")]);
    let plain = GroupSettings {
        consumer_session_timeout_ms: 46_000,
        consumer_heartbeat_interval_ms: 5000,
        consumer_assignment_interval_ms: 1000,
    };
    assert_eq!(rig.broker.group_settings("g"), plain);
    rig.set(GROUP, "g", "consumer.session.timeout.ms", "50000").await;
    rig.set(BROKER, "", "group.consumer.assignment.interval.ms", "2000").await;
    rig.cut_power();
    let own =
        GroupSettings { consumer_session_timeout_ms: 50_000, consumer_assignment_interval_ms: 2000, ..plain };
    assert_eq!(rig.broker.group_settings("g"), own);
    assert_eq!(rig.broker.group_settings("h").consumer_session_timeout_ms, 46_000);
    assert_eq!(rig.value(GROUP, "g", "consumer.session.timeout.ms").await, value("50000", 8));
    assert_eq!(rig.value(GROUP, "h", "consumer.session.timeout.ms").await, value("46000", 4));
    let listed = rig.call(&ListConfigResourcesRequest { resource_types: vec![GROUP, BROKER] }, 1).await;
    let names: Vec<_> =
        listed.config_resources.iter().map(|one| (one.resource_type, one.resource_name.as_str())).collect();
    assert_eq!(names, [(GROUP, "g"), (BROKER, "1")]);
    let unknown = rig.call(&ListConfigResourcesRequest { resource_types: vec![77] }, 1).await;
    assert_eq!(unknown.error_code, ErrorCode::UNSUPPORTED_VERSION);
}

#[tokio::test]
async fn a_topic_gets_more_partitions_while_it_is_used() {
    let mut rig = Rig::new();
    rig.create("t", 2, &[("retention.ms", "77")]).await;
    rig.produce("t", &["a"]).await;
    for (count, code) in [
        (2, ErrorCode::INVALID_PARTITIONS),
        (1, ErrorCode::INVALID_PARTITIONS),
        (0, ErrorCode::INVALID_PARTITIONS),
        (i32::MAX, ErrorCode::INVALID_PARTITIONS),
    ] {
        assert_eq!(rig.grow("t", count).await, code, "{count}");
    }
    assert_eq!(rig.grow("none", 3).await, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    assert_eq!(rig.grow("t", 4).await, ErrorCode::NONE);
    rig.set(TOPIC, "t", "retention.ms", "88").await;
    assert_eq!(rig.broker.partition("t", 3).unwrap().settings().log.retention_ms, 88);
    assert_eq!(rig.send("t", 3, -1, batch(&["b"])).await.error_code, ErrorCode::NONE);
    rig.cut_power();
    assert_eq!(rig.broker.partition_count("t"), Some(4));
    assert_eq!(
        (rig.values("t", 0, 0).await, rig.values("t", 3, 0).await),
        (vec!["a".into()], vec!["b".into()])
    );

    let assigned = |count, brokers: &[&[i32]], validate_only| CreatePartitionsRequest {
        topics: vec![CreatePartitionsTopic {
            name: "t".to_owned(),
            count,
            assignments: Some(
                brokers.iter().map(|ids| CreatePartitionsAssignment { broker_ids: ids.to_vec() }).collect(),
            ),
        }],
        validate_only,
        ..Default::default()
    };
    for brokers in [&[&[2][..]][..], &[&[1, 1]], &[&[1], &[1]], &[]] {
        let answer = rig.call(&assigned(5, brokers, false), 3).await;
        assert_eq!(answer.results[0].error_code, ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{brokers:?}");
    }
    for (validate_only, count) in [(true, 4), (false, 5)] {
        let answer = rig.call(&assigned(5, &[&[1]], validate_only), 3).await;
        assert_eq!(answer.results[0].error_code, ErrorCode::NONE);
        assert_eq!(rig.broker.partition_count("t"), Some(count));
    }
    let mut twice = assigned(6, &[&[1]], false);
    twice.topics.push(twice.topics[0].clone());
    let answer = rig.call(&twice, 3).await;
    assert_eq!((answer.results.len(), answer.results[0].error_code), (1, ErrorCode::INVALID_REQUEST));
}

#[tokio::test]
async fn whatever_sync_fails_a_change_is_whole_or_nothing() {
    let mut failed = 0;
    for after in 0..6 {
        let mut rig = Rig::new();
        rig.create("t", 1, &[("retention.ms", "77")]).await;
        rig.disk.fail_sync(after);
        let grown = rig.grow("t", 3).await == ErrorCode::NONE;
        let altered = rig.alter(TOPIC, "t", &[("retention.ms", SET, Some("88"))]).await == ErrorCode::NONE;
        failed += u32::from(!grown) + u32::from(!altered);
        for restarted in [false, true] {
            if restarted {
                rig.cut_power();
            }
            let count = if grown { 3 } else { 1 };
            assert_eq!(rig.broker.partition_count("t"), Some(count), "sync {after}, restarted {restarted}");
            assert_eq!(rig.retention("t"), if altered { 88 } else { 77 }, "sync {after}");
        }
    }
    assert!(failed > 0, "no sync of them failed");
}

#[tokio::test]
async fn power_cut_at_any_step_leaves_a_change_whole_or_undone() {
    let run = |cut: Option<u64>| async move {
        let mut rig = Rig::new();
        rig.create("t", 1, &[("retention.ms", "77")]).await;
        let begun = rig.disk.steps();
        if let Some(cut) = cut {
            rig.disk.cut_power_at(begun + cut);
        }
        let altered = rig.alter(TOPIC, "t", &[("retention.ms", SET, Some("88"))]).await == ErrorCode::NONE;
        let broker = rig.alter(BROKER, "", &[("log.roll.ms", SET, Some("99"))]).await == ErrorCode::NONE;
        let grown = rig.grow("t", 3).await == ErrorCode::NONE;
        let steps = rig.disk.steps() - begun;
        if cut.is_some() {
            rig.disk.restart();
            rig.cut_power();
            let kept = rig.retention("t");
            assert!(kept == 88 || (kept == 77 && !altered), "{cut:?}: {kept}");
            let roll = rig.broker.settings().given("log.roll.ms").is_some();
            assert!(roll || !broker, "{cut:?}");
            let count = rig.broker.partition_count("t");
            assert!(count == Some(3) || (count == Some(1) && !grown), "{cut:?}: {count:?}");
            assert_eq!(rig.broker.feature_level("group.version"), 1);
        }
        steps
    };
    for cut in 0..run(None).await {
        run(Some(cut)).await;
    }
}

#[tokio::test]
async fn of_several_topics_all_that_are_said_to_be_made_are_and_no_other() {
    for failing in 0..40 {
        let mut rig = Rig::new();
        rig.create("t", 1, &[]).await;
        rig.disk.fail_write(failing);
        let topics = ["a", "b", "c"].map(|name| topic(name, 2, &[])).to_vec();
        let answer = rig.call(&CreateTopicsRequest { topics, ..Default::default() }, 7).await;
        let made: Vec<String> = answer
            .topics
            .iter()
            .filter(|topic| topic.error_code == ErrorCode::NONE)
            .map(|topic| topic.name.clone())
            .collect();
        let there = |rig: &Rig| -> Vec<String> {
            rig.broker
                .topics()
                .iter()
                .map(|topic| topic.name().to_string())
                .filter(|name| name != "t")
                .collect()
        };
        assert_eq!(there(&rig), made, "write {failing}");
        rig.cut_power();
        assert_eq!(there(&rig), made, "write {failing}, after the start");
    }
}

#[tokio::test]
async fn features_are_finalized_and_kept() {
    let mut rig = Rig::new();
    let versions = |version| {
        let (name, number) = ("test".to_owned(), "1".to_owned());
        (ApiVersionsRequest { client_software_name: name, client_software_version: number }, version)
    };
    let (request, version) = versions(4);
    let answer = rig.call(&request, version).await;
    let finalized: Vec<_> = answer
        .finalized_features
        .iter()
        .map(|feature| (feature.name.as_str(), feature.min_version_level, feature.max_version_level))
        .collect();
    assert_eq!(
        finalized,
        [("group.version", 1, 1), ("metadata.version", 30, 30), ("transaction.version", 2, 2)]
    );
    assert_eq!(answer.supported_features.len(), 3);
    assert!(answer.finalized_features_epoch >= 0);
    let old = rig.call(&request, 3).await;
    let supported: Vec<_> = old.supported_features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(supported, ["metadata.version"], "lowest version 0 is not said below version 4");

    let update = |level, upgrade_type, validate_only| UpdateFeaturesRequest {
        feature_updates: vec![FeatureUpdateKey {
            feature: "group.version".to_owned(),
            max_version_level: level,
            upgrade_type,
            ..Default::default()
        }],
        validate_only,
        ..Default::default()
    };
    for (level, way, validate_only, code, left) in [
        (0, 1, false, ErrorCode::INVALID_UPDATE_VERSION, 1),
        (2, 1, false, ErrorCode::INVALID_UPDATE_VERSION, 1),
        (1, 7, false, ErrorCode::INVALID_UPDATE_VERSION, 1),
        (0, 2, true, ErrorCode::NONE, 1),
        (0, 2, false, ErrorCode::NONE, 0),
    ] {
        let answer = rig.call(&update(level, way, validate_only), 2).await;
        assert_eq!(answer.error_code, code, "{level} {way} {validate_only}");
        assert_eq!(rig.broker.feature_level("group.version"), left);
    }
    rig.cut_power();
    assert_eq!(rig.broker.feature_level("group.version"), 0, "taken away stays away");
    assert_eq!(rig.call(&request, 4).await.finalized_features.len(), 2);
    let answer = rig.call(&update(1, 1, false), 1).await;
    assert_eq!((answer.error_code, answer.results.len()), (ErrorCode::NONE, 1));
    rig.restart().await;
    assert_eq!(rig.broker.feature_level("group.version"), 1);
}

#[tokio::test]
async fn records_are_deleted_through_the_api() {
    let mut rig = Rig::new();
    rig.create("t", 2, &[]).await;
    rig.create("compacted", 1, &[("cleanup.policy", "compact")]).await;
    rig.produce("t", &["a", "b", "c"]).await;
    let ask = |name: &str, partition_index, offset| deletion::DeleteRecordsRequest {
        topics: vec![deletion::DeleteRecordsTopic {
            name: name.to_owned(),
            partitions: vec![deletion::DeleteRecordsPartition { partition_index, offset }],
        }],
        timeout_ms: 1000,
    };
    for (name, partition, offset, low, code) in [
        ("t", 0, 2, 2, ErrorCode::NONE),
        ("t", 0, 4, -1, ErrorCode::OFFSET_OUT_OF_RANGE),
        ("t", 0, -2, -1, ErrorCode::OFFSET_OUT_OF_RANGE),
        ("t", 1, -1, 0, ErrorCode::NONE),
        ("t", 2, 0, -1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("none", 0, 0, -1, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION),
        ("compacted", 0, 0, -1, ErrorCode::POLICY_VIOLATION),
    ] {
        let answer = rig.call(&ask(name, partition, offset), 2).await;
        let one = &answer.topics[0].partitions[0];
        assert_eq!((one.low_watermark, one.error_code), (low, code), "{name}-{partition} {offset}");
    }
    // Acknowledged as soon as it is written, and deleted at once: the sync in between is nothing the client knows of.
    for n in 1..=20 {
        assert_eq!(rig.send("t", 1, 1, batch(&["x"])).await.error_code, ErrorCode::NONE);
        let answer = rig.call(&ask("t", 1, n), 2).await;
        let one = &answer.topics[0].partitions[0];
        assert_eq!((one.low_watermark, one.error_code), (n, ErrorCode::NONE));
    }
    rig.cut_power();
    assert_eq!(rig.broker.partition("t", 0).unwrap().log_start(), 2);
}

#[tokio::test]
async fn epochs_end_where_the_next_begins() {
    let mut rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let end_of = |epoch, current| epochs::OffsetForLeaderEpochRequest {
        topics: vec![epochs::OffsetForLeaderTopic {
            topic: "t".to_owned(),
            partitions: vec![epochs::OffsetForLeaderPartition {
                partition: 0,
                current_leader_epoch: current,
                leader_epoch: epoch,
            }],
        }],
        ..Default::default()
    };
    let ask = async |rig: &Rig, epoch, current| {
        let answer = rig.call(&end_of(epoch, current), 4).await;
        let one = &answer.topics[0].partitions[0];
        (one.error_code, one.leader_epoch, one.end_offset)
    };
    assert_eq!(ask(&rig, 0, -1).await, (ErrorCode::NONE, 0, 0));
    rig.produce("t", &["a", "b"]).await;
    rig.cut_power();
    rig.produce("t", &["c"]).await;
    for (epoch, current, answer) in [
        (0, -1, (ErrorCode::NONE, 0, 2)),
        (1, 1, (ErrorCode::NONE, 1, 3)),
        (2, -1, (ErrorCode::NONE, -1, -1)),
        (-1, -1, (ErrorCode::NONE, -1, -1)),
        (-2, -1, (ErrorCode::NONE, -2, 0)),
        (0, 0, (ErrorCode::FENCED_LEADER_EPOCH, -1, -1)),
        (0, 9, (ErrorCode::UNKNOWN_LEADER_EPOCH, -1, -1)),
    ] {
        assert_eq!(ask(&rig, epoch, current).await, answer, "epoch {epoch}, current {current}");
    }
}

#[tokio::test]
async fn producers_are_described() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let stamp = ProducerStamp { id: 7, epoch: 3, base_sequence: 0, transactional: false };
    assert_eq!(rig.send("t", 0, -1, stamped(&["a", "b"], stamp)).await.error_code, ErrorCode::NONE);
    let topics = vec![producers::TopicRequest { name: "t".to_owned(), partition_indexes: vec![0, 9] }];
    let answer = rig.call(&producers::DescribeProducersRequest { topics }, 0).await;
    let [found, unknown] = &answer.topics[0].partitions[..] else { panic!("two were asked for") };
    assert_eq!(unknown.error_code, ErrorCode::UNKNOWN_TOPIC_OR_PARTITION);
    let [one] = &found.active_producers[..] else { panic!("{:?}", found.active_producers) };
    assert_eq!((one.producer_id, one.producer_epoch, one.last_sequence), (7, 3, 1));
    assert_eq!((one.last_timestamp, one.current_txn_start_offset), (NOW, -1));
}

#[tokio::test]
async fn topics_are_paged_through() {
    let rig = Rig::new();
    for (name, partitions) in [("a", 3), ("b", 1), ("c", 4)] {
        rig.create(name, partitions, &[]).await;
    }
    let mut cursor = None;
    let mut seen = Vec::new();
    let mut pages = 0;
    loop {
        let request = paging::DescribeTopicPartitionsRequest {
            topics: Vec::new(),
            response_partition_limit: 3,
            cursor: cursor.take(),
        };
        let answer = rig.call(&request, 0).await;
        pages += 1;
        for topic in answer.topics {
            let name = topic.name.unwrap();
            assert_eq!((topic.error_code, topic.topic_authorized_operations), (ErrorCode::NONE, 3576));
            seen.extend(topic.partitions.iter().map(|partition| (name.clone(), partition.partition_index)));
        }
        cursor = answer.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let all = [("a", 3), ("b", 1), ("c", 4)];
    let all: Vec<(String, i32)> =
        all.iter().flat_map(|(name, count)| (0..*count).map(|index| ((*name).to_owned(), index))).collect();
    assert_eq!((seen, pages), (all, 3));
    for (topic_name, partition_index) in [("a", -1), ("z", 0), ("", 0)] {
        let request = paging::DescribeTopicPartitionsRequest {
            topics: vec![paging::TopicRequest { name: "a".to_owned() }],
            response_partition_limit: 3,
            cursor: Some(paging::Cursor { topic_name: topic_name.to_owned(), partition_index }),
        };
        let answer = rig.call(&request, 0).await;
        assert_eq!(answer.topics[0].error_code, ErrorCode::INVALID_REQUEST, "{topic_name} {partition_index}");
    }
}

#[tokio::test]
async fn metadata_names_a_topic_once_and_takes_no_ids_below_12() {
    let rig = Rig::new();
    rig.create("t", 1, &[]).await;
    let id = rig.broker.topic_id("t").unwrap();
    let ask = |topics: &[(Option<&str>, bool)]| MetadataRequest {
        topics: Some(
            topics
                .iter()
                .map(|(name, with_id)| MetadataRequestTopic {
                    name: name.map(str::to_owned),
                    topic_id: if *with_id { id } else { Default::default() },
                })
                .collect(),
        ),
        ..Default::default()
    };
    let twice = rig.call(&ask(&[(Some("t"), false), (Some("t"), false)]), 9).await;
    assert_eq!(twice.topics.len(), 1);
    let refused = rig.call(&ask(&[(None, true)]), 10).await;
    assert_eq!((refused.topics[0].error_code, refused.brokers.len()), (ErrorCode::INVALID_REQUEST, 0));
    let neither = rig.call(&ask(&[(None, false), (Some("none"), true)]), 12).await;
    assert_eq!((neither.topics.len(), neither.topics[0].name.as_deref()), (1, Some("t")), "the id decides");
}
