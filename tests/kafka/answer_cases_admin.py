"""The second half of the cases of `answer_cases.py`: what administrators ask."""

from answer_cases import LOST_ID, in_a_group

TOPIC, BROKER, GROUP = 2, 4, 32
SET, DELETE, APPEND, SUBTRACT = 0, 1, 2, 3


def describe_acls(pair, v):
    for kind, name, pattern, operation in [
        (1, None, 1, 1),
        (2, "t", 3, 3),
        (2, "t", 2, 1),
        (0, None, 1, 1),
        (1, None, 0, 1),
        (1, None, 1, 0),
    ]:
        case = f"kind {kind} name {name} pattern {pattern} operation {operation}"
        pair.ask(
            case,
            {
                "resourceTypeFilter": kind,
                "resourceNameFilter": name,
                "patternTypeFilter": pattern,
                "operation": operation,
                "permissionType": 1,
            },
        )


def create_acls(pair, v):
    good = {
        "resourceType": 2,
        "resourceName": "t",
        "resourcePatternType": 3,
        "principal": "User:a",
        "host": "*",
        "operation": 3,
        "permissionType": 3,
    }
    for case, change in [
        ("a good one", {}),
        ("no principal", {"principal": ""}),
        ("any operation", {"operation": 1}),
        ("no such kind", {"resourceType": 99}),
    ]:
        pair.ask(case, {"creations": [{**good, **change}]})
    pair.ask("none", {"creations": []})


def delete_acls(pair, v):
    pair.ask(
        "all of a topic",
        {
            "filters": [
                {
                    "resourceTypeFilter": 2,
                    "resourceNameFilter": "t",
                    "patternTypeFilter": 3,
                    "operation": 1,
                    "permissionType": 1,
                }
            ]
        },
    )
    pair.ask("none", {"filters": []})


def describe_configs(pair, v):
    def ask(case, kind, name, keys=None, **more):
        resources = [{"resourceType": kind, "resourceName": name, "configurationKeys": keys}]
        pair.ask(case, {"resources": resources, **more})

    ask("a topic", TOPIC, "full")
    ask("a topic with synonyms", TOPIC, "full", includeSynonyms=True)
    ask("two settings of a topic", TOPIC, "full", ["retention.ms", "no.such"])
    ask("no settings of a topic", TOPIC, "full", [])
    if v >= 3:
        ask("a topic with its documentation", TOPIC, "full", includeDocumentation=True)
    ask("a topic that is not there", TOPIC, "nowhere")
    ask("a name that is none", TOPIC, "a/b")
    ask("a topic without a name", TOPIC, "")
    ask(
        "some of a broker",
        BROKER,
        "1",
        [
            "node.id",
            "num.partitions",
            "message.max.bytes",
            "log.segment.bytes",
            "compression.type",
            "min.insync.replicas",
        ],
    )
    ask("a broker that is not there", BROKER, "70")
    ask("a broker that is no number", BROKER, "x")
    ask("all brokers", BROKER, "")
    ask("a group", GROUP, "g")
    ask("a group without a name", GROUP, "")
    ask("a kind that is none", 99, "x")
    ask("the unknown kind", 0, "x")
    pair.ask("none", {"resources": []})


def alter_configs(pair, v):
    def ask(case, kind, name, *configs, **more):
        configs = [{"name": key, "value": value} for key, value in configs]
        pair.ask(case, {"resources": [{"resourceType": kind, "resourceName": name, "configs": configs}], **more})

    ask("a setting", TOPIC, "empty", ("retention.ms", "1000000"))
    ask("only tried", TOPIC, "empty", ("retention.ms", "2000000"), validateOnly=True)
    ask("a setting that is none", TOPIC, "empty", ("no.such", "1"))
    ask("a value that is none", TOPIC, "empty", ("retention.ms", "soon"))
    ask("a null value", TOPIC, "empty", ("retention.ms", None))
    ask("no settings", TOPIC, "empty")
    ask("a topic that is not there", TOPIC, "nowhere", ("retention.ms", "1"))
    ask("a setting of the broker that stays", BROKER, "1", ("node.id", "5"))
    ask("a broker that is not there", BROKER, "70", ("message.max.bytes", "1000000"))
    ask("a kind that is none", 99, "x", ("a", "b"))
    pair.ask("none", {"resources": []})


def incremental_alter_configs(pair, v):
    def ask(case, kind, name, *changes, **more):
        configs = [{"name": key, "configOperation": op, "value": value} for key, op, value in changes]
        pair.ask(case, {"resources": [{"resourceType": kind, "resourceName": name, "configs": configs}], **more})

    ask("set", TOPIC, "empty", ("retention.ms", SET, "3000000"))
    ask("appended", TOPIC, "empty", ("cleanup.policy", APPEND, "compact"))
    ask("taken away", TOPIC, "empty", ("cleanup.policy", SUBTRACT, "compact"))
    ask("deleted", TOPIC, "empty", ("retention.ms", DELETE, None))
    ask("deleted again", TOPIC, "empty", ("retention.ms", DELETE, None))
    ask("appended to what is no list", TOPIC, "empty", ("retention.ms", APPEND, "1"))
    ask("an operation that is none", TOPIC, "empty", ("retention.ms", 9, "1"))
    ask("a setting twice", TOPIC, "empty", ("retention.ms", SET, "1"), ("retention.ms", SET, "2"))
    ask("a setting that is none", TOPIC, "empty", ("no.such", SET, "1"))
    ask("deleting a setting that is none", TOPIC, "empty", ("no.such", DELETE, None))
    ask("a value that is none", TOPIC, "empty", ("cleanup.policy", SET, "burn"))
    ask("a null value", TOPIC, "empty", ("retention.ms", SET, None))
    ask("an empty value", TOPIC, "empty", ("retention.ms", SET, ""))
    for key, value in [
        ("segment.bytes", "1"),
        ("segment.ms", "0"),
        ("max.message.bytes", "-1"),
        ("min.cleanable.dirty.ratio", "2"),
        ("compression.type", "brotli"),
        ("message.timestamp.type", "Now"),
        ("retention.bytes", "-2"),
        ("flush.messages", "0"),
        ("min.insync.replicas", "0"),
        ("preallocate", "maybe"),
        ("local.retention.ms", "99999999999"),
        ("remote.storage.enable", "true"),
        ("message.format.version", "2.0"),
        ("compression.gzip.level", "10"),
        ("leader.replication.throttled.replicas", "*"),
        ("unclean.leader.election.enable", "true"),
    ]:
        ask(f"{key} {value}", TOPIC, "empty", (key, SET, value), validateOnly=True)
    ask("a topic that is not there", TOPIC, "nowhere", ("retention.ms", SET, "1"))
    ask("a setting of the broker that stays", BROKER, "1", ("node.id", SET, "5"))
    ask("a broker that is not there", BROKER, "70", ("message.max.bytes", SET, "1000000"))
    ask("a broker that is no number", BROKER, "x", ("message.max.bytes", SET, "1000000"))
    ask("a group", GROUP, "g", ("consumer.session.timeout.ms", SET, "5000"), validateOnly=True)
    ask("a group's setting that is none", GROUP, "g", ("retention.ms", SET, "5000"), validateOnly=True)
    ask("a kind that is none", 99, "x", ("a", SET, "b"))
    one = {
        "resourceType": TOPIC,
        "resourceName": "empty",
        "configs": [{"name": "retention.ms", "configOperation": SET, "value": "5"}],
    }
    pair.ask("a resource twice", {"resources": [one, one], "validateOnly": True})
    pair.ask("none", {"resources": []})


def alter_replica_log_dirs(pair, v):
    for case, path, topic, partition in [
        ("to a folder that is not there", "/nowhere", "full", 0),
        ("of a topic that is not there", "/nowhere", "nowhere", 0),
    ]:
        pair.ask(case, {"dirs": [{"path": path, "topics": [{"name": topic, "partitions": [partition]}]}]})
    pair.ask("none", {"dirs": []})


def describe_log_dirs(pair, v):
    pair.ask("a partition", {"topics": [{"topic": "full", "partitions": [0]}]})
    pair.ask("a topic that is not there", {"topics": [{"topic": "nowhere", "partitions": [0]}]})
    pair.ask("none", {"topics": []})


def create_partitions(pair, v):
    name = f"grown-{v}"
    pair.each(
        "CreateTopics", 5, {"topics": [{"name": name, "numPartitions": 2, "replicationFactor": 1}], "timeoutMs": 5000}
    )

    def ask(case, count, name=name, assignments=None, **more):
        pair.ask(
            case, {"topics": [{"name": name, "count": count, "assignments": assignments}], "timeoutMs": 5000, **more}
        )

    ask("only tried", 3, validateOnly=True)
    ask("more", 3)
    ask("as many", 3)
    ask("fewer", 1)
    ask("minus one", -1)
    ask("assigned", 4, assignments=[{"brokerIds": [1]}])
    ask("assigned to nobody", 5, assignments=[{"brokerIds": [70]}])
    ask("assigned too few", 7, assignments=[{"brokerIds": [1]}])
    ask("a topic that is not there", 3, "nowhere")
    one = {"name": name, "count": 9, "assignments": None}
    pair.ask("twice in one", {"topics": [one, one], "timeoutMs": 5000})
    pair.ask("none", {"topics": [], "timeoutMs": 5000})


def delete_groups(pair, v):
    offset = {"partitionIndex": 0, "committedOffset": 5}
    pair.each("OffsetCommit", 8, {"groupId": f"gone {v}", "topics": [{"name": "full", "partitions": [offset]}]})
    in_a_group(pair, f"kept {v}")
    pair.ask("one", {"groupsNames": [f"gone {v}"]})
    pair.ask("one that is not there", {"groupsNames": [f"gone {v}"]})
    pair.ask("one with members", {"groupsNames": [f"kept {v}"]})
    pair.ask("one without a name", {"groupsNames": [""]})
    pair.ask("several", {"groupsNames": ["never seen", f"kept {v}", "never seen"]})
    pair.ask("none", {"groupsNames": []})
    pair.each("LeaveGroup", 1, {"groupId": f"kept {v}", "memberId": "$member"})


def elect_leaders(pair, v):
    for kind in (0, 1, 9) if v >= 1 else (0,):
        more = {"electionType": kind} if v >= 1 else {}
        pair.ask(
            f"of a topic, kind {kind}",
            {"topicPartitions": [{"topic": "full", "partitions": [0]}], "timeoutMs": 5000, **more},
        )
        pair.ask(
            f"of no such partition, kind {kind}",
            {
                "topicPartitions": [{"topic": "full", "partitions": [9]}, {"topic": "nowhere", "partitions": [0]}],
                "timeoutMs": 5000,
                **more,
            },
        )
        pair.ask(f"of none, kind {kind}", {"topicPartitions": [], "timeoutMs": 5000, **more})


def alter_partition_reassignments(pair, v):
    def ask(case, replicas, topic="full", partition=0):
        parts = [{"partitionIndex": partition, "replicas": replicas}]
        pair.ask(case, {"topics": [{"name": topic, "partitions": parts}], "timeoutMs": 5000})

    ask("to where it is", [1])
    ask("to nobody", [70])
    ask("to none", [])
    ask("twice to one", [1, 1])
    ask("nothing to cancel", None)
    ask("no such topic", [1], "nowhere")
    ask("no such partition", [1], partition=9)
    pair.ask("none", {"topics": [], "timeoutMs": 5000})
    if v >= 1:
        parts = [{"partitionIndex": 0, "replicas": [1]}]
        pair.ask(
            "with as many replicas",
            {
                "topics": [{"name": "full", "partitions": parts}],
                "timeoutMs": 5000,
                "allowReplicationFactorChange": False,
            },
        )


def list_partition_reassignments(pair, v):
    pair.ask("all", {"timeoutMs": 5000, "topics": None})
    pair.ask("of a topic", {"timeoutMs": 5000, "topics": [{"name": "full", "partitionIndexes": [0, 9]}]})
    pair.ask(
        "of a topic that is not there", {"timeoutMs": 5000, "topics": [{"name": "nowhere", "partitionIndexes": [0]}]}
    )


def offset_delete(pair, v):
    in_a_group(pair, "subscribed")
    part = [{"name": "full", "partitions": [{"partitionIndex": 1}]}]
    pair.ask("one", {"groupId": "g", "topics": part})
    pair.ask("of a group that is not there", {"groupId": "never seen", "topics": part})
    pair.ask("of a group without a name", {"groupId": "", "topics": part})
    pair.ask("of a group with members", {"groupId": "subscribed", "topics": part})
    pair.ask(
        "of a topic they read",
        {"groupId": "subscribed", "topics": [{"name": "test", "partitions": [{"partitionIndex": 0}]}]},
    )
    pair.ask(
        "of a topic that is not there",
        {"groupId": "g", "topics": [{"name": "nowhere", "partitions": [{"partitionIndex": 0}]}]},
    )
    pair.ask(
        "of no such partition", {"groupId": "g", "topics": [{"name": "full", "partitions": [{"partitionIndex": 9}]}]}
    )
    pair.ask("none", {"groupId": "g", "topics": []})
    pair.each("LeaveGroup", 1, {"groupId": "subscribed", "memberId": "$member"})


def describe_client_quotas(pair, v):
    def ask(case, *parts, **more):
        parts = [{"entityType": kind, "matchType": match, "match": name} for kind, match, name in parts]
        pair.ask(case, {"components": parts, "strict": False, **more})

    ask("all")
    ask("all, strictly", strict=True)
    for kind in ("user", "client-id", "ip"):
        ask(f"a {kind}", (kind, 0, "127.0.0.1"))
        ask(f"a {kind} without a name", (kind, 0, ""))
        ask(f"the default {kind}", (kind, 1, None))
        ask(f"every {kind}", (kind, 2, None))
    ask("users of a client", ("user", 2, None), ("client-id", 0, "one"), strict=True)
    ask("users of an address", ("user", 2, None), ("ip", 2, None))
    ask("clients of an address", ("client-id", 2, None), ("ip", 0, "127.0.0.1"))
    ask("an exact null", ("user", 0, None))
    ask("a default with a name", ("user", 1, "x"))
    ask("every one with a name", ("user", 2, "x"))
    ask("a match that is none", ("user", 9, None))
    ask("an entity twice", ("user", 2, None), ("user", 0, "x"))
    ask("an entity that is none", ("team", 2, None))
    ask("an exact entity that is none", ("team", 0, "x"))
    ask("an entity without a type", ("", 2, None))
    ask("an address that is none", ("ip", 0, "no such address"))


def describe_user_scram_credentials(pair, v):
    pair.ask("a user that is not there", {"users": [{"name": "nobody"}]})
    pair.ask("a user twice", {"users": [{"name": "nobody"}, {"name": "nobody"}]})
    pair.ask("a user without a name", {"users": [{"name": ""}]})
    pair.ask("all", {"users": None})
    pair.ask("none", {"users": []})


def alter_user_scram_credentials(pair, v):
    good = {
        "name": "carl",
        "mechanism": 1,
        "iterations": 4096,
        "salt": "c2FsdHNhbHQ=",
        "saltedPassword": "c2FsdGVkcGFzc3dvcmRzYWx0ZWRwYXNzd29yZHMhIQ==",
    }
    for case, change in [
        ("a good one", {}),
        ("few iterations", {"iterations": 4095}),
        ("many iterations", {"iterations": 16385}),
        ("no such mechanism", {"mechanism": 9}),
        ("no name", {"name": ""}),
        ("the unknown mechanism", {"mechanism": 0}),
    ]:
        pair.ask(case, {"deletions": [], "upsertions": [{**good, **change}]})
    pair.ask("both at once", {"deletions": [{"name": "carl", "mechanism": 1}], "upsertions": [good]})
    pair.ask("twice", {"deletions": [], "upsertions": [good, good]})
    pair.ask("in two mechanisms", {"deletions": [], "upsertions": [good, {**good, "mechanism": 2}]})
    pair.ask("deleted", {"deletions": [{"name": "carl", "mechanism": 1}], "upsertions": []})
    pair.ask("deleted again", {"deletions": [{"name": "carl", "mechanism": 1}], "upsertions": []})
    pair.ask("none", {"deletions": [], "upsertions": []})


def describe_quorum(pair, v):
    aside = ("highWatermark", "leaderEpoch", "logEndOffset", "listeners", "nodes", "replicaDirectoryId")
    pair.ask(
        "of the metadata",
        {"topics": [{"topicName": "__cluster_metadata", "partitions": [{"partitionIndex": 0}]}]},
        ignore=aside,
    )
    pair.ask(
        "of no such partition",
        {"topics": [{"topicName": "__cluster_metadata", "partitions": [{"partitionIndex": 9}]}]},
        ignore=aside,
    )
    pair.ask(
        "of another topic", {"topics": [{"topicName": "full", "partitions": [{"partitionIndex": 0}]}]}, ignore=aside
    )
    pair.ask("of none", {"topics": []}, ignore=aside)


def update_features(pair, v):
    def ask(case, feature, level, **more):
        pair.ask(case, {"timeoutMs": 5000, "featureUpdates": [{"feature": feature, "maxVersionLevel": level, **more}]})

    ask("one that is not there", "no.such", 1)
    ask("without a name", "", 1)
    ask("to a level that is none", "group.version", 99)
    ask("to the level it has", "group.version", 1)
    if v >= 1:
        ask("a kind of change that is none", "group.version", 1, upgradeType=9)
        tried = [{"feature": "no.such", "maxVersionLevel": 1}]
        pair.ask("only tried", {"timeoutMs": 5000, "featureUpdates": tried, "validateOnly": True})
    pair.ask("none", {"timeoutMs": 5000, "featureUpdates": []})


def describe_cluster(pair, v):
    pair.ask("asked", {})
    pair.ask("with what one may do", {"includeClusterAuthorizedOperations": True})
    if v >= 1:
        pair.ask("of the controllers", {"endpointType": 2})
        pair.ask("of a kind that is none", {"endpointType": 9})
    if v >= 2:
        pair.ask("with the fenced ones", {"includeFencedBrokers": True})


def describe_producers(pair, v):
    pair.ask("of a partition", {"topics": [{"name": "full", "partitionIndexes": [0, 1]}]})
    pair.ask("of no such partition", {"topics": [{"name": "full", "partitionIndexes": [9]}]})
    pair.ask("of a topic that is not there", {"topics": [{"name": "nowhere", "partitionIndexes": [0]}]})
    pair.ask("of none", {"topics": []})


def consumer_group_heartbeat(pair, v):
    member = "AAAAAAAAAAAAAAAAAAAAAQ" if v >= 1 else ""
    group = f"next-{v}"
    joining = {
        "groupId": group,
        "memberId": member,
        "memberEpoch": 0,
        "rebalanceTimeoutMs": 10_000,
        "subscribedTopicNames": ["full"],
        "topicPartitions": [],
    }
    aside = ("memberId",) if v >= 1 else ()
    pair.ask("joining", joining, ignore=aside, keep={"member": ["memberId"], "epoch": ["memberEpoch"]})
    going_on = {"groupId": group, "memberId": "$member", "memberEpoch": "$epoch"}
    pair.ask("going on", going_on)
    pair.ask("a member that is not there", {**going_on, "memberId": "nobody"})
    pair.ask("an epoch to come", {**going_on, "memberEpoch": 99})
    pair.ask("an epoch that is none", {**going_on, "memberEpoch": -7})
    pair.ask("a group without a name", {**joining, "groupId": ""})
    pair.ask("without a time to rebalance", {**joining, "groupId": group + "x", "rebalanceTimeoutMs": -1})
    pair.ask("without topics", {**joining, "groupId": group + "x", "subscribedTopicNames": None})
    pair.ask(
        "with partitions while joining",
        {**joining, "groupId": group + "x", "topicPartitions": [{"topicId": LOST_ID, "partitions": [0]}]},
    )
    pair.ask("an assignor that is none", {**joining, "groupId": group + "x", "serverAssignor": "no such"})
    pair.ask("an instance without a name", {**joining, "groupId": group + "x", "instanceId": ""})
    if v >= 1:
        pair.ask("without a member id", {**joining, "memberId": ""})
        pair.ask(
            "an expression that is none",
            {**joining, "groupId": group + "x", "subscribedTopicNames": None, "subscribedTopicRegex": "("},
        )
    pair.ask("leaving", {**going_on, "memberEpoch": -1})
    pair.ask("leaving again", {**going_on, "memberEpoch": -1})


def consumer_group_describe(pair, v):
    joining = {
        "groupId": f"told-{v}",
        "memberId": "AAAAAAAAAAAAAAAAAAAAAQ",
        "memberEpoch": 0,
        "rebalanceTimeoutMs": 10_000,
        "subscribedTopicNames": ["full"],
        "topicPartitions": [],
    }
    pair.each("ConsumerGroupHeartbeat", 1, joining)
    for case, groups in [
        ("a group", [f"told-{v}"]),
        ("one of the old protocol", ["g"]),
        ("one that is not there", ["never seen"]),
        ("one without a name", [""]),
        ("none", []),
    ]:
        pair.ask(case, {"groupIds": groups}, ignore=("clientId",))
        pair.ask(
            case + ", and what one may do",
            {"groupIds": groups, "includeAuthorizedOperations": True},
            ignore=("clientId",),
        )
    pair.each(
        "ConsumerGroupHeartbeat", 1, {"groupId": f"told-{v}", "memberId": "AAAAAAAAAAAAAAAAAAAAAQ", "memberEpoch": -1}
    )


def list_config_resources(pair, v):
    if v >= 1:
        pair.ask("of brokers", {"resourceTypes": [BROKER]})
        pair.ask("of groups", {"resourceTypes": [GROUP]})
        pair.ask("of telemetry", {"resourceTypes": [16]})
        pair.ask("of a kind that is none", {"resourceTypes": [99]})
    else:
        pair.ask("asked", {})


def describe_topic_partitions(pair, v):
    pair.ask("a topic", {"topics": [{"name": "full"}], "responsePartitionLimit": 2000})
    pair.ask("a topic twice", {"topics": [{"name": "full"}, {"name": "full"}], "responsePartitionLimit": 2000})
    pair.ask("a topic that is not there", {"topics": [{"name": "nowhere"}], "responsePartitionLimit": 2000})
    pair.ask("one partition at a time", {"topics": [{"name": "empty"}, {"name": "full"}], "responsePartitionLimit": 1})
    pair.ask("no partitions at a time", {"topics": [{"name": "full"}], "responsePartitionLimit": 0})
    cursor = {"topicName": "full", "partitionIndex": 1}
    pair.ask(
        "going on", {"topics": [{"name": "empty"}, {"name": "full"}], "responsePartitionLimit": 2000, "cursor": cursor}
    )
    pair.ask(
        "going on before the first",
        {
            "topics": [{"name": "full"}],
            "responsePartitionLimit": 10,
            "cursor": {"topicName": "full", "partitionIndex": -1},
        },
    )


ALL = [
    ("DescribeAcls", describe_acls),
    ("CreateAcls", create_acls),
    ("DeleteAcls", delete_acls),
    ("DescribeConfigs", describe_configs),
    ("AlterConfigs", alter_configs),
    ("IncrementalAlterConfigs", incremental_alter_configs),
    ("AlterReplicaLogDirs", alter_replica_log_dirs),
    ("DescribeLogDirs", describe_log_dirs),
    ("CreatePartitions", create_partitions),
    ("DeleteGroups", delete_groups),
    ("ElectLeaders", elect_leaders),
    ("AlterPartitionReassignments", alter_partition_reassignments),
    ("ListPartitionReassignments", list_partition_reassignments),
    ("OffsetDelete", offset_delete),
    ("DescribeClientQuotas", describe_client_quotas),
    ("DescribeUserScramCredentials", describe_user_scram_credentials),
    ("AlterUserScramCredentials", alter_user_scram_credentials),
    ("DescribeQuorum", describe_quorum),
    ("UpdateFeatures", update_features),
    ("DescribeCluster", describe_cluster),
    ("DescribeProducers", describe_producers),
    ("ConsumerGroupHeartbeat", consumer_group_heartbeat),
    ("ConsumerGroupDescribe", consumer_group_describe),
    ("ListConfigResources", list_config_resources),
    ("DescribeTopicPartitions", describe_topic_partitions),
]
