"""klog's commands on Apache Kafka, and both programs in one group: the client half of klog meets the original."""

import json


def test_klog_produces_to_kafka_and_consumes_from_it(world):
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        topic = f"from-klog-{codec}"
        world.on_kafka("topic", "create", topic, "-p", "1")
        world.on_kafka("produce", topic, "-z", codec, stdin=world.lines)
        assert world.on_kafka("consume", topic, "-e").stdout == world.lines, codec


def test_klog_groups_on_kafka(world):
    world.on_kafka("topic", "create", "grouped", "-p", "3")
    world.on_kafka("produce", "grouped", "-K", " ", stdin=world.lines)
    first = world.on_kafka("consume", "grouped", "-g", "kg", "-e").stdout
    assert len(first.splitlines()) == 20000
    assert world.on_kafka("consume", "grouped", "-g", "kg", "-e").stdout == b""
    lag = json.loads(world.on_kafka("group", "lag", "kg", "-o", "json").stdout)
    assert sorted(row["partition"] for row in lag) == [0, 1, 2] and all(row["lag"] == 0 for row in lag), lag
    assert "kg" in world.on_kafka("group", "list", "-o", "name").stdout.decode().split()


def test_klog_administers_kafka(world):
    world.on_kafka("topic", "create", "made", "-p", "2", "-c", "retention.ms=7777777")
    assert "made" in world.on_kafka("topic", "list", "-o", "name").stdout.decode().split()
    assert b"7777777" in world.on_kafka("topic", "describe", "made", "-o", "json").stdout
    world.on_kafka("topic", "delete", "made", "-y")
    assert world.on_kafka("topic", "describe", "made", check=False).returncode == 3
    assert world.on_kafka("consume", "made", "-e", check=False).returncode == 3


def test_kafka_consumer_and_klog_share_a_group(world):
    world.run("topic", "create", "shared", "-p", "2")
    world.run("produce", "shared", "-K", " ", stdin=world.lines)
    text = world.tools.ok(
        "org.apache.kafka.tools.consumer.ConsoleConsumer",
        *["--bootstrap-server", world.tools.address, "--topic", "shared", "--group", "both"],
        *["--from-beginning", "--max-messages", "20000", "--timeout-ms", "60000"],
    )
    assert len(text.splitlines()) == 20000
    assert world.run("consume", "shared", "-g", "both", "-e").stdout == b""


TESTS = [(name, test) for name, test in list(globals().items()) if name.startswith("test_")]
