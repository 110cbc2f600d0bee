"""The scenarios of the Python clients: what is done and what must come of it, in terms of an adapter.

An adapter (confluent.py, kafka_python.py, aiokafka_driver.py) gives `admin()`, `producer()` and `consumer()` of one
client, raises Refused with Kafka's code, and says in `lacks` which scenarios and in `features` which parts it has.
"""

import os
import random
import time
from concurrent.futures import ThreadPoolExecutor

from rig import Lacks, Refused, refused, until

# Five hours ago: not so old that retention takes it, and what is three hours later is not in the future.
BASE = int(time.time() * 1000) - 18_000_000

POLLS = ThreadPoolExecutor(4)


def send_all(producer, topic, items, **more):
    """Sends and returns what came of each: an offset or Refused."""
    for item in items:
        producer.send(topic, item, **more)
    return producer.flush()


def produce(c, topic, values, partition=0, **settings):
    producer = c.producer(**settings)
    results = send_all(producer, topic, values, partition=partition)
    producer.close()
    for result in results:
        if isinstance(result, Refused):
            raise result
    return results


def read(c, topic, count, partition=0, offset="earliest", seconds=20, **settings):
    """Exactly `count` records from there on, and none after them."""
    consumer = c.consumer(assign=[(topic, partition, offset)], **settings)
    got = []
    until(
        lambda: got.extend(consumer.poll(0.2)) or len(got) >= count,
        seconds,
        lambda: f"{count} records of {topic}, got {len(got)}",
    )
    got.extend(consumer.poll(0.3))
    consumer.close()
    assert len(got) == count, f"{count} records wanted, {len(got)} came: {got[count:][:3]}"
    return got


def read_what_is_there(c, topic, partition=0, **settings):
    """The records from the first to the end as it is now (found by asking, since compaction leaves gaps)."""
    consumer = c.consumer(assign=[(topic, partition, "earliest")], **settings)
    end = consumer.end(topic, partition)
    got = []
    until(
        lambda: got.extend(consumer.poll(0.2)) or consumer.position(topic, partition) >= end,
        20,
        lambda: f"position {end} of {topic}, at {consumer.position(topic, partition)}",
    )
    consumer.close()
    return got


def spin(members, condition, seconds, what):
    """Polls every member until the condition holds; records go to `member.records`. All at once: one that waits in a
    poll for the others to join must not keep them from it."""

    def once():
        for member, got in zip(members, POLLS.map(lambda member: member.poll(member.patience), members)):
            member.records.extend(got)
        return condition()

    return until(once, seconds, lambda: f"{what}: {[sorted(m.assignment()) for m in members]}")


def shares(members):
    """How many partitions each member has; None while one that was not told yet thinks it has another's."""
    owned = [partition for member in members for partition in member.assignment()]
    return sorted(len(member.assignment()) for member in members) if len(owned) == len(set(owned)) else None


# Topics and settings


def topics(c):
    admin = c.admin()
    topic, other = c.world.name("made"), c.world.name("other")
    admin.create_topic(topic, 3, {"retention.ms": "1234567"})
    until(lambda: topic in admin.list_topics(), 5, "the topic is listed")
    assert admin.partitions(topic) == 3
    assert admin.describe_topic(topic)["retention.ms"] == ("1234567", False)
    refused("TOPIC_ALREADY_EXISTS", lambda: admin.create_topic(topic, 3))
    refused("INVALID_REPLICATION_FACTOR", lambda: admin.create_topic(other, 1, replication=5))
    refused("INVALID_TOPIC_EXCEPTION", lambda: admin.create_topic(other + " and!", 1))
    refused("INVALID_CONFIG", lambda: admin.create_topic(other, 1, {"retention.ms": "soon"}))
    refused("INVALID_CONFIG", lambda: admin.create_topic(other, 1, {"no.such.setting": "1"}))
    if "validate_only" in c.features:
        admin.create_topic(other, 1, validate_only=True)
    assert other not in admin.list_topics()
    admin.create_partitions(topic, 5)
    until(lambda: admin.partitions(topic) == 5, 5, "five partitions")
    refused("INVALID_PARTITIONS", lambda: admin.create_partitions(topic, 2))
    produce(c, topic, [b"in the new one"], partition=4)
    assert [r.value for r in read(c, topic, 1, partition=4)] == [b"in the new one"]
    admin.delete_topic(topic)
    until(lambda: topic not in admin.list_topics(), 5, "the topic is gone")
    refused("UNKNOWN_TOPIC_OR_PARTITION", lambda: admin.delete_topic(topic))
    admin.create_topic(topic, 1)
    until(lambda: topic in admin.list_topics(), 5, "the topic is there again")
    assert admin.partitions(topic) == 1
    assert produce(c, topic, [b"anew"]) == [0]
    assert [(r.offset, r.value) for r in read(c, topic, 1)] == [(0, b"anew")]
    admin.delete_topic(topic)
    admin.close()


def configs(c):
    admin = c.admin()
    topic = c.world.name("set")
    admin.create_topic(topic, 1, {"retention.ms": "1234567"})
    shown = until(lambda: admin.describe_topic(topic), 5, "the settings of the topic")
    assert shown["retention.ms"] == ("1234567", False), shown["retention.ms"]
    assert shown["cleanup.policy"] == ("delete", True) and shown["max.message.bytes"][1], shown
    admin.alter_topic(topic, {"max.message.bytes": "2000", "cleanup.policy": "compact,delete"})
    until(lambda: admin.describe_topic(topic)["max.message.bytes"] == ("2000", False), 5, "the setting is altered")
    shown = admin.describe_topic(topic)
    assert shown["cleanup.policy"] == ("compact,delete", False) and shown["retention.ms"] == ("1234567", False)
    refused("INVALID_CONFIG", lambda: admin.alter_topic(topic, {"max.message.bytes": "many"}))
    refused("INVALID_CONFIG", lambda: admin.alter_topic(topic, {"no.such.setting": "1"}))
    # It does what it says.
    admin.alter_topic(topic, {"cleanup.policy": "delete"})

    def too_large():
        return produce(c, topic, [os.urandom(5000)])

    refused("MESSAGE_TOO_LARGE", too_large)
    admin.alter_topic(topic, {}, delete=["max.message.bytes", "cleanup.policy"])
    until(lambda: admin.describe_topic(topic)["max.message.bytes"][1], 5, "the setting is at its default")
    assert admin.describe_topic(topic)["retention.ms"] == ("1234567", False)
    assert too_large() == [0]
    broker = admin.describe_broker(admin.cluster()["brokers"][0])
    assert {"message.max.bytes", "num.partitions", "log.retention.ms", "node.id"} <= broker.keys(), broker.keys()
    assert broker["node.id"] == str(admin.cluster()["brokers"][0])
    missing = c.world.name("missing")
    refused("UNKNOWN_TOPIC_OR_PARTITION", lambda: admin.describe_topic(missing))
    admin.close()


# Records


def codecs(c):
    admin = c.admin()
    for codec in c.codecs:
        topic = c.world.name(codec)
        admin.create_topic(topic, 1)
        sent = {}
        for acks in [0, 1, "all"]:
            sent[acks] = [b"%s %d %s" % (str(acks).encode(), n, b"again and " * 12) for n in range(200)]
            sent[acks].append(str(acks).encode() + b" " + os.urandom(3000))
            producer = c.producer(codec=codec, acks=acks, linger_ms=20)
            results = send_all(producer, topic, sent[acks], partition=0)
            assert not [r for r in results if isinstance(r, Refused)], results
            producer.close()
        got = read(c, topic, sum(map(len, sent.values())))
        for acks, values in sent.items():
            mine = [r.value for r in got if r.value.startswith(str(acks).encode() + b" ")]
            assert mine == values, f"{codec}, acks={acks}: {len(mine)} records differ"
        stored = c.world.stored_batches(topic)
        # A batch that would not get smaller goes as it is.
        used = {batch["codec"] for batch in stored or []}
        assert stored is None or codec in used <= {codec, "none"}, (codec, stored[:3])
        assert b"".join(v + b"\n" for v in sent["all"][:200]) in c.world.run_klog("consume", topic, "-e")
    admin.close()


def records(c):
    admin = c.admin()
    topic = c.world.name("records")
    admin.create_topic(topic, 2)
    everything = bytes(range(256))
    headers = [("a", b"1"), ("b", everything), ("empty", b"")]
    if "duplicate_headers" in c.features:
        headers += [("a", b"2"), ("a", b"1")]
    if "null_headers" in c.features:
        headers.append(("null", None))
    items = [
        (None, b"no key", []),
        (b"key", b"value", headers),
        (b"tombstone", None, []),
        (b"", b"", [("only", b"header")]),
        (everything, everything * 9, []),
        ("grüße".encode(), "日本語\n\r\0".encode(), []),
    ]
    if "neither" in c.features:
        items.append((None, None, headers))
    producer = c.producer(linger_ms=10)
    for number, (key, value, given) in enumerate(items):
        producer.send(topic, value, key=key, partition=1, headers=given, timestamp=BASE + number * 7)
    results = producer.flush()
    assert results == list(range(len(items))), results
    got = read(c, topic, len(items), partition=1)
    assert [(r.key, r.value, r.headers) for r in got] == items, got
    assert [r.timestamp for r in got] == [BASE + n * 7 for n in range(len(items))]
    assert {r.partition for r in got} == {1} and [r.offset for r in got] == list(range(len(items)))
    # Keys go to the same partition each time, and all arrive.
    spread = c.world.name("spread")
    admin.create_topic(spread, 3)
    for number in range(300):
        producer.send(spread, b"%d" % number, key=b"k%d" % (number % 30))
    producer.flush()
    homes = {}
    for partition in range(3):
        for record in read_what_is_there(c, spread, partition):
            homes.setdefault(record.key, []).append((partition, int(record.value)))
    assert sum(map(len, homes.values())) == 300
    for key, places in homes.items():
        assert len({p for p, _ in places}) == 1, (key, places)
        assert [n for _, n in places] == sorted(n for _, n in places), (key, places)
    # The broker's own clock, where the topic asks for it.
    stamped = c.world.name("stamped")
    admin.create_topic(stamped, 1, {"message.timestamp.type": "LogAppendTime"})
    producer.send(stamped, b"x", partition=0, timestamp=BASE)
    producer.flush(), producer.close()
    (record,) = read(c, stamped, 1)
    assert abs(record.timestamp - time.time() * 1000) < 60_000 and record.timestamp_type == 1, record
    admin.close()


def large(c):
    admin = c.admin()
    topic = c.world.name("large")
    admin.create_topic(topic, 1)
    million, two = os.urandom(1_000_000), os.urandom(2_000_000)
    producer = c.producer(max_request=5_000_000)
    assert send_all(producer, topic, [b"first"], partition=0) == [0]
    assert send_all(producer, topic, [million], partition=0) == [1]
    (result,) = send_all(producer, topic, [two], partition=0)
    assert isinstance(result, Refused) and result.code == 10, result
    assert send_all(producer, topic, [b"after"], partition=0) == [2]
    admin.alter_topic(topic, {"max.message.bytes": "3000000"})

    def accepted():
        (result,) = send_all(producer, topic, [two], partition=0)
        return result if not isinstance(result, Refused) else None

    assert until(accepted, 5, "the topic takes larger ones now") == 3
    producer.close()
    # The default fetch sizes are smaller than the record; it comes all the same.
    assert [r.value for r in read(c, topic, 4)] == [b"first", million, b"after", two]
    admin.close()


def offsets(c):
    admin = c.admin()
    topic = c.world.name("times")
    admin.create_topic(topic, 1)
    producer = c.producer(linger_ms=5, codec="gzip")
    for number in range(100):
        later = 10_000_000 if number == 50 else number * 1000
        producer.send(topic, b"%d" % number, partition=0, timestamp=BASE + later)
        if number % 10 == 9:
            producer.flush()
    producer.close()
    consumer = c.consumer(assign=[(topic, 0, "earliest")], group=c.world.name("g"))
    assert consumer.beginning(topic, 0) == 0 and consumer.end(topic, 0) == 100
    for moment, offset in [(0, 0), (30_000, 30), (30_001, 31), (9_000_000, 50), (10_000_000, 50)]:
        assert consumer.at_time(topic, 0, BASE + moment) == offset, (moment, offset)
    assert consumer.at_time(topic, 0, BASE + 10_000_001) is None
    # Committed offsets, with what was written beside them.
    assert consumer.committed(topic, 0) is None
    consumer.commit({(topic, 0): (42, "note")})
    assert consumer.committed(topic, 0) == (42, "note") if "metadata" in c.features else 42
    consumer.close()
    member = c.consumer(group=consumer.group, topics=[topic], reset="earliest")
    member.records = []
    spin([member], lambda: len(member.records) >= 58, 20, "the rest of the records")
    assert [int(r.value) for r in member.records] == list(range(42, 100))
    member.close()
    # No offset committed: where the client's setting says.
    fresh = c.consumer(group=c.world.name("late"), topics=[topic], reset="latest")
    fresh.records = []
    spin([fresh], lambda: fresh.assignment(), 20, "the partition")
    sent = 0

    def seen():
        nonlocal sent
        produce(c, topic, [b"new%d" % sent])
        sent += 1
        return fresh.records

    spin([fresh], seen, 20, "a new record")
    numbers = [int(r.value.removeprefix(b"new")) for r in fresh.records]
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), fresh.records
    fresh.close()
    end = 100 + sent
    # Beyond the end: the client is told, and starts again where it is set to.
    beyond = c.consumer(assign=[(topic, 0, 5000)], reset="earliest", group=c.world.name("beyond"))
    got = []
    until(lambda: got.extend(beyond.poll(0.2)) or len(got) >= end, 20, "reset to the earliest")
    assert got[0].offset == 0
    beyond.close()
    if "list_offsets" in c.features:
        for spec, offset in {"earliest": 0, "latest": end, BASE + 30_001: 31}.items():
            assert admin.list_offsets({(topic, 0): spec})[topic, 0] == offset, (spec, offset)
    if "max_timestamp" in c.features:
        old = c.world.name("max")
        admin.create_topic(old, 1)
        producer = c.producer(linger_ms=20)
        for number in [3, 9, 4, 9, 1]:
            producer.send(old, b"%d" % number, partition=0, timestamp=BASE + number)
        producer.close()
        assert admin.list_offsets({(old, 0): "max_timestamp"})[old, 0] == 1
    admin.close()


# Groups


def group(c):
    groups_of(c, None)


def cooperative(c):
    groups_of(c, "cooperative")


def group_next(c):
    groups_of(c, "next")


def groups_of(c, protocol):
    """One member, two, three, two: all is read once after it was committed, and nothing is skipped."""
    admin = c.admin()
    topic, name = c.world.name("shared"), c.world.name("group")
    admin.create_topic(topic, 6)
    producer = c.producer()
    sent = 0

    def produce_more(count):
        nonlocal sent
        for _ in range(count):
            producer.send(topic, b"%d" % sent, partition=sent % 6)
            sent += 1
        producer.flush()

    members, gone = [], []

    def join():
        members.append(c.consumer(group=name, topics=[topic], reset="earliest", protocol=protocol))
        members[-1].records = []

    def all_read():
        return sum(len(m.records) for m in members + gone) >= sent

    def settled(sizes):
        return lambda: shares(members) == sizes and all_read()

    produce_more(60)
    join()
    spin(members, settled([6]), 20, "one member has all")
    for sizes in [[3, 3], [2, 2, 2]]:
        for member in members:
            member.commit()
            member.events.clear()
        join()
        spin(members, settled(sizes), 30, f"shares of {sizes}")
        if protocol in ("cooperative", "next"):
            # Only what moves is given up; what is kept is never taken away.
            given_up = [p for m in members for kind, parts in m.events if kind == "revoked" for p in parts]
            assert len(given_up) == sizes[0] and len(set(given_up)) == len(given_up), [m.events for m in members]
        produce_more(60)
        spin(members, all_read, 20, "the records of this stage")
    for member in members:
        member.commit()
    described = admin.describe_group(name)
    assert described["members"] == 3 and described["state"].upper() == "STABLE", described
    assert name in admin.list_groups()
    leaver = members.pop(0)
    leaver.close()
    gone.append(leaver)
    spin(members, settled([3, 3]), 30, "the leaver's partitions are taken over")
    produce_more(60)
    spin(members, all_read, 20, "the records after one left")
    for member in members:
        member.commit()
        member.close()
    values = sorted(int(r.value) for m in members + gone for r in m.records)
    assert values == list(range(sent)), f"{len(values)} read of {sent}, {len(set(values))} different"
    until(lambda: admin.describe_group(name)["state"].upper() == "EMPTY", 10, "the group is empty")
    # What was committed is not read again; what came since is.
    members.clear()
    produce_more(6)
    join()
    spin(members, lambda: len(members[0].records) >= 6, 20, "the records since")
    members[0].records.extend(members[0].poll(0.3))
    assert sorted(int(r.value) for r in members[0].records) == list(range(sent - 6, sent))
    members[0].close()
    producer.close(), admin.close()


def static(c):
    """Static members keep their partitions over a restart, and the others do not notice."""
    admin = c.admin()
    topic, name = c.world.name("static"), c.world.name("group")
    admin.create_topic(topic, 4)

    def join(instance):
        member = c.consumer(group=name, topics=[topic], reset="earliest", instance=instance)
        member.records = []
        return member

    first, second = join("one"), join("two")
    spin([first, second], lambda: shares([first, second]) == [2, 2], 30, "two partitions each")
    mine, theirs = set(first.assignment()), set(second.assignment())
    second.events.clear()
    first.close()
    again = join("one")
    spin([again, second], lambda: again.assignment(), 20, "the restarted member has partitions")
    assert set(again.assignment()) == mine, (again.assignment(), mine)
    spin([again, second], lambda: True, 1, "")
    assert set(second.assignment()) == theirs and second.events == [], second.events
    for number in range(8):
        produce(c, topic, [b"%d" % number], partition=number % 4)
    spin([again, second], lambda: len(again.records + second.records) == 8, 20, "all records")
    # Another of the same name takes its place: the one before is told so.
    usurper = join("one")
    if "fencing" in c.features:

        def fenced():
            usurper.poll(0.05), second.poll(0.05)
            try:
                again.poll(0.05)
                again.commit()
            except Refused as wrong:
                return wrong.code == 82
            return False

        until(fenced, 20, "the former member is fenced")
    spin([usurper, second], lambda: set(usurper.assignment()) == mine, 20, "the new one has its partitions")
    second.close(), usurper.close(), admin.close()


def pause_seek(c):
    admin = c.admin()
    topic = c.world.name("paused")
    admin.create_topic(topic, 2)
    produce(c, topic, [b"a%d" % n for n in range(10)], partition=0)
    produce(c, topic, [b"b%d" % n for n in range(10)], partition=1)
    consumer = c.consumer(assign=[(topic, 0, "earliest"), (topic, 1, "earliest")])
    consumer.pause(topic, 0)
    got = []
    until(lambda: got.extend(consumer.poll(0.2)) or len(got) >= 10, 20, "the other partition's records")
    got.extend(consumer.poll(0.3))
    assert [r.value for r in got] == [b"b%d" % n for n in range(10)], got
    consumer.resume(topic, 0)
    got.clear()
    until(lambda: got.extend(consumer.poll(0.2)) or len(got) >= 10, 20, "the paused partition's records")
    assert [r.value for r in got] == [b"a%d" % n for n in range(10)], got
    consumer.seek(topic, 1, 7)
    got.clear()
    until(lambda: got.extend(consumer.poll(0.2)) or len(got) >= 3, 20, "what follows the new position")
    assert [r.value for r in got] == [b"b7", b"b8", b"b9"], got
    consumer.seek(topic, 0, 10)
    consumer.seek(topic, 1, 0)
    produce(c, topic, [b"a10"], partition=0)
    got.clear()
    until(lambda: got.extend(consumer.poll(0.2)) or len(got) >= 11, 20, "both partitions")
    assert sorted(r.value for r in got) == sorted([b"a10"] + [b"b%d" % n for n in range(10)]), got
    consumer.close(), admin.close()


# Administration


def admin(c):
    admin = c.admin()
    cluster = admin.cluster()
    assert len(cluster["brokers"]) == 1 and cluster["controller"] == cluster["brokers"][0], cluster
    assert "cluster_id" not in c.features or cluster["id"], cluster
    topic, name = c.world.name("seen"), c.world.name("group")
    admin.create_topic(topic, 2)
    produce(c, topic, [b"%d" % n for n in range(20)], partition=0)
    produce(c, topic, [b"%d" % n for n in range(20)], partition=1)
    member = c.consumer(group=name, topics=[topic], reset="earliest")
    member.records = []
    spin([member], lambda: len(member.records) == 40, 20, "all records")
    member.commit()
    described = admin.describe_group(name)
    assert described["members"] == 1 and described["state"].upper() == "STABLE", described
    assert name in admin.list_groups()
    assert admin.group_offsets(name) == {(topic, 0): 20, (topic, 1): 20}
    if "delete_groups" in c.features:
        refused("NON_EMPTY_GROUP", lambda: admin.delete_group(name))
    if "delete_group_offsets" in c.features:
        refused("GROUP_SUBSCRIBED_TO_TOPIC", lambda: admin.delete_group_offsets(name, [(topic, 0)]))
    member.close()
    until(lambda: admin.describe_group(name)["state"].upper() == "EMPTY", 10, "the group is empty")
    if "alter_group_offsets" in c.features:
        admin.alter_group_offsets(name, {(topic, 0): 5})
        assert admin.group_offsets(name)[topic, 0] == 5
        resumed = c.consumer(group=name, topics=[topic], reset="earliest")
        resumed.records = []
        spin([resumed], lambda: len(resumed.records) >= 15, 20, "from the new offset on")
        assert [r.offset for r in resumed.records] == list(range(5, 20)), resumed.records
        resumed.close()
        until(lambda: admin.describe_group(name)["state"].upper() == "EMPTY", 10, "the group is empty")
    if "delete_group_offsets" in c.features:
        admin.delete_group_offsets(name, [(topic, 1)])
        assert (topic, 1) not in admin.group_offsets(name) and (topic, 0) in admin.group_offsets(name)
    if "delete_groups" in c.features:
        admin.delete_group(name)
        until(lambda: name not in admin.list_groups(), 5, "the group is gone")
        refused("GROUP_ID_NOT_FOUND", lambda: admin.delete_group(name))
        assert admin.group_offsets(name) == {}
    if "list_offsets" in c.features:
        assert admin.list_offsets({(topic, 0): "latest", (topic, 1): "latest"}) == {(topic, 0): 20, (topic, 1): 20}
        assert admin.list_offsets({(topic, 1): "earliest"}) == {(topic, 1): 0}
    admin.close()
    for part in ["acls", "scram", "more_admin"]:
        if part in c.features:
            globals()["admin_" + part](c)


def admin_acls(c):
    """Rules, on the broker that has them: alice may alter them."""
    if "sasl" not in c.world.__dict__:
        return
    admin = c.admin(security=c.sasl("SCRAM-SHA-256"))
    name, who = c.world.name("ruled"), "User:" + c.world.name("who")
    rule = {"principal": who, "topic": name, "operation": "READ", "permission": "ALLOW", "host": "*"}
    assert admin.acls(who) == []
    admin.create_acl(rule)
    assert admin.acls(who) == [rule], admin.acls(who)
    assert admin.delete_acls(who) == [rule]
    assert admin.acls(who) == []
    admin.close()


def admin_scram(c):
    if "sasl" not in c.world.__dict__:
        return
    admin = c.admin(security=c.sasl("SCRAM-SHA-512"))
    user = c.world.name("user")
    refused("RESOURCE_NOT_FOUND", lambda: admin.scram_mechanisms(user))
    admin.add_scram(user, "SCRAM-SHA-256", "secret one", 4096)
    until(lambda: user in admin.scram_users(), 5, "the user is listed")
    assert admin.scram_mechanisms(user) == {"SCRAM-SHA-256": 4096}
    # It holds: the user comes in, and may do nothing.
    refused(
        "TOPIC_AUTHORIZATION_FAILED",
        lambda: produce(c, c.world.name("t"), [b"x"], security=c.sasl("SCRAM-SHA-256", user, "secret one")),
    )
    admin.remove_scram(user, "SCRAM-SHA-256")
    until(lambda: user not in admin.scram_users(), 5, "the user is gone")
    admin.close()


def admin_more_admin(c):
    c.more_admin()


def delete_records(c):
    admin = c.admin()
    topic = c.world.name("trimmed")
    admin.create_topic(topic, 2)
    for partition in range(2):
        produce(c, topic, [b"%d" % n for n in range(100)], partition=partition, linger_ms=5)
    assert admin.delete_records({(topic, 0): 60}) == {(topic, 0): 60}
    assert [int(r.value) for r in read(c, topic, 40)] == list(range(60, 100))
    assert len(read(c, topic, 100, partition=1)) == 100
    assert admin.delete_records({(topic, 0): 10}) == {(topic, 0): 60}
    refused("OFFSET_OUT_OF_RANGE", lambda: admin.delete_records({(topic, 0): 101}))
    assert admin.delete_records({(topic, 0): -1, (topic, 1): 1}) == {(topic, 0): 100, (topic, 1): 1}
    consumer = c.consumer(assign=[(topic, 0, "earliest")])
    assert (consumer.beginning(topic, 0), consumer.end(topic, 0)) == (100, 100)
    assert consumer.poll(0.3) == []
    consumer.close()
    assert produce(c, topic, [b"next"]) == [100]
    assert [(r.offset, r.value) for r in read(c, topic, 1)] == [(100, b"next")]
    admin.close()


def compaction(c):
    """Seen from outside: in the end one record a key, the last, at the offset it always had."""
    admin = c.admin()
    topic = c.world.name("compacted")
    settings = {
        "cleanup.policy": "compact",
        "segment.ms": "1000",
        "min.cleanable.dirty.ratio": "0.01",
        "delete.retention.ms": "0",
        "max.compaction.lag.ms": "1000",
    }
    admin.create_topic(topic, 1, settings)
    keys = [b"k%d" % n for n in range(20)]
    last, count = {}, 0
    producer = c.producer(codec="lz4" if "lz4" in c.codecs else None, linger_ms=20)
    start = int(time.time() * 1000) - 100_000
    for turn in range(8):
        for key in random.Random(turn).sample(keys, 15):
            value = None if turn == 6 and key in keys[:3] else b"%s of turn %d" % (key, turn)
            if turn == 7 and key in keys[:3]:
                continue
            producer.send(topic, value, key=key, partition=0, timestamp=start + turn * 10_000)
            last[key] = (count, value)
            count += 1
        # Ten seconds of record time later the segment has rolled.
        assert len([r for r in producer.flush() if not isinstance(r, Refused)]) > 0
    # The active segment is not compacted: one more, so that the others are closed.
    producer.send(topic, b"end", key=b"end", partition=0, timestamp=start + 90_000)
    producer.flush(), producer.close()
    wanted = {key: (offset, value) for key, (offset, value) in last.items() if value is not None}
    wanted[b"end"] = (count, b"end")

    def compacted():
        got = read_what_is_there(c, topic)
        assert [r.offset for r in got] == sorted(r.offset for r in got)
        newest = {r.key: (r.offset, r.value) for r in got}
        for key, kept in wanted.items():
            assert newest.get(key) == kept, f"{key}: {newest.get(key)}, not {kept}"
        for key, (offset, value) in newest.items():
            assert key in wanted or value is None, f"{key} came back from the dead"
        compacted.left = len(got)
        # A tombstone may stay until there is more to clean.
        return len(got) == len(newest)

    until(compacted, 30, lambda: f"{len(wanted)} records, {compacted.left} are left")
    admin.close()


def idempotent(c):
    admin = c.admin()
    topic = c.world.name("exact")
    admin.create_topic(topic, 3)
    producer = c.producer(idempotent=True, acks="all", linger_ms=1)
    for number in range(600):
        producer.send(topic, b"%d" % number, partition=number % 3)
        if number % 100 == 50:
            producer.flush()
    results = producer.flush()
    assert not [r for r in results if isinstance(r, Refused)], results
    producer.close()
    for partition in range(3):
        values = [int(r.value) for r in read(c, topic, 200, partition=partition)]
        assert values == list(range(partition, 600, 3))
        stored = c.world.stored_batches(topic, partition)
        if stored is not None:
            assert all(b["producer_id"] >= 0 and b["producer_epoch"] >= 0 for b in stored), stored[:2]
            assert [b["sequence"] for b in stored] == [b["base_offset"] for b in stored], stored[:5]
    # Each producer has an id of its own.
    produce(c, topic, [b"x"], idempotent=True, acks="all")
    stored = c.world.stored_batches(topic)
    assert stored is None or stored[-1]["producer_id"] != stored[0]["producer_id"], stored[-1]
    admin.close()


# Authentication


def secured_round(c, security, topic=None):
    """Creates a topic, writes, reads with a group, over this listener."""
    admin = c.admin(security=security)
    topic = topic or c.world.name("t")
    admin.create_topic(topic, 1)
    until(lambda: topic in admin.list_topics(), 5, "the topic is listed")
    assert produce(c, topic, [b"%d" % n for n in range(50)], security=security) == list(range(50))
    member = c.consumer(group=c.world.name("g"), topics=[topic], reset="earliest", security=security)
    member.records = []
    spin([member], lambda: len(member.records) == 50, 20, "the records")
    member.commit()
    member.close(), admin.close()
    return topic


def sasl(c):
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]:
        secured_round(c, c.sasl(mechanism))
        c.shut_out(c.sasl(mechanism, password="not her secret"))
        c.shut_out(c.sasl(mechanism, user="nobody"))
    denied = c.world.name("t", before="denied-")
    refused("TOPIC_AUTHORIZATION_FAILED", lambda: produce(c, denied, [b"x"], security=c.sasl("PLAIN")))


def tls(c):
    secured_round(c, c.tls())
    certified = c.world.name("t", before="cert-")
    refused("TOPIC_AUTHORIZATION_FAILED", lambda: produce(c, certified, [b"x"], security=c.tls()))
    secured_round(c, c.tls(certified=True), topic=certified)
    # The password counts, whatever certificate comes with it.
    secured_round(c, c.sasl("SCRAM-SHA-512", over_tls=True))
    c.shut_out(c.sasl("SCRAM-SHA-512", password="not her secret", over_tls=True))
    c.shut_out(c.tls(ca=c.world.other_ca))


def transactions(c):
    """Commits, aborts, offsets that go with them, and a producer that the next of its id shuts out."""
    topic, group, name = c.world.name("txn"), c.world.name("g"), c.world.name("x")
    admin = c.admin()
    admin.create_topic(topic, 2)

    def run(producer, values, offset, commit):
        producer.begin()
        producer.send(topic, values)
        producer.offsets({(topic, 0): offset}, group)
        producer.end(commit)

    def held(offset):
        until(lambda: admin.group_offsets(group).get((topic, 0)) == offset, 20, f"the group's offset is {offset}")

    first = c.transactional(name)
    run(first, [b"kept 1", b"kept 2"], 1, True)
    run(first, [b"dropped 1", b"dropped 2"], 2, False)
    held(1)
    run(first, [b"kept 3", b"kept 4"], 3, True)
    first.begin()
    first.send(topic, [b"torn 1", b"torn 2"])
    second = c.transactional(name)
    try:
        first.end(True)
    except Refused as wrong:
        assert "Fenced" in str(wrong) or "ProducerEpoch" in str(wrong), wrong
    else:
        raise AssertionError("the first producer was not shut out")
    run(second, [b"kept 5", b"kept 6"], 4, True)
    second.close()
    held(4)
    admin.close()

    def seen(isolation, count):
        return sorted(r.value for p in range(2) for r in read(c, topic, count, partition=p, isolation=isolation))

    committed = [f"kept {n}".encode() for n in range(1, 7)]
    assert seen("read_committed", 3) == committed
    everything = sorted([*committed, b"dropped 1", b"dropped 2", b"torn 1", b"torn 2"])
    assert seen("read_uncommitted", 5) == everything


ALL = {
    name: function
    for name, function in list(globals().items())
    if name
    in """topics configs codecs records large offsets group static cooperative group_next pause_seek admin
    delete_records compaction idempotent sasl tls""".split()
}


def of(c, **more):
    """The scenarios of an adapter, for rig.main: what it lacks says so."""

    def bound(name, function):
        def run():
            if name in c.lacks:
                raise Lacks(c.lacks[name])
            function(c)

        return run

    return {name: bound(name, function) for name, function in {**ALL, **more}.items()}
