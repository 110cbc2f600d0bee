"""What looking at the daemon costs: produce with and without a scraper, in pairs, and the processor time of one scrape.

    cargo build --profile quick
    python3 benches/scrape.py --klog target/quick/klog [--pairs 20] [--mib 512] [--rate 10] [--topics 10] [--partitions 10]

Within a pair both runs follow each other at once, the scraped one first in every other pair, so that a machine whose speed
drifts moves both alike. The scraper reads /metrics over the data folder's socket; its own work is on the machine too.
With --against BINARY every pair is one run of each binary's daemon instead, nobody scraping: what counting costs.
"""

import argparse
import os
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import threading
import time

from speed import make_input, warm_memory


def scrape(path):
    with socket.socket(socket.AF_UNIX) as stream:
        stream.connect(path)
        stream.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        size = 0
        while data := stream.recv(1 << 20):
            assert size or data.startswith(b"HTTP/1.1 200"), data[:200]
            size += len(data)
    return size


class Scraper(threading.Thread):
    """Scrapes so many times a second, as long as it runs."""

    def __init__(self, path, rate):
        super().__init__()
        self.path, self.rate, self.count, self.over = path, rate, 0, threading.Event()

    def run(self):
        due = time.monotonic()
        while not self.over.wait(max(0, due - time.monotonic())):
            scrape(self.path)
            self.count += 1
            due += 1 / self.rate

    def stop(self):
        self.over.set()
        self.join()


class Daemon:
    def __init__(self, klog, folder):
        self.klog, self.data = os.path.abspath(klog), folder
        command = [self.klog, "--data", self.data, "broker", "run", "-q"]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        while subprocess.run([self.klog, "--data", self.data, "broker", "status"], capture_output=True).returncode:
            assert self.process.poll() is None
            time.sleep(0.02)
        self.pages = os.path.join(self.data, "klog-http.sock")

    def run(self, *arguments, **more):
        subprocess.run([self.klog, "--data", self.data, "-q", *arguments], check=True, **more)

    def produce(self, source, batch):
        """Seconds for the whole input into a topic of its own, and of the daemon's processor time."""
        self.run("topic", "create", "bench")
        with open(source) as stdin:
            begun, cpu = time.monotonic(), self.cpu()
            self.run("produce", "bench", "--batch-bytes", str(batch), stdin=stdin)
            took = time.monotonic() - begun, self.cpu() - cpu
        self.run("topic", "delete", "bench", "-y")
        return took

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def report(what, ratios, bar):
    ratios.sort()
    middle = statistics.median(ratios)
    # The middle's own uncertainty, from the order of the ratios: about 95 % (binomial).
    off = max(1, round(0.98 * len(ratios) ** 0.5))
    low, high = ratios[max(0, len(ratios) // 2 - off)], ratios[min(len(ratios) - 1, len(ratios) // 2 + off)]
    print(f"{what}: {middle:.4f} of the throughput (median of {len(ratios)} pairs; 95 %: {low:.4f} to {high:.4f})")
    print(f"  {'within' if middle >= bar else 'BELOW'} the bar of {bar}")


def pairs(options, run):
    """`run(flag)` gives what Daemon.produce does; the ratios of the rates, flag over no flag."""
    ratios, cpus = [], {True: 0, False: 0}
    for number in range(options.pairs):
        order = (True, False) if number % 2 else (False, True)
        took = {flag: run(flag) for flag in order}
        ratios.append(took[False][0] / took[True][0])
        for flag in order:
            cpus[flag] += took[flag][1]
        print(f"pair {number + 1}: {took[False][0]:.3f} s and {took[True][0]:.3f} s", flush=True)
    # On a machine that others use as well this is the steadier figure.
    print(f"the daemon's processor time: {cpus[True] / cpus[False]:.4f} of that without")
    return ratios


def scraped(options, source, folder):
    daemon = Daemon(options.klog, os.path.join(folder, "data"))
    try:
        for number in range(options.topics):
            daemon.run("topic", "create", f"t{number}", "-p", str(options.partitions))
        size = scrape(daemon.pages)
        before, begun = daemon.cpu(), time.monotonic()
        for _ in range(options.scrapes):
            scrape(daemon.pages)
        cpu, wall = daemon.cpu() - before, time.monotonic() - begun
        each = cpu / options.scrapes * 1e3
        print(f"one scrape: {size} bytes, {each:.3f} ms of the daemon's processor time, {wall / options.scrapes * 1e3:.3f} ms until read")
        print(f"  at {options.rate}/s: {each * options.rate / 10:.3f} % of one core; every 15 s: {each / 150:.5f} %")
        daemon.produce(source, options.batch)

        def run(flag):
            if not flag:
                return daemon.produce(source, options.batch)
            scraper = Scraper(daemon.pages, options.rate)
            scraper.start()
            try:
                return daemon.produce(source, options.batch)
            finally:
                scraper.stop()
                assert scraper.count > 0

        report(f"scraped {options.rate} times a second", pairs(options, run), 0.99)
    finally:
        daemon.stop()


def against(options, source, folder):
    def run(flag):
        daemon = Daemon(options.klog if flag else options.against, os.path.join(folder, "new" if flag else "old"))
        try:
            daemon.produce(source, options.batch)
            return daemon.produce(source, options.batch)
        finally:
            daemon.stop()

    report("against the other binary", pairs(options, run), 0.99)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/release/klog")
    options.add_argument("--against", help="another klog: measure what counting costs, without scraping")
    options.add_argument("--pairs", type=int, default=20)
    options.add_argument("--mib", type=int, default=512)
    options.add_argument("--batch", type=int, default=131072)
    options.add_argument("--rate", type=int, default=10)
    options.add_argument("--topics", type=int, default=10)
    options.add_argument("--partitions", type=int, default=10)
    options.add_argument("--scrapes", type=int, default=500)
    options.add_argument("--dir", default="target")
    options = options.parse_args()
    folder = tempfile.mkdtemp(prefix="klog-scrape-", dir=options.dir)
    try:
        source = os.path.join(folder, "input")
        make_input(source, options.mib)
        warm_memory()
        (against if options.against else scraped)(options, source, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
