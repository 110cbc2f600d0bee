"""Apache Kafka 4.3 and klog against each other.

klog's commands on a real Kafka (`commands_on_kafka.py`), Kafka's own tools on klog (`tools.py`) and on the folders that
klog wrote (`files.py`), and what both answer to the same requests (`answers.py`). Prints one line a test and "N passed;
M failed" at the end. `--against kafka` runs Kafka's tools on Kafka itself: a test that fails there is a wrong test.
"""

import argparse
import os
import sys

import places


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/debug/klog")
    options.add_argument("--libs", default="target/kafka-libs")
    options.add_argument("--against", choices=["klog", "kafka"], default="klog", help="whom Kafka's own tools meet")
    options.add_argument("only", nargs="*")
    options = options.parse_args()
    places.fetch_libs(options.libs)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    import answers
    import commands_on_kafka
    import files
    import tools

    tests = (
        tools.TESTS
        if options.against == "kafka"
        else answers.TESTS + tools.TESTS + commands_on_kafka.TESTS + files.TESTS
    )
    world = places.World(options.klog, options.libs, options.against)
    try:
        passed, failed = places.run_tests(tests, options.only, world)
    finally:
        wrong = world.stop()
    for one in wrong:
        print(f"NOT WELL: {one}")
    failed += len(wrong)
    print(f"kafka: {passed} passed; {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
