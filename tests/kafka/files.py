"""Kafka's file tools on the folders that klog wrote, and klog's on the same: what both say of the same bytes."""

import glob
import json
import os
import re
import subprocess

import places


def test_kafka_reads_klogs_files(world):
    topic = "dumped"
    world.run("topic", "create", topic, "-c", "segment.bytes=1048576")
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        world.run("produce", topic, "-z", codec, "--batch-bytes", "16K", stdin=world.lines)
    folder = os.path.join(world.data, f"{topic}-0")
    logs = sorted(glob.glob(os.path.join(folder, "*.log")))
    assert len(logs) > 1, "the topic has several segments"
    records = 0
    for log in logs:
        text = world.tools.ok("org.apache.kafka.tools.DumpLogSegments", "--deep-iteration", "--files", log)
        assert "isvalid: false" not in text and "Found" not in text, text[-2000:]
        records += text.count("| offset:")
    assert records == 100000, records
    for index in glob.glob(os.path.join(folder, "*.index")) + glob.glob(os.path.join(folder, "*.timeindex")):
        for check in ["--index-sanity-check", "--verify-index-only"]:
            text = world.tools.ok("org.apache.kafka.tools.DumpLogSegments", check, "--files", index)
            assert "Mismatches" not in text and "not match" not in text and "Found" not in text, (index, text[-2000:])
    text = world.tools.ok(
        "org.apache.kafka.tools.DumpLogSegments",
        *["--offsets-decoder", "--files"],
        ",".join(glob.glob(os.path.join(world.data, "__consumer_offsets-*", "*.log"))),
    )
    assert '"group":"both"' in text.replace(" ", ""), text[-2000:]
    text = world.tools.ok(
        "org.apache.kafka.tools.DumpLogSegments",
        *["--cluster-metadata-decoder", "--files"],
        ",".join(glob.glob(os.path.join(world.data, "__cluster_metadata-0", "*.log"))),
    )
    assert '"name":"dumped"' in text and "skipping" not in text.lower(), text[-2000:]


def dumped(world, files, *options):
    """What DumpLogSegments says of each file: its lines that hold fields."""
    text = world.tools.ok("org.apache.kafka.tools.DumpLogSegments", *options, "--files", ",".join(files))
    return sections(text)


def sections(text):
    found = {}
    for section in text.split("Dumping ")[1:]:
        name, _, lines = section.partition("\n")
        found[name] = [line for line in lines.splitlines() if ": " in line]
    return found


def fields(line):
    """The `name: value` words of a line, numbers as numbers."""
    words = re.findall(r"(\w+): (\S+)", line)
    return {name: int(word) if re.fullmatch(r"-?\d+", word) else word for name, word in words}


def rolled_topic(world, topic):
    """A topic of klog's with batches of every codec in several segments; returns its folder. The active segment
    has no index files yet: klog writes them when it rolls."""
    world.run("topic", "create", topic, "-c", "segment.bytes=1048576")
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"]:
        world.run("produce", topic, "-z", codec, "--batch-bytes", "16K", stdin=5 * world.lines)
    return os.path.join(world.data, f"{topic}-0")


def jsonl(world, *arguments):
    done = subprocess.run([world.klog, "segment", *arguments, "-J"], capture_output=True, timeout=60)
    assert done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_klog_decodes_its_indexes_as_kafka_does(world):
    folder = rolled_topic(world, "indexed")
    for ending, names in [(".index", ["offset", "position"]), (".timeindex", ["timestamp", "offset"])]:
        files = sorted(glob.glob(os.path.join(folder, "*" + ending)))
        assert len(files) > 1, "the topic has several segments"
        entries = 0
        for file, lines in dumped(world, files).items():
            theirs = [[fields(line)[name] for name in names] for line in lines]
            ours = [[row[name] for name in names] for row in jsonl(world, "decode", file)]
            assert ours == theirs, (file, ours[:5], theirs[:5])
            entries += len(ours)
        assert entries > 10, (ending, entries)


def test_klog_decodes_its_internal_topics_as_kafka_does(world):
    world.run("produce", "decoded", stdin=b"a\nb\n")
    world.run("consume", "decoded", "-g", "decoders", "-e")
    for topic, decoder in [
        ("__consumer_offsets", "--offsets-decoder"),
        ("__cluster_metadata", "--cluster-metadata-decoder"),
    ]:
        files = glob.glob(os.path.join(world.data, f"{topic}-*", "*.log"))
        seen = 0
        for file, lines in dumped(world, files, decoder).items():
            lines = [line for line in lines if line.startswith("| offset")]
            rows = jsonl(world, "decode", file)
            assert [row["offset"] for row in rows] == [fields(line)["offset"] for line in lines], file
            for row, line in zip(rows, lines):
                payload = line.partition(" payload: ")[2]
                if payload.startswith("{"):
                    payload = json.loads(payload)
                    assert snake(payload["data"]) == plain(row["value"]), (row, payload)
                    assert int(payload["version"]) == row["version"], (row, payload)
                else:
                    assert row["value"] is None and "<DELETE>" in payload, (row, line)
                seen += 1
        assert seen > 2, (topic, seen)


def plain(value):
    """klog's JSON with its bytes as Kafka writes them."""
    if isinstance(value, list):
        return [plain(one) for one in value]
    if isinstance(value, dict):
        return value["base64"] if list(value) == ["base64"] else {name: plain(one) for name, one in value.items()}
    return value


def snake(value):
    """Kafka's JSON with its names in snake case."""
    if isinstance(value, list):
        return [snake(one) for one in value]
    if isinstance(value, dict):
        return {re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower(): snake(one) for name, one in value.items()}
    return value


BATCH = {
    "base_offset": "baseOffset",
    "last_offset": "lastOffset",
    "count": "count",
    "position": "position",
    "size": "size",
    "crc": "crc",
    "codec": "compresscodec",
    "epoch": "partitionLeaderEpoch",
    "producer_id": "producerId",
    "producer_epoch": "producerEpoch",
    "sequence": "baseSequence",
}


def test_klog_lists_batches_as_kafka_does(world):
    known = subprocess.run([world.klog, "segment", "dump", "--help"], capture_output=True)
    if known.returncode != 0:
        print("left out: this klog has no segment dump")
        return
    fixtures = os.path.join(places.HERE, "../fixtures/kafka")
    theirs = dumped(world, sorted(glob.glob(os.path.join(rolled_topic(world, "batches"), "*.log"))))
    for text in sorted(glob.glob(os.path.join(fixtures, "dumps", "*.txt"))):
        with open(text) as text:
            theirs.update(
                {os.path.join(fixtures, "data", file): lines for file, lines in sections(text.read()).items()}
            )
    batches = 0
    for file, lines in theirs.items():
        if not file.endswith(".log"):
            continue
        lines = [fields(line) for line in lines if line.startswith("baseOffset")]
        rows = jsonl(world, "dump", "--batches", file)
        assert len(rows) == len(lines), (file, len(rows), len(lines))
        for row, line in zip(rows, lines):
            for ours, name in BATCH.items():
                assert row[ours] == line[name], (file, ours, row, line)
            for ours, name in [("valid", "isvalid"), ("transactional", "isTransactional"), ("control", "isControl")]:
                assert row[ours] == (line[name] == "true"), (file, ours, row, line)
            assert row["max_timestamp"] == line.get("CreateTime", line.get("LogAppendTime")), (file, row, line)
            batches += 1
    assert batches > 100, batches


TESTS = [(name, test) for name, test in list(globals().items()) if name.startswith("test_")]
