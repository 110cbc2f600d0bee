"""What syncing before every answer costs: eight producers at once, with it and without, in one run.

    cargo build --release
    python3 benches/sync.py [--klog target/release/klog] [--rounds 5] [--mib 256] [--batch 131072] [--dir FOLDER]

Eight `klog produce` of --mib MiB each (lines of 89 bytes on average, acks=all), once into one partition and once into
one partition each; the topic that is not synced has flush.messages at its largest. Everything in turn within a round;
the bar is on the median of the ratios of the rounds.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

from speed import Bench, warm_memory

BAR = 0.75


class Sync(Bench):
    def write(self, name, partitions, *settings):
        """Eight producers at once; notes the million lines a second of all of them together."""
        self.topic(name, *settings, partitions=partitions)
        began = time.monotonic()
        producers = []
        for number in range(self.options.producers):
            command = [self.options.klog, "--data", self.data, "produce", "-q", name]
            command += ["--acks", "all", "--batch-bytes", str(self.options.batch), "-p", str(number % partitions)]
            producers.append(subprocess.Popen(command, stdin=open(self.input)))
        for producer in producers:
            assert producer.wait() == 0, producer.args
        rate = self.lines * self.options.producers / (time.monotonic() - began) / 1e6
        self.rates.setdefault(name, []).append(rate)
        ends = json.loads(self.klog("topic", "offsets", name, "-o", "json").stdout)
        stored = sum(one["end"] for one in ends)
        assert stored == self.lines * self.options.producers, f"{stored} records are stored"
        self.klog("-q", "topic", "delete", name, "-y")

    def topic(self, name, *settings, partitions):
        more = [part for pair in settings for part in ("-c", pair)]
        self.klog("-q", "topic", "create", name, "-p", str(partitions), *more)

    def round(self):
        for partitions in (1, self.options.producers):
            self.write(f"unsynced-{partitions}", partitions, "flush.messages=9223372036854775807")
            self.write(f"synced-{partitions}", partitions)

    def report(self):
        size = os.path.getsize(self.input) / 1e6
        print(f"{self.options.producers} producers of {self.lines} lines, {size:.0f} MB each, batches of "
              f"{self.options.batch} bytes, acks=all")
        print(f"{'million lines/s, together':28} median     min     max")
        for name, rates in self.rates.items():
            print(f"{name:28} {statistics.median(rates):6.2f}  {min(rates):6.2f}  {max(rates):6.2f}")
        for partitions in (1, self.options.producers):
            pairs = zip(self.rates[f"synced-{partitions}"], self.rates[f"unsynced-{partitions}"])
            ratio = statistics.median(synced / unsynced for synced, unsynced in pairs)
            print(f"synced / unsynced, {partitions} partitions: {ratio:.2f} (bar {BAR})"
                  + ("" if ratio >= BAR else "  BELOW THE BAR"))


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/release/klog")
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--mib", type=int, default=256)
    options.add_argument("--batch", type=int, default=131072)
    options.add_argument("--producers", type=int, default=8)
    options.add_argument("--dir", default="target")
    options = options.parse_args()
    options.klog = os.path.abspath(options.klog)
    bench = Sync(options)
    try:
        for number in range(options.rounds):
            warm_memory()
            bench.round()
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
        bench.report()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
