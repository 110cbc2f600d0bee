"""An application of Kafka Streams with exactly_once_v2 through kills: joins, windows and counts with state stores.

    streams.py --klog BINARY [--records N] [--kills N] [--instances N] [--long] [--seed N]

The application (java/streams/Application.java) joins two streams within a window and one of them with a table, counts by
key and window, and counts by another key through a topic of its own. Its instances and the daemon are killed with SIGKILL
at moments drawn by the seed and started again. Its committed output must be what a plain computation gives: each joined
pair once, and each count rising by one from 1 to its end, so that nothing is lost and nothing counts twice.
"""

import collections
import json
import os
import random
import subprocess
import sys
import time

import exactly_once
from exactly_once import TARGET, Daemon, Strikes, Worker

APPLICATION = "klog-streams"
COMMAND = [os.path.join(TARGET, "java", "streams", "application")]
PARTITIONS, KEYS = 3, 50
OUTPUTS = ["pairs", "named", "counts", "totals"]
# Of the event times, in milliseconds: the first one, and from one record of a stream to the next.
BEGIN, STEP = 1_700_000_000_000, 100
JOIN, WINDOW = 6_000, 60_000
# By default, and with --long.
RECORDS, KILLS = 1_500, 3
LONG_RECORDS, LONG_KILLS = 100_000, 30


def inputs(records):
    """Records (key, value, time) by topic: a pair of streams, the right one half a step behind, and the table."""
    left = [(f"k{n % KEYS}", f"{n}", BEGIN + n * STEP) for n in range(records)]
    right = [(key, value, time + STEP // 2) for key, value, time in left]
    # Before the streams in time, and there before the application begins: every record of `left` finds its name.
    names = [(f"k{n}", f"name-{n}", BEGIN - 1) for n in range(KEYS)]
    return {"left": left, "right": right, "names": names}


def computed(topics):
    """What the application must write, as a count of (topic, key, value)."""
    wanted, by_key = collections.Counter(), collections.defaultdict(list)
    names = {key: value for key, value, _ in topics["names"]}
    for key, value, at in topics["right"]:
        by_key[key].append((value, at))
    windows, totals = collections.Counter(), collections.Counter()
    for key, value, at in topics["left"]:
        wanted["named", key, f"{value}:{names[key]}"] += 1
        window = f"{key}@{at // WINDOW * WINDOW}"
        windows[window] += 1
        wanted["counts", window, str(windows[window])] += 1
        # The right one's n-th of this key is near the left one's n-th.
        nth = int(value) // KEYS
        for other, then in by_key[key][max(0, nth - 3) : nth + 4]:
            if abs(at - then) <= JOIN:
                wanted["pairs", key, f"{value}-{other}"] += 1
    for _, value, _ in topics["right"]:
        totals[value[-1]] += 1
        wanted["totals", value[-1], str(totals[value[-1]])] += 1
    return wanted


def fill(daemon, topics):
    for topic in [*topics, *OUTPUTS]:
        daemon.run("topic", "create", topic, "-p", str(PARTITIONS))
    for topic, rows in topics.items():
        lines = "".join(
            json.dumps({"topic": topic, "key": key, "value": value, "timestamp": at}) + "\n" for key, value, at in rows
        )
        daemon.run("produce", "-J", stdin=lines.encode())


def check(wanted, output):
    """Sees that `output` has what is wanted, each as often, and that counts rise where one writer writes them."""
    seen, last = collections.Counter(), {}
    for line in output.splitlines():
        topic, key, value = line.split("\t")
        seen[topic, key, value] += 1
        if topic in ("counts", "totals"):
            assert int(value) == last.get((topic, key), 0) + 1, f"{topic} of {key}: {value} after {last.get((topic, key))}"
            last[topic, key] = int(value)
    missing, more = wanted - seen, seen - wanted
    assert not missing and not more, (
        f"{missing.total()} of {wanted.total()} results are missing, such as {list(missing)[:3]}; "
        f"{more.total()} are too many, such as {list(more)[:3]}"
    )


def read_up(daemon, topics):
    """Whether the application has read its own topics too: up to the end, and not only to where a killed instance's
    transaction holds it up."""
    inner = [row for row in daemon.lag(APPLICATION) if row["topic"] not in topics]
    if not inner:
        return False
    own = sorted({row["topic"] for row in inner})
    ends = json.loads(daemon.run("topic", "offsets", *own, "-o", "json"))
    ends = {(row["topic"], row["partition"]): (row["stable"], row["end"]) for row in ends}
    for row in inner:
        stable, end = ends[row["topic"], row["partition"]]
        # The marker of the last transaction is not always counted as read.
        if stable != end or end - (row["committed"] or 0) > 1:
            return False
    return len(inner) == len(ends)


def one(options, folder):
    topics = inputs(options.records)
    daemon, workers = Daemon(options.klog, folder), []
    began = time.monotonic()
    try:
        fill(daemon, topics)
        told = {
            **{"address": daemon.address, "application": APPLICATION, "threads": 2},
            **{"session_ms": 3000, "batch": max(20, options.records // 200)},
            # Each commit is a transaction: a long run must come to its end.
            **{"commit_ms": 100 if options.records < 10_000 else 500},
        }
        for n in range(options.instances):
            state, log = os.path.join(folder, f"state-{n}"), os.path.join(folder, f"application-{n}.log")
            workers.append(Worker([*COMMAND, "work"], {**told, "state": state}, log, "KLOG_STREAMS"))
        total = sum(len(rows) for rows in topics.values())
        strikes = Strikes(random.Random(options.seed), daemon, workers, total, options.kills)
        last, moved = None, time.monotonic()
        while True:
            rows = daemon.lag(APPLICATION)
            committed = {(row["topic"], row["partition"]): row["committed"] or 0 for row in rows}
            done = sum(offset for (topic, _), offset in committed.items() if topic in topics)
            if committed != last:
                last, moved = committed, time.monotonic()
            assert time.monotonic() - moved < 120, f"nothing moves at {done} of {total}: {rows}"
            if done == total and not strikes.coming and read_up(daemon, topics):
                break
            strikes.tend(done)
            time.sleep(0.1)
        for worker in workers:
            worker.kill()
        daemon.settled(OUTPUTS)
        took = time.monotonic() - began
        environment = {**os.environ, "KLOG_STREAMS": json.dumps(told)}
        read = subprocess.run([*COMMAND, "read"], capture_output=True, text=True, timeout=600, env=environment)
        assert read.returncode == 0, read.stderr[-2000:]
        check(computed(topics), read.stdout)
        return f"{took:.0f} s"
    finally:
        for worker in workers:
            worker.kill()
        daemon.stop()


def main():
    records, kills = (RECORDS, LONG_RECORDS), (KILLS, LONG_KILLS)
    options = exactly_once.arguments(__doc__.splitlines()[0], records, kills)
    options.add_argument("--instances", type=int, help="1 by default, 2 with --long")
    options = exactly_once.finished(options, records, kills)
    options.instances = options.instances or 1 + options.long
    why = exactly_once.installed("kafka-streams")
    if why:
        print(f"skipped: Kafka Streams ({why})")
        print("Kafka Streams: 0 passed; 0 failed; 1 skipped")
        sys.exit(0)
    well = exactly_once.run("Kafka Streams", lambda folder: one(options, folder), options)
    print(f"Kafka Streams: {int(well)} passed; {int(not well)} failed; 0 skipped")
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
