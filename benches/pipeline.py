"""A pipeline against the same work as a shell pipe: klog pipeline run beside klog consume | jq -c | klog produce.

    cargo build --profile quick
    python3 benches/pipeline.py --klog target/quick/klog [--rounds 5] [--records 1000000] [--partitions 1]

Both read one topic of sales and write one topic of prices, with acknowledgements that are synced; every round runs all
rows in turn, so that a machine whose speed drifts moves them alike. The row "jaq alone" runs the same filter written so
that it does not take the fast path; "as it is" copies values without a step, which is what reading and writing cost.
The prices of the first round are held against each other as JSON values.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

from speed import warm_memory

JQ = "select(.quantity > 0) | {item, price: (.sales / .quantity)}"
# A variable is nothing that the fast path knows.
SLOW = ". as $x | " + JQ


def make_sales(path, records):
    with open(path, "w") as out:
        for n in range(records):
            cents = n * 37 % 100000
            out.write(
                f'{{"item":"item {n % 1000}","sales":{cents // 100}.{cents % 100:02},"quantity":{n % 7},'
                f'"note":"sale no. {n} of the day","shop":{{"town":"Ghent","street":"Veldstraat {n % 90}"}}}}\n'
            )


class Bench:
    def __init__(self, options):
        self.klog = os.path.abspath(options.klog)
        self.folder = tempfile.mkdtemp(prefix="klog-pipeline-", dir=options.dir)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("KLOG_")}
        self.env |= {"KLOG_DATA": os.path.join(self.folder, "data"), "PATH": os.path.dirname(self.klog) + ":" + os.environ["PATH"]}
        self.times = {}
        self.number = 0

    def run(self, script):
        return subprocess.run(["bash", "-o", "pipefail", "-c", script], env=self.env, check=True, capture_output=True).stdout

    def timed(self, name, script):
        """Seconds of a script whose TO is a topic of its own."""
        self.number += 1
        topic = f"out{self.number}"
        self.run(f"klog topic create -q {topic}")
        begun = time.monotonic()
        self.run(script.replace("TO", topic))
        self.times.setdefault(name, []).append(time.monotonic() - begun)
        return topic

    def round(self):
        pipeline = "klog pipeline run -q --once --from sales --to TO"
        a = self.timed("pipeline", f"{pipeline} --jq '{JQ}'")
        b = self.timed("shell pipe", f"klog consume sales -e | jq -c '{JQ}' | klog produce TO")
        c = self.timed("jaq alone", f"{pipeline} --jq '{SLOW}'")
        self.timed("as it is", pipeline)
        return a, b, c

    def values(self, topic):
        return [json.loads(line) for line in self.run(f"klog consume {topic} -e").splitlines()]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--klog", default="target/release/klog")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=1)
    parser.add_argument("--dir")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        path = os.path.join(bench.folder, "sales.jsonl")
        make_sales(path, options.records)
        warm_memory()
        bench.run(f"klog topic create -q sales -p {options.partitions}")
        bench.run(f"klog produce sales --partitioner round-robin < {path}")
        for number in range(options.rounds):
            topics = bench.round()
            if number == 0 and options.partitions == 1:
                ours, pipes, slow = (bench.values(topic) for topic in topics)
                assert ours == pipes == slow, "the prices differ"
                print(f"{len(ours)} prices, the same from all three")
        medians = {name: statistics.median(times) for name, times in bench.times.items()}
        for name, seconds in medians.items():
            spread = f"{min(bench.times[name]):.2f} to {max(bench.times[name]):.2f}"
            print(f"{name:12} {seconds:6.2f} s ({spread})  {options.records / seconds / 1e6:5.2f} M records/s")
        ratios = [b / a for a, b in zip(bench.times["pipeline"], bench.times["shell pipe"])]
        print(f"shell pipe / pipeline: {statistics.median(ratios):.2f} (bar 3), rounds {min(ratios):.2f} to {max(ratios):.2f}")
        rest, whole = medians["as it is"], medians["jaq alone"]
        print(f"jaq's share of a run by jaq alone: {1 - rest / whole:.2f}; the filter's share of the fast one: {1 - rest / medians['pipeline']:.2f}")
    finally:
        subprocess.run([bench.klog, "broker", "stop", "-q"], env=bench.env)
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
