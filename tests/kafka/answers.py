"""The same requests to klog and to Apache Kafka, and what differs in their answers: `Answers.java` sends and reads,
`answer_cases.py` says what is asked. Ids, times, addresses and the texts of error messages are set aside here; every
other difference is either in the two short lists below, with a reason, or a failure.
"""

import json
import os
import re
import subprocess

import answer_cases
from places import compiled

# Fields whose values are each broker's own. What is compared is whether they are there at all.
IDS = """topicId memberId leader clusterId host port producerId clientHost coordinator directoryId replicaDirectoryId
brokerEpoch sessionId voterDirectoryId""".split()
TIMES = (
    "lastTimestamp lastFetchTimestamp lastCaughtUpTimestamp throttleTimeMs finalizedFeaturesEpoch groupEpoch".split()
)
SIZES = "partitionSize totalBytes usableBytes logDir highWatermarkOfMetadata".split()
# Settings that differ by design: Kafka 4.3's feature of eligible leaders makes the first a setting of the whole cluster,
# and klog syncs each batch by default.
SETTINGS = ["min.insync.replicas", "flush.messages"]
# Not compared: words for people, with or without them.
TEXTS = "errorMessage documentation".split()

# (API, case, reason): differences that are meant.
MEANT = [
    (
        "ApiVersions",
        r".*",
        "klog has fewer APIs: delegation tokens, telemetry, share and streams groups, quotas and the quorum's own are not served",
    ),
    (
        "no API",
        r"(no|half|a|an|one|text|all) .*",
        "the answer to a short ApiVersions request lists the APIs, and klog has fewer",
    ),
    ("no API", r"key .*", "APIs that only one of them serves"),
    ("DescribeConfigs", r"some of a broker", "node.id stands in Kafka's file of settings"),
    ("Metadata", r"without a name or an id", "a server error of Kafka's"),
    ("IncrementalAlterConfigs", r"an operation that is none", "a server error of Kafka's"),
    ("AddPartitionsToTxn", r"no transactions|.* too many", "Kafka never answers a request without any transaction"),
    (
        "DescribeAcls",
        r".*",
        "klog takes rules before anybody must authenticate; Kafka without an authoriser takes none, and closes at a kind it does not know",
    ),
    ("ConsumerGroupHeartbeat", r"joining|going on", "Kafka's epochs of a new group begin one higher"),
    ("Metadata", r".* too many", "version 0 lists all topics, and internal ones have other numbers of partitions"),
    ("DescribeTopicPartitions", r".* too many", "it lists all topics, and internal ones have other numbers of partitions"),
    ("CreateAcls", r".*", "as above"),
    ("DeleteAcls", r".*", "as above"),
]
# (API, case): faults of klog that are known. A row whose cases all agree is named, to be taken off.
FAULTS = []


class Side:
    """One of the two brokers, with what it gave out so far: topic ids, member ids, producer ids."""

    def __init__(self, name, address):
        self.name, self.address, self.kept = name, address, {}


class Pair:
    """Both brokers; asks each the same and remembers what differs."""

    def __init__(self, libs, klog, kafka):
        self.sides = [Side("klog", klog), Side("kafka", kafka)]
        classes = os.pathsep.join([compiled(libs), os.path.join(os.path.abspath(libs), "*")])
        self.process = subprocess.Popen(
            ["java", "-Xmx256M", "-XX:TieredStopAtLevel=1", "-cp", classes, "Answers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.asked, self.differences = 0, {}
        self.api = self.key = self.version = None

    def stop(self):
        self.process.stdin.close()
        self.process.wait(20)

    def send(self, side, command):
        command = {"address": side.address, **fill_in(command, side.kept)}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, f"the JVM ended at {command}"
        answer = json.loads(answer)
        assert "failed" not in answer, (command, answer)
        return answer

    def each(self, api, version, body, **more):
        """What each side answers to a request that prepares something: not compared."""
        key = answer_cases.KEYS[api]
        said = [self.send(side, {"key": key, "version": version, "body": body, **more}) for side in self.sides]
        assert all("answer" in one for one in said), (api, body, said)
        return [one["answer"] for one in said]

    def keep(self, name, values):
        """Remembers a value of each side; `$name` in a body stands for it."""
        for side, value in zip(self.sides, values):
            # A side that gave nothing is asked on with what nobody gave out.
            side.kept[name] = value if value is not None else 0 if name == "epoch" else "nobody"

    def ask(self, case, body=None, keep=None, ignore=(), **more):
        """Asks both the same in the API and version at hand and compares; gives both answers."""
        command = {"key": self.key, "version": self.version, **more}
        if "frame" not in command:
            command["body"] = body or {}
        said = [self.send(side, command) for side in self.sides]
        self.asked += 1
        if os.environ.get("ANSWERS_VERBOSE"):
            print(self.api, self.version, case, flush=True)
        plain = [normal(one, ignore) for one in said]
        if plain[0] != plain[1]:
            self.differences.setdefault((self.api, case), []).append((self.version, command, *plain))
        if keep:
            for name, path in keep.items():
                self.keep(name, [dig(one.get("answer"), path) for one in said])
        return [one.get("answer") for one in said]


def dig(value, path):
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value


def fill_in(value, kept):
    """A body with each "$name" replaced by what this side gave out."""
    if isinstance(value, dict):
        return {name: fill_in(one, kept) for name, one in value.items()}
    if isinstance(value, list):
        return [fill_in(one, kept) for one in value]
    if isinstance(value, str) and value.startswith("$"):
        return kept[value[1:]]
    return value


def normal(value, ignore, name=None):
    """An answer without what is each broker's own; arrays in one order, and without what both may leave out."""
    if isinstance(value, dict):
        if value.get("name") in SETTINGS and "configSource" in value:
            return {"name": "aside"}
        kept = {
            key: normal(one, ignore, key)
            for key, one in value.items()
            if key not in ignore and key not in TEXTS and key != "why"
        }
        if "unsupported" in kept:
            return {"unsupported": True}
        return kept
    if isinstance(value, list):
        every = [normal(one, ignore) for one in value]
        every = [one for one in every if one != {"name": "aside"}]
        return every if name == "records" else sorted(every, key=lambda one: json.dumps(one, sort_keys=True))
    if name in IDS:
        return value if value in (None, "", -1, "AAAAAAAAAAAAAAAAAAAAAA") else "id"
    if name in TIMES:
        return value if value == -1 else "time"
    if name in SIZES:
        return "size"
    return value


def brief(value):
    text = json.dumps(value, sort_keys=True)
    return text if len(text) < 500 else text[:500] + "..."


def differing(klog, kafka, path=""):
    """Where two answers differ: path, klog's value, Kafka's."""
    if isinstance(klog, dict) and isinstance(kafka, dict):
        for key in sorted(klog.keys() | kafka.keys()):
            yield from differing(klog.get(key, "(nothing)"), kafka.get(key, "(nothing)"), f"{path}.{key}")
    elif isinstance(klog, list) and isinstance(kafka, list):
        # What only one of them lists says more than a shift of places.
        ours, theirs = [one for one in klog if one not in kafka], [one for one in kafka if one not in klog]
        if len(ours) == len(theirs):
            for one, other in zip(ours, theirs):
                yield from differing(one, other, path + "[]")
        else:
            yield path + "[]", ours, theirs
    elif klog != kafka:
        yield path, klog, kafka


def listed(table, api, case):
    return next((row for row in table if row[0] == api and re.fullmatch(row[1], case)), None)


def test_both_answer_alike(world):
    pair = Pair(world.libs, world.ours.world["plain"], world.theirs.world["plain"])
    try:
        answer_cases.run(pair)
    finally:
        pair.stop()
    wrong, known = [], set()
    for (api, case), found in pair.differences.items():
        if listed(MEANT, api, case):
            continue
        if listed(FAULTS, api, case):
            known.add(listed(FAULTS, api, case))
            continue
        version, command, klog, kafka = found[-1]
        versions = ",".join(str(one[0]) for one in found)
        asked = brief({key: one for key, one in command.items() if key in ("body", "frame", "cut", "extra")})
        where = [f"  {path}: klog {brief(one)}, Kafka {brief(other)}" for path, one, other in differing(klog, kafka)]
        wrong.append("\n".join([f"{api} {case} (versions {versions})", f"  asked {asked}", *where[:8]]))
    for row in FAULTS:
        print(f"known fault: {row[0]} {row[1]}" + ("" if row in known else ": agrees now, take it off the list"))
    print(f"{pair.asked} requests to both, {len(pair.differences)} cases differ")
    assert not wrong, f"{len(wrong)} differences\n" + "\n".join(wrong)


TESTS = [("test_both_answer_alike", test_both_answer_alike)]
