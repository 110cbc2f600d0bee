"""Apache Kafka's own command-line tools on klog, with their default options: what a user of Kafka types on the first
day. Each test also passes on Apache Kafka itself (`suite.py --against kafka`).
"""

import json
import os
import re

T = "org.apache.kafka.tools."
TOPICS, ACLS, CONFIGS = T + "TopicCommand", T + "AclCommand", "kafka.admin.ConfigCommand"
PRODUCER, CONSUMER, GROUPS = (
    T + "ConsoleProducer",
    T + "consumer.ConsoleConsumer",
    T + "consumer.group.ConsumerGroupCommand",
)
OFFSETS, FEATURES, QUORUM = T + "GetOffsetShell", T + "FeatureCommand", T + "MetadataQuorumCommand"
REASSIGN = T + "reassign.ReassignPartitionsCommand"


def rows(text, *first):
    """The words of the lines that begin with these words."""
    found = [line.split() for line in text.splitlines()]
    return [words for words in found if tuple(words[: len(first)]) == first]


def described(text):
    """The `Name: value` pairs of a line of kafka-topics --describe."""
    return dict(re.findall(r"(\w+): ?([^\t\n]*)", text))


def read_all(tools, topic, count, *options):
    """What the console consumer reads from the beginning."""
    out = tools.at(
        CONSUMER, "--topic", topic, "--from-beginning", "--max-messages", count, "--timeout-ms", 30000, *options
    )
    return out.splitlines()


def test_topics(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "tools", "--partitions", 3, "--config", "retention.ms=1234567")
    assert "tools" in tools.at(TOPICS, "--list").split()
    text = tools.at(TOPICS, "--describe", "--topic", "tools")
    head = described(text.splitlines()[0])
    assert head["PartitionCount"] == "3" and head["ReplicationFactor"] == "1", text
    assert "retention.ms=1234567" in head["Configs"] and re.fullmatch(r"[\w-]{22}", head["TopicId"].strip()), text
    leaders = [described(line)["Leader"].strip() for line in text.splitlines()[1:]]
    assert len(leaders) == 3 and set(leaders) == {"1"}, text
    tools.at(TOPICS, "--alter", "--topic", "tools", "--partitions", 5)
    assert "PartitionCount: 5" in tools.at(TOPICS, "--describe", "--topic", "tools")
    assert "partition" in tools.refused(TOPICS, "--alter", "--topic", "tools", "--partitions", 2).lower()
    assert "tools" in tools.refused(TOPICS, "--create", "--topic", "tools")
    tools.at(TOPICS, "--create", "--topic", "tools", "--if-not-exists")
    tools.refused(TOPICS, "--create", "--topic", "tools2", "--replication-factor", 3)
    assert "no.such" in tools.refused(TOPICS, "--create", "--topic", "tools2", "--config", "no.such=1")
    tools.at(TOPICS, "--create", "--topic", "assigned", "--replica-assignment", "1,1")
    assert "PartitionCount: 2" in tools.at(TOPICS, "--describe", "--topic", "assigned")
    assert "tools" in tools.at(TOPICS, "--describe", "--topics-with-overrides")
    assert tools.at(TOPICS, "--describe", "--unavailable-partitions").strip() == ""
    assert tools.at(TOPICS, "--describe", "--under-replicated-partitions").strip() == ""
    topic_id = head["TopicId"].strip()
    assert "Topic: tools" in tools.at(TOPICS, "--describe", "--topic-id", topic_id)
    tools.at(TOPICS, "--delete", "--topic", "tools")
    assert "tools" not in tools.at(TOPICS, "--list").split()
    assert "does not exist" in tools.refused(TOPICS, "--delete", "--topic", "tools")
    tools.at(TOPICS, "--delete", "--topic", "tools", "--if-exists")


def test_console_producer_and_consumer(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "console", "--partitions", 1)
    lines = world.lines[: world.lines.index(b"5000 ")]
    tools.at(PRODUCER, "--topic", "console", stdin=lines)
    assert read_all(tools, "console", 5000) == lines.decode().splitlines()
    for codec in ["gzip", "snappy", "lz4", "zstd"]:
        tools.at(PRODUCER, "--topic", "console-" + codec, "--compression-codec", codec, stdin=lines)
        assert sorted(read_all(tools, "console-" + codec, 5000)) == sorted(lines.decode().splitlines()), codec
    text = b"h1:v1,h2:v2\tkey\tvalue\n"
    parse = ["--reader-property", "parse.key=true", "--reader-property", "parse.headers=true"]
    tools.at(PRODUCER, "--topic", "keyed", *parse, stdin=text)
    show = ["print.key=true", "print.headers=true", "print.partition=true", "print.offset=true"]
    shown = read_all(tools, "keyed", 1, *[word for one in show for word in ("--formatter-property", one)])
    assert shown == ["Partition:0\tOffset:0\th1:v1,h2:v2\tkey\tvalue"], shown
    got = tools.at(CONSUMER, "--topic", "console", "--partition", 0, "--offset", 4990, "--max-messages", 10)
    assert got.splitlines() == lines.decode().splitlines()[4990:], got


def test_consumer_groups(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "grouped", "--partitions", 2)
    for partition in (0, 1):
        world.to(world.tools.address, "produce", "grouped", "-p", str(partition), stdin=b"a\nb\nc\nd\n")
    assert len(read_all(tools, "grouped", 8, "--group", "g1")) == 8
    assert "g1" in tools.at(GROUPS, "--list").split()
    text = tools.at(GROUPS, "--describe", "--group", "g1")
    assert sorted(row[2:6] for row in rows(text, "g1", "grouped")) == [["0", "4", "4", "0"], ["1", "4", "4", "0"]], text
    assert rows(tools.at(GROUPS, "--describe", "--group", "g1", "--state"), "g1")[0][-2:] == ["Empty", "0"]
    assert rows(tools.at(GROUPS, "--list", "--state"), "g1") == [["g1", "Empty"]]
    assert rows(tools.at(GROUPS, "--list", "--type"), "g1") == [["g1", "Classic"]]
    assert rows(tools.at(T + "GroupsCommand", "--list"), "g1") == [["g1", "Classic", "consumer"]]
    reset = ["--reset-offsets", "--group", "g1", "--topic", "grouped"]
    plan = tools.at(GROUPS, *reset, "--to-earliest", "--dry-run")
    assert sorted(row[-2:] for row in rows(plan, "g1", "grouped")) == [["0", "0"], ["1", "0"]], plan
    assert "CURRENT-OFFSET" in tools.at(GROUPS, "--describe", "--group", "g1")
    assert [row[3] for row in rows(tools.at(GROUPS, "--describe", "--group", "g1"), "g1")] == [
        "4",
        "4",
    ], "a dry run moves nothing"
    for where, want in [
        (["--to-earliest"], "0"),
        (["--shift-by", 3], "3"),
        (["--to-offset", 1], "1"),
        (["--to-latest"], "4"),
        (["--to-datetime", "2020-01-01T00:00:00.000"], "0"),
        (["--by-duration", "P1D"], "0"),
        (["--to-current"], "0"),
    ]:
        plan = tools.at(GROUPS, *reset, *where, "--execute")
        assert {row[3] for row in rows(plan, "g1", "grouped")} == {want}, (where, plan)
    text = tools.at(GROUPS, "--describe", "--group", "g1", "--offsets")
    assert {row[5] for row in rows(text, "g1", "grouped")} == {"4"}, text
    tools.at(GROUPS, "--delete-offsets", "--group", "g1", "--topic", "grouped:0")
    text = tools.at(GROUPS, "--describe", "--group", "g1")
    assert [row[2] for row in rows(text, "g1", "grouped")] == ["1"], text
    tools.at(GROUPS, "--delete", "--group", "g1")
    assert "g1" not in tools.at(GROUPS, "--list").split()
    code, out, err = tools.call(GROUPS, "--bootstrap-server", tools.address, "--delete", "--group", "g1")
    assert "GroupIdNotFound" in out + err, (code, out, err)


def test_a_group_with_members_is_described_and_kept(world):
    tools = world.tools
    world.to(tools.address, "topic", "create", "live", "-p", "2")
    member = world.start(tools.address, "consume", "live", "-g", "lg")
    try:
        world.until(
            lambda: len(rows(tools.at(GROUPS, "--describe", "--group", "lg", "--members"), "lg")) == 1, 20, "one member"
        )
        row = rows(tools.at(GROUPS, "--describe", "--group", "lg", "--members", "--verbose"), "lg")[0]
        assert row[4] == "2" and "live(0,1)" in "".join(row).replace(" ", "") or "live:0,1" in "".join(row), row
        assert rows(tools.at(GROUPS, "--describe", "--group", "lg", "--state"), "lg")[0][-2:] == ["Stable", "1"]
        code, out, err = tools.call(GROUPS, "--bootstrap-server", tools.address, "--delete", "--group", "lg")
        assert "GroupNotEmpty" in out + err, (code, out, err)
        reset = ["--reset-offsets", "--group", "lg", "--topic", "live", "--to-earliest", "--execute"]
        code, out, err = tools.call(GROUPS, "--bootstrap-server", tools.address, *reset)
        assert "inactive" in out + err, (code, out, err)
    finally:
        member.terminate()
        member.wait(20)


def test_configs_of_topics_brokers_and_groups(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "configured")
    topic = ["--entity-type", "topics", "--entity-name", "configured"]
    tools.at(CONFIGS, "--alter", *topic, "--add-config", "retention.ms=2000000,cleanup.policy=[compact,delete]")
    text = tools.at(CONFIGS, "--describe", *topic)
    assert "retention.ms=2000000" in text and "cleanup.policy=compact,delete" in text, text
    assert "DYNAMIC_TOPIC_CONFIG:retention.ms=2000000" in text, text
    tools.at(CONFIGS, "--alter", *topic, "--delete-config", "retention.ms")
    assert "retention.ms" not in tools.at(CONFIGS, "--describe", *topic)
    text = tools.at(CONFIGS, "--describe", "--all", *topic)
    assert "retention.ms=604800000" in text and "segment.bytes=1073741824" in text and "DEFAULT_CONFIG" in text, text
    assert "no.such" in tools.refused(CONFIGS, "--alter", *topic, "--add-config", "no.such=1")
    broker = ["--entity-type", "brokers", "--entity-name", "1"]
    tools.at(CONFIGS, "--alter", *broker, "--add-config", "log.cleaner.delete.retention.ms=77777")
    assert "log.cleaner.delete.retention.ms=77777" in tools.at(CONFIGS, "--describe", *broker)
    everybody = ["--entity-type", "brokers", "--entity-default"]
    tools.at(CONFIGS, "--alter", *everybody, "--add-config", "log.cleaner.delete.retention.ms=88888")
    assert "88888" in tools.at(CONFIGS, "--describe", *everybody)
    tools.at(CONFIGS, "--alter", *broker, "--delete-config", "log.cleaner.delete.retention.ms")
    assert "log.cleaner.delete.retention.ms=88888" in tools.at(CONFIGS, "--describe", "--all", *broker)
    tools.at(CONFIGS, "--alter", *everybody, "--delete-config", "log.cleaner.delete.retention.ms")
    group = ["--entity-type", "groups", "--entity-name", "cg"]
    tools.at(CONFIGS, "--alter", *group, "--add-config", "consumer.session.timeout.ms=7000")
    assert "consumer.session.timeout.ms=7000" in tools.at(CONFIGS, "--describe", *group)
    assert "Dynamic configs for topic" in tools.at(CONFIGS, "--describe", "--entity-type", "topics")


def test_offsets_and_deleting_records(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "trimmed", "--partitions", 2)
    world.to(tools.address, "produce", "trimmed", "-p", "1", stdin=world.lines)
    assert sorted(tools.at(OFFSETS, "--topic", "trimmed").split()) == ["trimmed:0:0", "trimmed:1:20000"]
    want = os.path.join(world.folder, "delete.json")
    with open(want, "w") as out:
        json.dump({"version": 1, "partitions": [{"topic": "trimmed", "partition": 1, "offset": 15000}]}, out)
    text = tools.at(T + "DeleteRecordsCommand", "--offset-json-file", want)
    assert "low_watermark: 15000" in text, text
    for time, offset in [
        ("earliest", 15000),
        ("-2", 15000),
        ("latest", 20000),
        ("-1", 20000),
        ("max-timestamp", None),
        ("-4", 15000),
    ]:
        text = tools.at(OFFSETS, "--topic-partitions", "trimmed:1", "--time", time)
        assert offset is None or text.split() == [f"trimmed:1:{offset}"], (time, text)
    assert "trimmed:1:20000" in tools.at(OFFSETS).split()
    assert len(read_all(tools, "trimmed", 5000)) == 5000


def test_log_dirs(world):
    tools = world.tools
    world.to(tools.address, "produce", "dirs", stdin=world.lines)
    text = tools.at(T + "LogDirsCommand", "--describe", "--topic-list", "dirs")
    found = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
    (broker,) = found["brokers"]
    (directory,) = broker["logDirs"]
    (partition,) = directory["partitions"]
    assert broker["broker"] == 1 and directory["error"] is None and partition["partition"] == "dirs-0", found
    assert partition["size"] > 0 and partition["offsetLag"] == 0 and partition["isFuture"] is False, found


def test_what_the_broker_is(world):
    tools = world.tools
    text = tools.at(T + "BrokerApiVersionsCommand")
    assert (
        "(id: 1" in text
        and "Produce(0): 0 to 13" in text
        and "UNSUPPORTED" in text.upper()
        or "Fetch(1): 4 to 18" in text
    ), text
    assert "usable: 18" in next(line for line in text.splitlines() if "Fetch(1)" in line), text
    assert "Cluster ID: " in tools.alone(T + "ClusterTool", "cluster-id", "--bootstrap-server", tools.address)
    text = tools.at(FEATURES, "describe")
    assert re.search(r"Feature: metadata.version\s.*FinalizedVersionLevel: 4.3", text), text
    assert re.search(r"Feature: group.version\s.*FinalizedVersionLevel: 1\b", text), text
    text = tools.at(QUORUM, "describe", "--status")
    assert re.search(r"LeaderId:\s+1\b", text) and re.search(r"HighWatermark:\s+\d+", text), text
    text = tools.at(QUORUM, "describe", "--replication")
    assert [row[0] for row in rows(text) if row and row[-1] == "Leader"] == ["1"], text
    partition = ["--topic", "told", "--partition", 0]
    tools.at(TOPICS, "--create", "--topic", "told")
    text = tools.at(T + "LeaderElectionCommand", "--election-type", "PREFERRED", *partition)
    assert "Valid replica already elected" in text, text
    assert "No partition reassignments found" in tools.at(REASSIGN, "--list")
    plan = os.path.join(world.folder, "reassign.json")
    with open(plan, "w") as out:
        json.dump({"version": 1, "partitions": [{"topic": "told", "partition": 0, "replicas": [1]}]}, out)
    text = tools.at(REASSIGN, "--reassignment-json-file", plan, "--execute")
    assert "Successfully started partition reassignment" in text, text
    world.until(
        lambda: "is completed" in tools.at(REASSIGN, "--reassignment-json-file", plan, "--verify"), 20, "reassigned"
    )
    text = tools.at(T + "TransactionsCommand", "describe-producers", *partition)
    assert "ProducerId" in text, text


def test_performance_and_verifiable_tools(world):
    tools = world.tools
    tools.at(TOPICS, "--create", "--topic", "perf", "--partitions", 2)
    props = ["--producer-props", f"bootstrap.servers={tools.address}"]
    size = ["--num-records", 20000, "--record-size", 100, "--throughput", -1]
    text = tools.ok(T + "ProducerPerformance", "--topic", "perf", *size, *props)
    assert "20000 records sent" in text, text
    text = tools.at(T + "ConsumerPerformance", "--topic", "perf", "--num-records", 20000)
    assert re.search(r", 20\d\d\d, ", text), text
    # These two print their summary while the process ends.
    at = ["--bootstrap-server", tools.address]
    text = tools.alone(T + "VerifiableProducer", *at, "--topic", "verified", "--max-messages", 500)
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert sum(event["name"] == "producer_send_success" for event in events) == 500, events[-1]
    assert events[-1]["name"] == "tool_data" and events[-1]["acked"] == 500, events[-1]
    text = tools.alone(
        T + "VerifiableConsumer",
        *at,
        "--topic",
        "verified",
        "--group-id",
        "vg",
        "--max-messages",
        500,
        "--reset-policy",
        "earliest",
    )
    events = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    assert sum(event["count"] for event in events if event["name"] == "records_consumed") == 500, events[-1]
    assert any(event["name"] == "offsets_committed" and event["success"] for event in events), events
    text = tools.ok(
        T + "EndToEndLatency",
        "--bootstrap-server",
        tools.address,
        "--topic",
        "perf",
        "--num-records",
        100,
        "--producer-acks",
        1,
        "--record-size",
        20,
    )
    assert "Avg latency" in text, text


def secured(world, name, user, password, mechanism="SCRAM-SHA-256"):
    """A client's property file for the secured broker."""
    path = os.path.join(world.folder, name + ".properties")
    module = "plain.PlainLoginModule" if mechanism == "PLAIN" else "scram.ScramLoginModule"
    with open(path, "w") as out:
        out.write(f"security.protocol=SASL_PLAINTEXT\nsasl.mechanism={mechanism}\nsasl.jaas.config=")
        out.write(f'org.apache.kafka.common.security.{module} required username="{user}" password="{password}";\n')
    return path


def test_users_and_rules(world):
    tools = world.tools
    address = world.place.world["sasl"]
    alice = secured(world, "alice", "alice", "alice-secret")

    def at(main, *arguments):
        return tools.ok(main, "--bootstrap-server", address, "--command-config", alice, *arguments)

    user = ["--entity-type", "users", "--entity-name", "bob"]
    at(CONFIGS, "--alter", *user, "--add-config", "SCRAM-SHA-512=[password=bob-secret]")
    bob = secured(world, "bob", "bob", "bob-secret", "SCRAM-SHA-512")
    at(TOPICS, "--create", "--topic", "ruled")

    def bobs(main, *arguments, stdin=b""):
        return tools.call(main, "--bootstrap-server", address, "--command-config", bob, *arguments, stdin=stdin)

    def written():
        return at(OFFSETS, "--topic", "ruled").split() != ["ruled:0:0"]

    code, out, err = bobs(TOPICS, "--describe", "--topic", "ruled")
    assert code != 0 and "does not exist" in out + err, (code, out, err)
    rule = ["--allow-principal", "User:bob", "--topic", "ruled"]
    at(ACLS, "--add", *rule, "--operation", "Read", "--operation", "DescribeConfigs")
    text = at(ACLS, "--list", "--topic", "ruled")
    assert "principal=User:bob, host=*, operation=READ, permissionType=ALLOW" in text, text
    world.until(lambda: bobs(TOPICS, "--describe", "--topic", "ruled")[0] == 0, 10, "bob may describe")
    # The tool ends well and writes its error to a log: what counts is what came.
    bobs(PRODUCER, "--topic", "ruled", stdin=b"x\n")
    assert not written(), "bob may not write"
    at(ACLS, "--add", *rule, "--producer")
    world.until(lambda: bobs(PRODUCER, "--topic", "ruled", stdin=b"x\n") and written(), 30, "bob may write")
    at(
        ACLS,
        "--add",
        "--allow-principal",
        "User:bob",
        "--group",
        "team-",
        "--resource-pattern-type",
        "prefixed",
        "--operation",
        "Read",
    )
    text = at(ACLS, "--list", "--principal", "User:bob")
    assert "name=team-, patternType=PREFIXED" in text, text
    code, out, err = bobs(
        CONSUMER,
        "--topic",
        "ruled",
        "--from-beginning",
        "--group",
        "team-1",
        "--max-messages",
        1,
        "--timeout-ms",
        20000,
    )
    assert out.split() == ["x"], (code, out, err)
    at(ACLS, "--remove", "--force", "--topic", "ruled")
    world.until(lambda: "User:bob" not in at(ACLS, "--list", "--topic", "ruled"), 10, "the rules are gone")
    world.until(lambda: bobs(TOPICS, "--describe", "--topic", "ruled")[0] != 0, 10, "bob may not describe")
    at(CONFIGS, "--alter", *user, "--delete-config", "SCRAM-SHA-512")
    world.until(lambda: "Authentication" in str(bobs(TOPICS, "--list")), 10, "bob does not come in")


def test_users_are_altered_and_described(world):
    tools = world.tools
    alice = secured(world, "alice", "alice", "alice-secret")
    at = ["--bootstrap-server", world.place.world["sasl"], "--command-config", alice]
    user = ["--entity-type", "users", "--entity-name", "dora"]

    for change in ("SCRAM-SHA-256=[iterations=8192,password=x]", "SCRAM-SHA-512=[password=x]"):
        tools.ok(CONFIGS, *at, "--alter", *user, "--add-config", change)
    text = tools.ok(CONFIGS, *at, "--describe", *user)
    assert "256=iterations=8192" in text and "512=iterations=4096" in text, text
    text = tools.ok(CONFIGS, *at, "--describe", "--entity-type", "users")
    assert "dora" in text and "alice" in text, text
    dora = secured(world, "dora", "dora", "x", "SCRAM-SHA-512")
    login = ["--bootstrap-server", world.place.world["sasl"], "--command-config", dora]
    tools.ok(TOPICS, *login, "--list")
    for gone in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
        tools.ok(CONFIGS, *at, "--alter", *user, "--delete-config", gone)
    text = tools.ok(CONFIGS, *at, "--describe", *user)
    assert "iterations" not in text, text


def test_quotas_are_described(world):
    """There are none; the tool says so, and where it is told to make one that klog can not."""
    tools = world.tools
    for kind in ("users", "clients", "ips"):
        assert "quota" not in tools.at(CONFIGS, "--describe", "--entity-type", kind).replace("Quota configs", "")
    if world.place.world["kind"] == "klog":
        change = ["--alter", "--entity-type", "clients", "--entity-name", "c", "--add-config", "consumer_byte_rate=1000"]
        text = tools.refused(CONFIGS, *change)
        assert "ALTER_CLIENT_QUOTAS" in text, text


TESTS = [(name, test) for name, test in list(globals().items()) if name.startswith("test_")]
