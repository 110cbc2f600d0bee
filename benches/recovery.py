"""How long klog takes to be ready again after kill -9, and what many partitions cost at rest.

    cargo build --release
    python3 benches/recovery.py [--klog target/release/klog] [--gib 10] [--partitions 1000 10000] [--dir FOLDER]

For each number of partitions: topics of a thousand partitions with one record each, kill -9, then the time from starting
the daemon until it answers and until every partition has told its end; the resident memory at rest. For the log: one
topic of --gib GiB, kill -9 while it is written to, then the time until it answers and until its last record is read.
"""

import argparse
import atexit
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time


class Daemon:
    """A daemon of its own over a folder."""

    def __init__(self, klog, data):
        self.klog, self.data, self.process = klog, data, None
        atexit.register(lambda: self.process and self.process.poll() is None and self.kill())

    def run(self, *arguments, **more):
        more.setdefault("stdout", subprocess.PIPE)
        return subprocess.run([self.klog, "--data", self.data, "--no-autostart", *arguments], check=True, **more)

    def start(self):
        """Seconds until it takes connections and answers."""
        begun = time.monotonic()
        log = open(self.data + ".log", "ab")
        self.process = subprocess.Popen(
            [self.klog, "--data", self.data, "broker", "run"], stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        while True:
            found = subprocess.run(
                [self.klog, "--data", self.data, "broker", "status"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            if found.returncode == 0:
                return time.monotonic() - begun
            assert self.process.poll() is None, open(self.data + ".log").read()
            time.sleep(0.005)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def memory_mib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            fields = dict(line.split(":", 1) for line in status)
        return {name: int(fields[name].split()[0]) / 1024 for name in ("VmRSS", "RssAnon", "VmHWM")}


def partitions(options, folder, count):
    daemon = Daemon(options.klog, os.path.join(folder, f"p{count}"))
    daemon.start()
    each = min(count, 1000)
    names = [f"t{n}" for n in range(count // each)]
    for name in names:
        daemon.run("-q", "topic", "create", name, "-p", str(each))
        lines = "".join(f'{{"partition":{n},"value":"x"}}\n' for n in range(each))
        daemon.run("-q", "produce", name, "-J", input=lines.encode())
    daemon.kill()
    ready = daemon.start()
    begun = time.monotonic()
    ends = 0
    for name in names:
        out = daemon.run("topic", "offsets", name, "-o", "jsonl").stdout
        ends += sum(json.loads(line)["end"] for line in out.splitlines() if line)
    told = time.monotonic() - begun
    time.sleep(3)
    memory = daemon.memory_mib()
    print(f"{count} partitions: ready {ready:.2f} s after kill -9, all ends told {told:.2f} s later ({ends} records)")
    print("  at rest: " + ", ".join(f"{name} {mib:.0f} MiB" for name, mib in memory.items()), flush=True)
    daemon.stop()
    clean = daemon.start()
    time.sleep(3)
    memory = daemon.memory_mib()
    print(f"  after a clean stop: ready in {clean:.2f} s; " + ", ".join(f"{n} {m:.0f} MiB" for n, m in memory.items()), flush=True)
    daemon.kill()


def big_log(options, folder):
    daemon = Daemon(options.klog, os.path.join(folder, "big"))
    daemon.start()
    daemon.run("-q", "topic", "create", "big", "-p", "1")
    line = ("0123456789abcdef" * 62 + "\n").encode()
    block = line * 1000
    writer = subprocess.Popen(
        [options.klog, "--data", daemon.data, "-q", "produce", "big", "--batch-bytes", "131072"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    written = 0
    while written < options.gib << 30:
        writer.stdin.write(block)
        written += len(block)
    daemon.kill()
    writer.kill()
    writer.wait()
    ready = daemon.start()
    begun = time.monotonic()
    out = daemon.run("consume", "big", "-o", "-1", "-e", "-f", "%o\n").stdout
    read = time.monotonic() - begun
    print(f"{options.gib} GiB: ready {ready:.2f} s after kill -9, the last record ({out.decode().strip()}) read {read:.2f} s later")
    said = [line for line in open(daemon.data + ".log", errors="replace") if "recover" in line.lower()]
    print("  " + "  ".join(said[-3:]), end="" if said else "\n")
    daemon.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--klog", default="target/release/klog")
    parser.add_argument("--gib", type=int, default=10)
    parser.add_argument("--partitions", type=int, nargs="*", default=[1000, 10000])
    parser.add_argument("--dir")
    options = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="klog-recovery-", dir=options.dir)
    try:
        for count in options.partitions:
            partitions(options, folder, count)
        if options.gib:
            big_log(options, folder)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
