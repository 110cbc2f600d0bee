"""What the Python drivers share: the world they are given, waiting, and how a scenario ends."""

import collections
import itertools
import json
import os
import subprocess
import sys
import time
import traceback

# Kafka's error codes that scenarios expect by name.
CODES = {
    "OFFSET_OUT_OF_RANGE": 1,
    "UNKNOWN_TOPIC_OR_PARTITION": 3,
    "MESSAGE_TOO_LARGE": 10,
    "INVALID_TOPIC_EXCEPTION": 17,
    "TOPIC_AUTHORIZATION_FAILED": 29,
    "TOPIC_ALREADY_EXISTS": 36,
    "INVALID_PARTITIONS": 37,
    "INVALID_REPLICATION_FACTOR": 38,
    "INVALID_CONFIG": 40,
    "NON_EMPTY_GROUP": 68,
    "GROUP_ID_NOT_FOUND": 69,
    "FENCED_INSTANCE_ID": 82,
    "GROUP_SUBSCRIBED_TO_TOPIC": 86,
    "RESOURCE_NOT_FOUND": 91,
}

Record = collections.namedtuple("Record", "topic partition offset key value headers timestamp timestamp_type")


class Refused(Exception):
    """The broker said no: `code` is Kafka's error code."""

    def __init__(self, code, text=""):
        super().__init__(f"error {code} {text}")
        self.code = code


class Lacks(Exception):
    """This client can not do that."""


class World:
    """What the suite says of the brokers (see suite.py)."""

    def __init__(self):
        self.__dict__.update(json.loads(os.environ["KLOG_CLIENT_WORLD"]))
        self.numbers = itertools.count()

    def name(self, word, before=""):
        return f"{before}{self.prefix}-{word}{next(self.numbers)}"

    def run_klog(self, *arguments, stdin=b"", check=True):
        """A klog command against the open broker, over TCP."""
        done = subprocess.run([self.klog, "-b", self.plain, *arguments], input=stdin, capture_output=True, timeout=60)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done.stdout

    def stored_batches(self, topic, partition=0):
        """What the broker's files hold of a partition, batch by batch; None where they are not ours to see."""
        if not self.data:
            return None
        folder = os.path.join(self.data, f"{topic}-{partition}")
        done = subprocess.run([self.klog, "segment", "dump", folder, "--batches", "-J"], capture_output=True)
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]


def until(condition, seconds, what):
    """The first true answer of `condition`, asked again and again."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what() if callable(what) else what}")
        time.sleep(0.02)


def refused(name, action):
    """Sees that the broker refuses `action` with the error of that name."""
    try:
        answer = action()
    except Refused as wrong:
        assert wrong.code == CODES[name], f"wanted {name}, got {wrong}"
    else:
        raise AssertionError(f"wanted {name}, got {answer!r}")


def main(scenarios):
    """Runs the scenario of the command line: `scenarios` maps its name to a function without arguments."""
    name = sys.argv[1]
    code = 1
    try:
        if name not in scenarios:
            raise Lacks(f"no scenario {name} in this driver")
        scenarios[name]()
        code = 0
    except Lacks as reason:
        print(reason)
        code = 77
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush(), sys.stderr.flush()
    # Threads of a client that did not end must not keep the driver.
    os._exit(code)
