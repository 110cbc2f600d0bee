"""What klog and Apache Kafka are both asked: for every API in every version a few good requests and the bad ones that
clients do send, then the same with bytes missing and bytes too many. Each function gets the pair with its API and
version set; it must never look at who answers.
"""

import time

TIME = 1_700_000_000_000
# Producers are forgotten by the time of their last batch.
NOW = int(time.time() * 1000)
NO_ID = "AAAAAAAAAAAAAAAAAAAAAA"
LOST_ID = "abcdefghijklmnopqrstuv"[:21] + "w"

KEYS = {
    "Produce": 0,
    "Fetch": 1,
    "ListOffsets": 2,
    "Metadata": 3,
    "OffsetCommit": 8,
    "OffsetFetch": 9,
    "FindCoordinator": 10,
    "JoinGroup": 11,
    "Heartbeat": 12,
    "LeaveGroup": 13,
    "SyncGroup": 14,
    "DescribeGroups": 15,
    "ListGroups": 16,
    "SaslHandshake": 17,
    "ApiVersions": 18,
    "CreateTopics": 19,
    "DeleteTopics": 20,
    "DeleteRecords": 21,
    "InitProducerId": 22,
    "OffsetForLeaderEpoch": 23,
    "AddPartitionsToTxn": 24,
    "EndTxn": 26,
    "WriteTxnMarkers": 27,
    "DescribeAcls": 29,
    "CreateAcls": 30,
    "DeleteAcls": 31,
    "DescribeConfigs": 32,
    "AlterConfigs": 33,
    "AlterReplicaLogDirs": 34,
    "DescribeLogDirs": 35,
    "SaslAuthenticate": 36,
    "CreatePartitions": 37,
    "DeleteGroups": 42,
    "ElectLeaders": 43,
    "IncrementalAlterConfigs": 44,
    "AlterPartitionReassignments": 45,
    "ListPartitionReassignments": 46,
    "OffsetDelete": 47,
    "DescribeClientQuotas": 48,
    "DescribeUserScramCredentials": 50,
    "AlterUserScramCredentials": 51,
    "DescribeQuorum": 55,
    "UpdateFeatures": 57,
    "DescribeCluster": 60,
    "DescribeProducers": 61,
    "DescribeTransactions": 65,
    "ListTransactions": 66,
    "ConsumerGroupHeartbeat": 68,
    "ConsumerGroupDescribe": 69,
    "ListConfigResources": 74,
    "DescribeTopicPartitions": 75,
}

VERSIONS = {
    0: (3, 13),
    1: (4, 18),
    2: (1, 11),
    3: (0, 13),
    8: (2, 10),
    9: (1, 10),
    10: (0, 6),
    11: (0, 9),
    12: (0, 4),
    13: (0, 5),
    14: (0, 5),
    15: (0, 6),
    16: (0, 5),
    17: (0, 1),
    18: (0, 4),
    19: (2, 7),
    20: (1, 6),
    21: (0, 2),
    22: (0, 5),
    23: (2, 4),
    24: (0, 5),
    26: (0, 5),
    27: (1, 2),
    29: (1, 3),
    30: (1, 3),
    31: (1, 3),
    32: (1, 4),
    33: (0, 2),
    34: (1, 2),
    35: (1, 5),
    36: (0, 2),
    37: (0, 3),
    42: (0, 2),
    43: (0, 2),
    44: (0, 1),
    45: (0, 1),
    46: (0, 0),
    47: (0, 0),
    48: (0, 1),
    50: (0, 0),
    51: (0, 0),
    55: (0, 2),
    57: (0, 2),
    60: (0, 2),
    61: (0, 0),
    65: (0, 0),
    66: (0, 2),
    68: (0, 1),
    69: (0, 1),
    74: (0, 1),
    75: (0, 0),
}

ONE = {"of": [["k", "v", TIME]]}


def prepare(pair):
    """What the cases find: a topic with ten records, an empty one, a group with offsets."""
    topics = [
        {"name": name, "numPartitions": 2, "replicationFactor": 1, "configs": [{"name": "retention.ms", "value": "-1"}]}
        for name in ("full", "empty", "trim", "ids")
    ]
    pair.each("CreateTopics", 7, {"topics": topics, "timeoutMs": 10000})
    for topic in ("full", "empty", "trim", "ids"):
        found = [one["topics"][0]["topicId"] for one in pair.each("Metadata", 12, {"topics": [{"name": topic}]})]
        pair.keep("id of " + topic, found)
    records = {"of": [[f"k{n}", f"v{n}", TIME + 1000 * n] for n in range(10)]}
    for topic in ("full", "trim"):
        parts = [{"index": 0, "records": records}]
        body = {"acks": -1, "timeoutMs": 10000, "topicData": [{"name": topic, "partitionData": parts}]}
        for side in pair.sides:
            stored(pair, side, body)
    until_well(pair, "FindCoordinator", 3, {"key": "g", "keyType": 0})
    until_well(pair, "FindCoordinator", 3, {"key": "t", "keyType": 1})
    # The first producer id of a fresh Kafka is not there at once.
    until_well(pair, "InitProducerId", 2, {"transactionalId": None, "transactionTimeoutMs": 60_000})
    offset = {"partitionIndex": 0, "committedOffset": 5, "committedMetadata": "a note"}
    pair.each("OffsetCommit", 8, {"groupId": "g", "topics": [{"name": "full", "partitions": [offset]}]})


def stored(pair, side, body):
    """Produces; a Kafka that has just made the topic may not know it yet."""
    for _ in range(200):
        said = pair.send(side, {"key": KEYS["Produce"], "version": 9, "body": body})
        if said["answer"]["responses"][0]["partitionResponses"][0]["errorCode"] == 0:
            return
        time.sleep(0.1)
    raise AssertionError(f"not stored: {said}")


def until_well(pair, api, version, body):
    """Asks until both answer without an error."""
    for _ in range(200):
        said = pair.each(api, version, body)
        if all(one["errorCode"] == 0 for one in said):
            return
        time.sleep(0.1)
    raise AssertionError(f"not well: {api} {said}")


def produce(pair, v):
    def ask(case, records=ONE, topic="written", index=0, acks=-1, **more):
        place = {"topicId": "$id of " + topic} if v >= 13 and topic in ("full", "ids") else {"name": topic}
        if v >= 13 and topic == "nowhere":
            place = {"topicId": LOST_ID}
        data = [{**place, "partitionData": [{"index": index, "records": records}]}]
        pair.ask(case, {"acks": acks, "timeoutMs": 5000, "topicData": data, **more})

    ask("one record", topic="ids")
    ask("acks of one", topic="ids", acks=1)
    ask("acks of two", topic="ids", acks=2)
    ask("acks of minus two", topic="ids", acks=-2)
    ask("no such topic", topic="nowhere")
    ask("no such partition", topic="ids", index=7)
    ask("partition minus one", topic="ids", index=-1)
    for codec in ("gzip", "snappy", "lz4", "zstd"):
        ask("codec " + codec, {**ONE, "codec": codec}, topic="ids")
    ask("a wrong checksum", {**ONE, "damage": 66}, topic="ids")
    ask("an unknown magic", {**ONE, "damage": 16}, topic="ids")
    ask("a wrong length", {**ONE, "damage": 11}, topic="ids")
    ask("a wrong record count", {**ONE, "damage": 60}, topic="ids")
    ask("an old message format", {**ONE, "magic": 1}, topic="ids")
    ask("no bytes at all", {"hex": ""}, topic="ids")
    ask("bytes that are no batch", {"hex": "00" * 70}, topic="ids")
    ask("too large", {"of": [["k", "x" * 1_100_000, TIME]]}, topic="ids")
    now = {"of": [["k", "v", NOW]]}
    ask("a sequence without a producer", {**now, "sequence": 5, "producerEpoch": 0, "producerId": 123456}, topic="ids")
    ask(
        "transactional records without a transaction",
        {**ONE, "transactional": True, "producerId": 7, "producerEpoch": 0, "sequence": 0},
        topic="ids",
    )
    pair.ask("no topics", {"acks": -1, "timeoutMs": 5000, "topicData": []})
    pair.ask("no acks, no answer", {"acks": 0, "timeoutMs": 5000, "topicData": []}, silent=True, fresh=True)


def fetch(pair, v):
    def ask(case, offset=0, topic="full", partition=0, bytes=1 << 20, **more):
        place = {"topicId": "$id of " + topic if topic != "nowhere" else LOST_ID} if v >= 13 else {"topic": topic}
        epoch = {"currentLeaderEpoch": more.pop("currentLeaderEpoch")} if "currentLeaderEpoch" in more else {}
        parts = [{"partition": partition, "fetchOffset": offset, "partitionMaxBytes": bytes, **epoch}]
        body = {
            "replicaId": -1,
            "maxWaitMs": 100,
            "minBytes": 1,
            "maxBytes": 1 << 20,
            "topics": [{**place, "partitions": parts}],
            **more,
        }
        if v >= 15:
            body.pop("replicaId")
        return pair.ask(case, body)

    ask("from the start")
    ask("from the middle", 4)
    ask("at the end", 10)
    ask("beyond the end", 11)
    ask("before the start", -1)
    ask("minus two", -2)
    ask("no such topic", topic="nowhere")
    ask("no such partition", partition=9)
    ask("committed only", isolationLevel=1)
    ask("few bytes", bytes=1)
    ask("no bytes", bytes=0)
    ask("nothing wanted", minBytes=0, maxWaitMs=0, offset=10)
    ask("an empty partition", topic="empty")
    if v >= 7:
        ask("a new session", sessionEpoch=0)
        ask("a session that is not there", sessionId=12345, sessionEpoch=1)
        ask("no session", sessionEpoch=-1)
    if v >= 9:
        ask("a leader epoch to come", currentLeaderEpoch=99)
    pair.ask("no topics", {"maxWaitMs": 0, "minBytes": 0, "maxBytes": 1000})


def list_offsets(pair, v):
    def ask(case, when, topic="full", partition=0, **more):
        parts = [{"partitionIndex": partition, "timestamp": when, **more}]
        pair.ask(case, {"replicaId": -1, "topics": [{"name": topic, "partitions": parts}]})

    for when in (-1, -2, -3, -4, -5, -6, -7, -99, TIME, TIME + 4500, TIME + 99_000, 0):
        ask(f"full at {when}", when)
        ask(f"empty at {when}", when, topic="empty")
    ask("no such topic", -1, topic="nowhere")
    ask("no such partition", -1, partition=9)
    ask("a name that is none", -1, topic="a/b")
    if v >= 4:
        ask("a leader epoch to come", -1, currentLeaderEpoch=99)
    parts = [{"partitionIndex": 0, "timestamp": -1}, {"partitionIndex": 0, "timestamp": -2}]
    pair.ask("a partition twice", {"replicaId": -1, "topics": [{"name": "full", "partitions": parts}]})
    pair.ask("no topics", {"replicaId": -1})
    if v >= 2:
        pair.ask(
            "committed only",
            {
                "replicaId": -1,
                "isolationLevel": 1,
                "topics": [{"name": "full", "partitions": [{"partitionIndex": 0, "timestamp": -1}]}],
            },
        )


def metadata(pair, v):
    pair.ask("a topic", {"topics": [{"name": "full"}, {"name": "empty"}]})
    pair.ask("a topic twice", {"topics": [{"name": "full"}, {"name": "full"}]})
    more = {"allowAutoTopicCreation": False} if v >= 4 else {}
    if v >= 4:
        pair.ask("no such topic", {"topics": [{"name": "nowhere"}], **more})
        pair.ask("a name that is none", {"topics": [{"name": "a/b"}], **more})
        pair.ask("an empty name", {"topics": [{"name": ""}], **more})
        pair.ask("a long name", {"topics": [{"name": "x" * 250}], **more})
    else:
        pair.ask("a name that is none", {"topics": [{"name": "a/b"}]})
    if v >= 1:
        pair.ask("none of them", {"topics": [], **more})
    if v >= 8:
        pair.ask("what one may do", {"topics": [{"name": "full"}], "includeTopicAuthorizedOperations": True, **more})
    if 8 <= v <= 10:
        pair.ask("what one may do with the cluster", {"topics": [], "includeClusterAuthorizedOperations": True, **more})
    if v >= 12:
        pair.ask("by id", {"topics": [{"topicId": "$id of full", "name": None}], **more})
        pair.ask("by an id that is lost", {"topics": [{"topicId": LOST_ID, "name": None}], **more})
    if v >= 10:
        pair.ask("with an id and a name", {"topics": [{"topicId": "$id of full", "name": "full"}], **more})
        pair.ask("without a name or an id", {"topics": [{"name": None}], **more})


def offset_commit(pair, v):
    def ask(case, group="g", topic="full", partition=0, offset=5, note="a note", **more):
        place = {"topicId": "$id of " + topic if topic != "nowhere" else LOST_ID} if v >= 10 else {"name": topic}
        parts = [{"partitionIndex": partition, "committedOffset": offset, "committedMetadata": note}]
        pair.ask(case, {"groupId": group, "topics": [{**place, "partitions": parts}], **more})

    ask("an offset")
    ask("without a note", note=None)
    ask("a note that is too long", note="x" * 5000)
    ask("no such topic", topic="nowhere")
    ask("no such partition", partition=9)
    ask("a negative offset", offset=-2)
    ask("a group without a name", group="")
    ask("a member that is not there", group="g", memberId="nobody", generationIdOrMemberEpoch=1)
    ask("a generation and no member", group="g", generationIdOrMemberEpoch=3)
    ask("a member of no group", group="never seen", memberId="nobody", generationIdOrMemberEpoch=1)
    if v >= 7:
        ask("an instance that is not there", memberId="nobody", groupInstanceId="i", generationIdOrMemberEpoch=1)
    if v <= 4:
        ask("kept for an hour", retentionTimeMs=3_600_000)
    pair.ask("no topics", {"groupId": "g"})


def offset_fetch(pair, v):
    if v < 8:
        for group in ("g", "never seen", ""):
            named = group or "no name"
            pair.ask(
                f"an offset of {named}",
                {
                    "groupId": group,
                    "topics": [
                        {"name": "full", "partitionIndexes": [0, 1, 9]},
                        {"name": "nowhere", "partitionIndexes": [0]},
                    ],
                },
            )
            if v >= 2:
                pair.ask(f"all of {named}", {"groupId": group, "topics": None})
            pair.ask(f"none of {named}", {"groupId": group, "topics": []})
        return
    names = [{"name": "full", "partitionIndexes": [0, 1, 9]}, {"name": "nowhere", "partitionIndexes": [0]}]
    if v >= 10:
        names = [
            {"topicId": "$id of full", "partitionIndexes": [0, 1, 9]},
            {"topicId": LOST_ID, "partitionIndexes": [0]},
        ]
    for group in ("g", "never seen", ""):
        pair.ask(f"of {group or 'no name'}", {"groups": [{"groupId": group, "topics": names}]})
        pair.ask(
            f"all of {group or 'no name'}", {"groups": [{"groupId": group, "topics": None}], "requireStable": True}
        )
    pair.ask(
        "of two groups", {"groups": [{"groupId": "g", "topics": names}, {"groupId": "never seen", "topics": names}]}
    )
    pair.ask("of no group", {"groups": []})
    if v >= 9:
        pair.ask(
            "of a member that is not there",
            {"groups": [{"groupId": "g", "memberId": "nobody", "memberEpoch": 1, "topics": names}]},
        )


def find_coordinator(pair, v):
    def ask(case, kind, *keys):
        body = {"coordinatorKeys": list(keys)} if v >= 4 else {"key": keys[0] if keys else ""}
        pair.ask(case, {**body, **({"keyType": kind} if v >= 1 else {})})

    ask("of a group", 0, "g")
    ask("of a group without a name", 0, "")
    if v >= 1:
        ask("of a kind that is none", 9, "g")
        ask("of a negative kind", -1, "g")
        ask("of a transaction without a name", 1, "")
    if v >= 4:
        ask("of several", 0, "g", "h", "g")
        ask("of none", 0)


def protocols(name="range"):
    return [{"name": name, "metadata": "AAEAAAABAAR0ZXN0AAAAAA=="}]


def join_group(pair, v):
    timing = {"sessionTimeoutMs": 10_000, **({"rebalanceTimeoutMs": 10_000} if v >= 1 else {})}

    def ask(case, group, member="", kind="consumer", offered=None, **more):
        offered = protocols() if offered is None else offered
        body = {"groupId": group, "memberId": member, "protocolType": kind, "protocols": offered, **timing, **more}
        return pair.ask(case, body, keep={"member": ["memberId"]})

    ask("a group without a name", "")
    ask("a session that is too short", "j", sessionTimeoutMs=1)
    ask("a session that is too long", "j", sessionTimeoutMs=10_000_000)
    ask("a member that is not there", "j", member="nobody")
    ask("no protocols", "j", offered=[])
    ask("no kind", "j", kind="")
    # Kafka keeps an empty group that a refused join made, until it is looked at.
    pair.each("DeleteGroups", 1, {"groupsNames": ["j"]})
    group = f"joined {v}"
    ask("a first member", group)
    if v >= 4:
        body = {"groupId": group, "memberId": "$member", "protocolType": "consumer", "protocols": protocols(), **timing}
        pair.ask("with the member id", body)
    ask("another kind", group, kind="connect")
    ask("another protocol", group, offered=protocols("sticky"))
    sync = {0: 0, 1: 0, 2: 1, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5, 8: 5, 9: 5}[v]
    pair.keep("first", [side.kept.get("first") or side.kept["member"] for side in pair.sides])
    leave = {"groupId": group, "memberId": "$member"}
    pair.each("LeaveGroup", 1, leave)
    del sync
    for side in pair.sides:
        side.kept.pop("first", None)


def in_a_group(pair, group):
    """Brings a member into a group: its id is `$member`, the generation is 1."""
    body = {
        "groupId": group,
        "memberId": "",
        "protocolType": "consumer",
        "protocols": protocols(),
        "sessionTimeoutMs": 30_000,
        "rebalanceTimeoutMs": 10_000,
    }
    said = pair.each("JoinGroup", 5, body)
    pair.keep("member", [one["memberId"] for one in said])
    pair.each("JoinGroup", 5, {**body, "memberId": "$member"})
    assignment = [{"memberId": "$member", "assignment": "AAEAAAABAAR0ZXN0AAAAAQAAAAA="}]
    pair.each("SyncGroup", 3, {"groupId": group, "generationId": 1, "memberId": "$member", "assignments": assignment})


def heartbeat(pair, v):
    group = f"beating {v}"
    in_a_group(pair, group)
    pair.ask("in time", {"groupId": group, "generationId": 1, "memberId": "$member"})
    pair.ask("an old generation", {"groupId": group, "generationId": 0, "memberId": "$member"})
    pair.ask("a generation to come", {"groupId": group, "generationId": 5, "memberId": "$member"})
    pair.ask("a member that is not there", {"groupId": group, "generationId": 1, "memberId": "nobody"})
    pair.ask("a group that is not there", {"groupId": "never seen", "generationId": 1, "memberId": "nobody"})
    pair.ask("a group without a name", {"groupId": "", "generationId": 1, "memberId": "nobody"})
    if v >= 3:
        pair.ask(
            "an instance that is not there",
            {"groupId": group, "generationId": 1, "memberId": "$member", "groupInstanceId": "i"},
        )
    pair.each("LeaveGroup", 1, {"groupId": group, "memberId": "$member"})


def sync_group(pair, v):
    group = f"syncing {v}"
    in_a_group(pair, group)
    kind = {"protocolType": "consumer", "protocolName": "range"} if v >= 5 else {}
    pair.ask("again", {"groupId": group, "generationId": 1, "memberId": "$member", **kind})
    pair.ask("an old generation", {"groupId": group, "generationId": 0, "memberId": "$member", **kind})
    pair.ask("a member that is not there", {"groupId": group, "generationId": 1, "memberId": "nobody", **kind})
    pair.ask("a group that is not there", {"groupId": "never seen", "generationId": 1, "memberId": "nobody", **kind})
    pair.ask("a group without a name", {"groupId": "", "generationId": 1, "memberId": "nobody", **kind})
    if v >= 5:
        pair.ask(
            "another protocol",
            {
                "groupId": group,
                "generationId": 1,
                "memberId": "$member",
                "protocolType": "consumer",
                "protocolName": "sticky",
            },
        )
        pair.ask("no protocol", {"groupId": group, "generationId": 1, "memberId": "$member"})
    pair.each("LeaveGroup", 1, {"groupId": group, "memberId": "$member"})


def leave_group(pair, v):
    group = f"leaving {v}"
    in_a_group(pair, group)
    if v < 3:
        pair.ask("a member that is not there", {"groupId": group, "memberId": "nobody"})
        pair.ask("a group that is not there", {"groupId": "never seen", "memberId": "nobody"})
        pair.ask("a group without a name", {"groupId": "", "memberId": "nobody"})
        pair.ask("a member", {"groupId": group, "memberId": "$member"})
        return
    several = [{"memberId": "$member"}, {"memberId": "nobody"}, {"memberId": "", "groupInstanceId": "i"}]
    pair.ask("several", {"groupId": group, "members": several})
    pair.ask("of a group that is not there", {"groupId": "never seen", "members": several[1:]})
    pair.ask("nobody", {"groupId": group, "members": []})
    pair.ask("a group without a name", {"groupId": "", "members": several[1:]})


def describe_groups(pair, v):
    group = f"described {v}"
    in_a_group(pair, group)
    for case, groups in [
        ("a group", [group]),
        ("an empty one", ["g"]),
        ("one that is not there", ["never seen"]),
        ("one without a name", [""]),
        ("none", []),
        ("one twice", ["g", "g"]),
    ]:
        pair.ask(case, {"groups": groups}, ignore=("clientId",))
        if v >= 3:
            pair.ask(
                case + ", and what one may do",
                {"groups": groups, "includeAuthorizedOperations": True},
                ignore=("clientId",),
            )
    pair.each("LeaveGroup", 1, {"groupId": group, "memberId": "$member"})


def list_groups(pair, v):
    if v >= 4:
        for states in (["Stable"], ["stable"], ["no such state"], ["Dead"]):
            pair.ask(f"in state {states[0]}", {"statesFilter": states})
    if v >= 5:
        for types in (["consumer"], ["CLASSIC"], ["no such type"]):
            pair.ask(f"of type {types[0]}", {"statesFilter": ["Stable"], "typesFilter": types})


def sasl_handshake(pair, v):
    pair.ask("where nobody asks for it", {"mechanism": "PLAIN"}, fresh=True)


def sasl_authenticate(pair, v):
    pair.ask("where nobody asks for it", {"authBytes": "AGEAYg=="}, fresh=True)


def api_versions(pair, v):
    names = {"clientSoftwareName": "answers", "clientSoftwareVersion": "1.0"} if v >= 3 else {}
    pair.ask("asked", names)
    if v >= 3:
        pair.ask("without a name", {"clientSoftwareName": "", "clientSoftwareVersion": ""})
        pair.ask("with a name that is none", {"clientSoftwareName": "a b/c", "clientSoftwareVersion": "1.0"})


def create_topics(pair, v):
    def ask(case, name="made", partitions=1, replicas=1, timeout=5000, **more):
        topics = [
            {
                "name": f"{name} {v}".replace(" ", "-") if name else name,
                "numPartitions": partitions,
                "replicationFactor": replicas,
                **more,
            }
        ]
        pair.ask(case, {"topics": topics, "timeoutMs": timeout})

    ask("one")
    ask("again")
    ask(
        "with a setting",
        "set",
        configs=[{"name": "retention.ms", "value": "77"}, {"name": "cleanup.policy", "value": "compact"}],
    )
    ask("a setting that is none", "bad", configs=[{"name": "no.such", "value": "1"}])
    ask("a value that is none", "bad", configs=[{"name": "retention.ms", "value": "soon"}])
    ask("a null value", "bad", configs=[{"name": "retention.ms", "value": None}])
    ask("no partitions", "bad", partitions=0)
    ask("minus two partitions", "bad", partitions=-2)
    ask("no replicas", "bad", replicas=0)
    ask("three replicas", "bad", replicas=3)
    ask("by default", "default", partitions=-1, replicas=-1)
    ask("a name that is none", "a/b")
    ask("no name", "")
    ask("a dot for a name", "...")
    ask("a long name", "x" * 250)
    ask(
        "assigned",
        "assigned",
        partitions=-1,
        replicas=-1,
        assignments=[{"partitionIndex": 0, "brokerIds": [1]}, {"partitionIndex": 1, "brokerIds": [1]}],
    )
    ask("assigned and counted", "bad", assignments=[{"partitionIndex": 0, "brokerIds": [1]}])
    ask("assigned to nobody", "bad", partitions=-1, replicas=-1, assignments=[{"partitionIndex": 0, "brokerIds": [70]}])
    ask("assigned with a gap", "bad", partitions=-1, replicas=-1, assignments=[{"partitionIndex": 1, "brokerIds": [1]}])
    ask("assigned twice", "bad", partitions=-1, replicas=-1, assignments=[{"partitionIndex": 0, "brokerIds": [1, 1]}])
    pair.ask(
        "the offsets of groups",
        {"topics": [{"name": "__consumer_offsets", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 5000},
    )
    twice = [{"name": f"twice-{v}", "numPartitions": 1, "replicationFactor": 1}] * 2
    pair.ask("twice in one", {"topics": twice, "timeoutMs": 5000})
    pair.ask(
        "a name with a dot",
        {"topics": [{"name": f"alike.{v}", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 5000},
    )
    pair.ask(
        "one that is alike",
        {"topics": [{"name": f"alike_{v}", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 5000},
    )
    pair.ask("none", {"topics": [], "timeoutMs": 5000})
    pair.ask(
        "only tried",
        {
            "topics": [{"name": f"tried-{v}", "numPartitions": 3, "replicationFactor": 1}],
            "timeoutMs": 5000,
            "validateOnly": True,
        },
    )


def delete_topics(pair, v):
    pair.each(
        "CreateTopics",
        5,
        {"topics": [{"name": f"gone-{v}", "numPartitions": 1, "replicationFactor": 1}], "timeoutMs": 5000},
    )
    found = [one["topics"][0]["topicId"] for one in pair.each("Metadata", 12, {"topics": [{"name": f"gone-{v}"}]})]
    pair.keep("id of gone", found)
    if v < 6:
        pair.ask("one", {"topicNames": [f"gone-{v}"], "timeoutMs": 5000})
        pair.ask("one that is not there", {"topicNames": [f"gone-{v}"], "timeoutMs": 5000})
        pair.ask("none", {"topicNames": [], "timeoutMs": 5000})
        pair.ask("one twice", {"topicNames": ["nowhere", "nowhere"], "timeoutMs": 5000})
        return
    pair.ask("with an id and a name", {"topics": [{"name": "gone-6", "topicId": "$id of gone"}], "timeoutMs": 5000})
    pair.ask("without an id or a name", {"topics": [{"name": None}], "timeoutMs": 5000})
    pair.ask("one twice", {"topics": [{"name": "gone-6"}, {"name": None, "topicId": "$id of gone"}], "timeoutMs": 5000})
    pair.ask("by id", {"topics": [{"name": None, "topicId": "$id of gone"}], "timeoutMs": 5000})
    pair.ask("by an id that is lost", {"topics": [{"name": None, "topicId": LOST_ID}], "timeoutMs": 5000})
    pair.ask("by a name that is not there", {"topics": [{"name": "gone-6"}], "timeoutMs": 5000})


def delete_records(pair, v):
    def ask(case, offset, topic="trim", partition=0):
        parts = [{"partitionIndex": partition, "offset": offset}]
        pair.ask(case, {"topics": [{"name": topic, "partitions": parts}], "timeoutMs": 5000})

    ask("before an offset", 3 + v)
    ask("before one that is gone", 1)
    ask("beyond the end", 11)
    ask("a negative offset", -2)
    ask("no such topic", 1, topic="nowhere")
    ask("no such partition", 1, partition=9)
    pair.ask("none", {"topics": [], "timeoutMs": 5000})


def init_producer_id(pair, v):
    pair.ask("a new one", {"transactionalId": None, "transactionTimeoutMs": 60_000})
    pair.ask("transactional without a name", {"transactionalId": "", "transactionTimeoutMs": 60_000})
    if v >= 3:
        pair.ask("an id without an epoch", {"transactionalId": None, "transactionTimeoutMs": 60_000, "producerId": 5})
        pair.ask(
            "an epoch without an id", {"transactionalId": None, "transactionTimeoutMs": 60_000, "producerEpoch": 5}
        )
        pair.ask(
            "an id that is there",
            {"transactionalId": None, "transactionTimeoutMs": 60_000, "producerId": 5, "producerEpoch": 3},
        )


def offset_for_leader_epoch(pair, v):
    def ask(case, epoch, topic="full", partition=0, current=-1):
        parts = [{"partition": partition, "leaderEpoch": epoch, "currentLeaderEpoch": current}]
        body = {"topics": [{"topic": topic, "partitions": parts}]}
        pair.ask(case, {**body, "replicaId": -1} if v >= 3 else body)

    for epoch in (0, 1, 99, -1, -2):
        ask(f"epoch {epoch}", epoch)
    ask("a leader epoch to come", 0, current=99)
    ask("an empty partition", 0, topic="empty")
    ask("no such topic", 0, topic="nowhere")
    ask("no such partition", 0, partition=9)
    pair.ask("none", {"topics": []})


ALL = [
    ("Produce", produce),
    ("Fetch", fetch),
    ("ListOffsets", list_offsets),
    ("Metadata", metadata),
    ("OffsetCommit", offset_commit),
    ("OffsetFetch", offset_fetch),
    ("FindCoordinator", find_coordinator),
    ("JoinGroup", join_group),
    ("Heartbeat", heartbeat),
    ("SyncGroup", sync_group),
    ("LeaveGroup", leave_group),
    ("DescribeGroups", describe_groups),
    ("ListGroups", list_groups),
    ("SaslHandshake", sasl_handshake),
    ("SaslAuthenticate", sasl_authenticate),
    ("ApiVersions", api_versions),
    ("CreateTopics", create_topics),
    ("DeleteTopics", delete_topics),
    ("DeleteRecords", delete_records),
    ("InitProducerId", init_producer_id),
    ("OffsetForLeaderEpoch", offset_for_leader_epoch),
]


def run(pair):
    import answer_cases_admin
    import answer_cases_damaged
    import answer_cases_transactions

    prepare(pair)
    for api, cases in ALL + answer_cases_admin.ALL + answer_cases_transactions.ALL:
        pair.api, pair.key = api, KEYS[api]
        lowest, highest = VERSIONS[pair.key]
        for pair.version in range(lowest, highest + 1):
            try:
                cases(pair, pair.version)
            except AssertionError as reason:
                pair.differences.setdefault((api, "what its cases need"), []).append(
                    (pair.version, {}, str(reason), None)
                )
    answer_cases_damaged.run(pair, KEYS, VERSIONS)
