"""klog's own command-line tests (tests/cli) a second time, against Apache Kafka: `cargo test --test cli` with
KLOG_TEST_BROKER. Cases that ask a daemon of their own about itself are left out, each named with its reason in
`commands_left_out.txt`.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile

import places


def left_out():
    """Pairs of a case, or a module ending in `::`, and why Apache Kafka can not stand in for the daemon."""
    for line in open(os.path.join(places.HERE, "commands_left_out.txt")):
        case, _, reason = line.partition(" ")
        if case.strip() and not case.startswith("#"):
            assert reason.strip(), f"{case}: no reason"
            yield case, reason.strip()


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--libs", default="target/kafka-libs")
    options.add_argument("only", nargs="*")
    options = options.parse_args()
    places.fetch_libs(options.libs)
    folder = tempfile.mkdtemp(prefix="klog-kafka-")
    # Records of years ago stay while a case reads them.
    settings = {"group.initial.rebalance.delay.ms": "0", "log.retention.check.interval.ms": "3600000"}
    kafka = places.OpenKafka(os.path.abspath(options.libs), os.path.join(folder, "kafka"), settings)
    try:
        command = ["cargo", "test", "--locked", "--no-fail-fast", "--test", "cli", "--"]
        listed = subprocess.run([*command, "--list"], capture_output=True, text=True, check=True).stdout
        cases = [line.removesuffix(": test") for line in listed.splitlines() if line.endswith(": test")]
        run = set(cases)
        for case, reason in left_out():
            named = {one for one in cases if one == case or (case.endswith("::") and one.startswith(case))}
            assert named, f"commands_left_out.txt: there is no case {case}"
            run -= named
            print(f"left out: {case} ({reason})", flush=True)
        if options.only:
            run = {one for one in run if any(word in one for word in options.only)}
        environment = {**os.environ, "KLOG_TEST_BROKER": kafka.world["plain"]}
        done = subprocess.run([*command, "--exact", *sorted(run)], env=environment)
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)
    sys.exit(done.returncode)


if __name__ == "__main__":
    main()
