"""kcat (Debian's, on an old librdkafka): what a shell does with it. It has no admin calls and no member of a group that
can be told what to do; klog's own commands make its topics."""

import json
import os
import re
import subprocess
import time

import rig
from rig import Lacks, until

world = rig.World()
CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]


def kcat(*arguments, stdin=b"", check=True, security=None):
    settings = security or {"bootstrap.servers": world.plain}
    command = ["kcat"]
    for key, value in settings.items():
        command += ["-X", f"{key}={value}"]
    done = subprocess.run([*command, *arguments], input=stdin, capture_output=True, timeout=60)
    assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
    return done if not check else done.stdout


def made(word, partitions=1, **settings):
    name = world.name(word)
    command = ["topic", "create", name, "-p", str(partitions)]
    for key, value in settings.items():
        command += ["-c", f"{key.replace('_', '.')}={value}"]
    world.run_klog(*command)
    return name


def read(topic, *more, security=None):
    return kcat("-C", "-t", topic, "-e", "-q", *more, security=security)


def listed():
    return {topic["topic"]: topic for topic in json.loads(kcat("-L", "-J"))["topics"]}


def topics():
    topic = made("made", 3)
    until(lambda: topic in listed(), 5, "the topic is listed")
    listing = json.loads(kcat("-L", "-J"))
    assert len(listing["brokers"]) == 1 and listing["brokers"][0]["name"] == world.plain, listing["brokers"]
    partitions = listed()[topic]["partitions"]
    assert [p["partition"] for p in partitions] == [0, 1, 2]
    assert all(p["leader"] == 1 and p["isrs"] == [{"id": 1}] for p in partitions), partitions
    text = kcat("-L", "-t", topic).decode()
    assert f'topic "{topic}" with 3 partitions' in text and "broker 1 at 127.0.0.1" in text, text
    kcat("-P", "-t", topic, "-p", "2", stdin=b"a\nb\n")
    world.run_klog("topic", "delete", topic, "-y")
    until(lambda: topic not in listed(), 5, "the topic is gone")
    world.run_klog("topic", "create", topic, "-p", "1")
    until(lambda: topic in listed() and len(listed()[topic]["partitions"]) == 1, 5, "the topic is there again")
    kcat("-P", "-t", topic, stdin=b"anew\n")
    assert read(topic) == b"anew\n"


def configs():
    raise Lacks("kcat has no calls for settings")


def codecs():
    lines = b"".join(b"line %d of several\n" % n for n in range(2000))
    for codec in CODECS:
        topic = made(codec)
        for acks in ["0", "1", "all"]:
            kcat("-P", "-t", topic, "-z", codec, "-X", f"acks={acks}", stdin=lines)
        # Nobody answers a produce with acks=0, so kcat may end before the broker has it.
        until(lambda: len(read(topic)) >= 3 * len(lines), 10, "all three")
        assert read(topic) == 3 * lines, codec
        assert world.run_klog("consume", topic, "-e") == 3 * lines, codec
        stored = world.stored_batches(topic)
        # A batch that would not get smaller goes as it is.
        used = {batch["codec"] for batch in stored or []}
        assert stored is None or codec in used <= {codec, "none"}, (codec, stored[:3])


def records():
    topic = made("records")
    kcat("-P", "-t", topic, "-K", "=", "-Z", stdin=b"k=v\nempty=\n=nokey\nsame=1\nsame=2\n")
    kcat("-P", "-t", topic, "-H", "a=1", "-H", "a=2", "-H", "b=", "-H", "null", stdin=b"headed\n")
    kcat("-P", "-t", topic, "-D", "|", stdin="grüße\nzwei|日本語".encode())
    whole = os.path.join(world.scratch, "whole")
    with open(whole, "wb") as out:
        out.write(bytes(range(256)) * 40)
    kcat("-P", "-t", topic, whole)
    rows = [json.loads(line) for line in read(topic, "-J", "-c", "8").splitlines()]
    shown = [(row["key"], row["payload"], row.get("headers")) for row in rows]
    assert shown == [
        ("k", "v", None),
        ("empty", None, None),
        (None, "nokey", None),
        ("same", "1", None),
        ("same", "2", None),
        (None, "headed", ["a", "1", "a", "2", "b", "", "null", None]),
        (None, "grüße\nzwei", None),
        (None, "日本語", None),
    ], shown
    assert [row["offset"] for row in rows] == list(range(8))
    assert all(row["tstype"] == "create" and abs(row["ts"] - time.time() * 1000) < 60_000 for row in rows), rows
    assert read(topic, "-o", "8", "-D", "") == bytes(range(256)) * 40
    stamped = made("stamped", message_timestamp_type="LogAppendTime")
    kcat("-P", "-t", stamped, stdin=b"x\n")
    (row,) = [json.loads(line) for line in read(stamped, "-J").splitlines()]
    assert row["tstype"] == "logappend" and abs(row["ts"] - time.time() * 1000) < 60_000, row


def large():
    topic = made("large")
    million, two = os.path.join(world.scratch, "million"), os.path.join(world.scratch, "two")
    for path, size in [(million, 1_000_000), (two, 2_000_000)]:
        with open(path, "wb") as out:
            out.write(os.urandom(size))
    kcat("-P", "-t", topic, million, "-X", "message.max.bytes=5000000")
    done = kcat("-P", "-t", topic, two, "-X", "message.max.bytes=5000000", check=False)
    assert b"Message size too large" in done.stderr, done.stderr
    kcat("-P", "-t", topic, stdin=b"after\n")
    assert read(topic, "-D", "") == open(million, "rb").read() + b"after"


def offsets():
    topic = made("times", 3)
    for number in range(3):
        kcat("-P", "-t", topic, "-p", "1", stdin=b"%d\n" % number)
        time.sleep(0.02)
    rows = [json.loads(line) for line in read(topic, "-p", "1", "-J").splitlines()]

    def asked(partition, moment):
        return int(kcat("-Q", "-t", f"{topic}:{partition}:{moment}").split()[-1])

    assert (asked(1, -2), asked(1, -1), asked(0, -1)) == (0, 3, 0)
    for row in rows:
        assert asked(1, row["ts"]) == row["offset"], row
    assert asked(1, rows[1]["ts"] + 1) == 2 and asked(1, rows[2]["ts"] + 1) == -1
    assert read(topic, "-p", "1", "-o", "1") == b"1\n2\n"
    assert read(topic, "-p", "1", "-o", "-1") == b"2\n"
    assert read(topic, "-p", "1", "-o", "end") == b""
    assert read(topic, "-p", "1", "-o", f"s@{rows[1]['ts']}") == b"1\n2\n"
    assert read(topic, "-p", "1", "-o", f"s@{rows[0]['ts']}", "-o", f"e@{rows[2]['ts']}") == b"0\n1\n"
    done = kcat("-C", "-t", topic, "-p", "1", "-o", "77", "-e", "-X", "auto.offset.reset=error", check=False)
    assert b"out of range" in done.stderr.lower(), done.stderr


class Member:
    """A kcat that is one of a group; what it reads goes to a file."""

    def __init__(self, group, topic, *more):
        self.path = os.path.join(world.scratch, world.name("member"))
        self.out, self.err = open(self.path, "wb"), open(self.path + ".err", "wb")
        settings = ["-X", "auto.offset.reset=earliest", "-X", "session.timeout.ms=8000"]
        settings += ["-X", "heartbeat.interval.ms=300"]
        command = ["kcat", "-b", world.plain, *settings, *more, "-u", "-f", "%p %s\n", "-G", group, topic]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err)

    def lines(self):
        return open(self.path).read().split("\n")[:-1]

    def said(self):
        return open(self.path + ".err").read()

    def end(self):
        self.process.terminate()
        assert self.process.wait(20) == 0, self.said()
        self.out.close(), self.err.close()


def group():
    members_of("range")


def cooperative():
    members_of("cooperative-sticky")


def members_of(strategy):
    """One to three members; every record is read once after those before it were committed."""
    topic, name = made("shared", 6), world.name("group")
    sent = []

    def produce_more(word):
        for partition in range(6):
            kcat("-P", "-t", topic, "-p", str(partition), stdin=f"{word}{partition}\n".encode())
            sent.append(f"{partition} {word}{partition}")

    members, gone = [], []

    def read_so_far():
        return sorted(line for m in members + gone for line in m.lines())

    def described():
        return json.loads(world.run_klog("group", "describe", name, "-o", "json"))

    more = ["-X", f"partition.assignment.strategy={strategy}", "-X", "auto.commit.interval.ms=100"]
    for count in [1, 2, 3]:
        members.append(Member(name, topic, *more))
        # Whose partitions are whose is seen by where a probe goes: to every member.
        before = {m: len(m.lines()) for m in members}
        words = iter(range(1000))

        def shared():
            produce_more(f"m{count}w{next(words)}p")
            until(lambda: read_so_far() == sorted(sent), 20, lambda: f"{len(sent)} lines, {len(read_so_far())} came")
            new = {m: {line.split()[0] for line in m.lines()[-6 // count :]} for m in members}
            counts = [len(m.lines()) - before[m] for m in members]
            before.update({m: len(m.lines()) for m in members})
            return counts == [6 // count] * count and all(len(parts) == 6 // count for parts in new.values())

        until(shared, 30, lambda: f"equal shares of {count}: {before.values()}")
    time.sleep(0.3)
    leaver = members.pop()
    leaver.end()
    gone.append(leaver)
    produce_more("after")
    until(lambda: read_so_far() == sorted(sent), 30, lambda: f"{len(sent)} lines, {len(read_so_far())} came")
    listed_groups = world.run_klog("group", "list", "-o", "name").decode().split()
    assert name in listed_groups
    for member in members:
        member.end()
    assert read_so_far() == sorted(sent)
    # What was committed does not come again.
    produce_more("since")
    last = Member(name, topic, *more)
    until(lambda: len(last.lines()) >= 6, 20, "the records since")
    last.end()
    assert sorted(last.lines()) == sorted(sent[-6:]), last.lines()


def static():
    """A static member that comes back has its partitions at once; the other one is not disturbed."""
    topic, name = made("static", 2), world.name("group")
    settings = ["-X", "auto.commit.interval.ms=100"]
    first = Member(name, topic, "-X", "group.instance.id=one", *settings)
    second = Member(name, topic, "-X", "group.instance.id=two", *settings)

    def produce_to(partition, word):
        kcat("-P", "-t", topic, "-p", str(partition), stdin=word.encode() + b"\n")

    words = iter(range(1000))

    def one_each():
        number = next(words)
        before = len(first.lines()), len(second.lines())
        for partition in range(2):
            produce_to(partition, f"w{number}")
        until(lambda: len(first.lines()) + len(second.lines()) == 2 * number + 2, 20, "both lines")
        return (len(first.lines()), len(second.lines())) == (before[0] + 1, before[1] + 1)

    until(one_each, 30, "a partition each")
    mine = first.lines()[-1].split()[0]
    assignments = second.said().count("rebalanced")
    first.end()
    again = Member(name, topic, "-X", "group.instance.id=one", *settings)
    produce_to(mine, "again")
    until(lambda: f"{mine} again" in again.lines(), 20, "the restarted member's record")
    assert second.said().count("rebalanced") == assignments, second.said()
    again.end(), second.end()


def group_next():
    raise Lacks("its librdkafka is older than KIP-848")


def pause_seek():
    raise Lacks("kcat reads on; where it begins is in `offsets`")


def admin():
    raise Lacks("kcat has no admin calls but metadata and offsets, which `topics` and `offsets` test")


def delete_records():
    """kcat can not ask for it; it must see what it leaves behind."""
    raise Lacks("kcat has no call for it")


def compaction():
    soon = {"segment_ms": 200, "max_compaction_lag_ms": 200, "min_cleanable_dirty_ratio": 0.01}
    topic = made("compacted", cleanup_policy="compact", **soon)
    for turn in range(5):
        kcat("-P", "-t", topic, "-K", ":", stdin=b"".join(b"k%d:turn %d\n" % (key, turn) for key in range(10)))
        time.sleep(0.25)
    kcat("-P", "-t", topic, "-K", ":", stdin=b"end:end\n")

    def rows():
        return [json.loads(line) for line in read(topic, "-J").splitlines()]

    wanted = [(f"k{key}", "turn 4", 40 + key) for key in range(10)] + [("end", "end", 50)]
    until(
        lambda: [(row["key"], row["payload"], row["offset"]) for row in rows()] == wanted,
        30,
        lambda: f"one record a key, got {[(row['key'], row['payload'], row['offset']) for row in rows()]}",
    )


def idempotent():
    topic = made("exact")
    lines = b"".join(b"%d\n" % n for n in range(3000))
    kcat("-P", "-t", topic, "-X", "enable.idempotence=true", stdin=lines)
    assert read(topic) == lines
    stored = world.stored_batches(topic)
    if stored is not None:
        assert all(batch["producer_id"] >= 0 for batch in stored), stored[:2]
        assert [b["sequence"] for b in stored] == [b["base_offset"] for b in stored], stored[:5]


def sasl_settings(mechanism, user=None, password=None, over_tls=False):
    settings = {
        "bootstrap.servers": world.sasl_tls if over_tls else world.sasl,
        "security.protocol": "SASL_SSL" if over_tls else "SASL_PLAINTEXT",
        "sasl.mechanism": mechanism,
        "sasl.username": user or world.user,
        "sasl.password": password or world.password,
    }
    return settings | ({"ssl.ca.location": world.ca} if over_tls else {})


def round_trip(security, topic=None):
    """Writes to a topic that the broker makes, and reads it, over this listener."""
    topic = topic or world.name("t")
    lines = b"".join(b"%d\n" % n for n in range(100))
    kcat("-P", "-t", topic, stdin=lines, security=security)
    assert read(topic, security=security) == lines


def shut_out(security, wanted):
    done = kcat("-L", "-m", "3", check=False, security=security)
    assert done.returncode != 0 and wanted in done.stderr, done.stderr


def scram_is_sound():
    """librdkafka before 2.6.1 repeats its nonce in the last SCRAM message: Apache Kafka 4 refuses that, klog lets it
    pass."""
    version = re.search(rb"librdkafka (\d+)\.(\d+)\.(\d+)", kcat("-V"))
    return tuple(map(int, version.groups())) >= (2, 6, 1)


def sasl():
    for mechanism in ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]:
        if mechanism == "PLAIN" or scram_is_sound() or world.kind == "klog":
            round_trip(sasl_settings(mechanism))
        else:
            shut_out(sasl_settings(mechanism), b"uthentication failed")
        shut_out(sasl_settings(mechanism, password="not her secret"), b"uthentication failed")
    denied = world.name("t", before="denied-")
    done = kcat("-P", "-t", denied, stdin=b"x\n", check=False, security=sasl_settings("PLAIN"))
    assert done.returncode != 0 and b"authorization failed" in done.stderr.lower(), done.stderr


def tls():
    settings = {"bootstrap.servers": world.tls, "security.protocol": "SSL", "ssl.ca.location": world.ca}
    certified = {**settings, "ssl.certificate.location": world.client_cert, "ssl.key.location": world.client_key}
    round_trip(settings)
    topic = world.name("t", before="cert-")
    done = kcat("-P", "-t", topic, stdin=b"x\n", check=False, security=settings)
    assert done.returncode != 0 and b"authorization failed" in done.stderr.lower(), done.stderr
    round_trip(certified, topic)
    round_trip(sasl_settings("PLAIN", over_tls=True))
    shut_out(sasl_settings("PLAIN", password="not her secret", over_tls=True), b"uthentication failed")
    shut_out({**settings, "ssl.ca.location": world.other_ca}, b"certificate verify failed")


def mixed():
    """A million bytes through kcat and through klog, read by both."""
    lines = b"".join(os.urandom(32).hex().encode() + b"\n" for _ in range(20000))
    for writer in ["klog", "kcat"]:
        topic = made("mixed")
        if writer == "klog":
            world.run_klog("produce", topic, stdin=lines)
        else:
            kcat("-P", "-t", topic, stdin=lines)
        assert world.run_klog("consume", topic, "-e") == lines
        assert read(topic) == lines


if __name__ == "__main__":
    names = """topics configs codecs records large offsets group static cooperative group_next pause_seek admin
    delete_records compaction idempotent sasl tls mixed""".split()
    rig.main({name: globals()[name] for name in names})
