"""Clients of other makers against klog: the matrix of clients and scenarios.

A *driver* is an executable that is called `DRIVER SCENARIO`, with a JSON object in the variable KLOG_CLIENT_WORLD:

    kind          "klog", "kafka" or "given": who serves
    plain         "127.0.0.1:PORT" of the open broker
    sasl, tls, sasl_tls
                  listeners of the secured broker: SASL_PLAINTEXT, SSL (a client certificate is optional), SASL_SSL
    ca, other_ca  PEM: the authority that made the server's certificate, and one that did not
    client_cert, client_key
                  PEM: a certificate for User:CN=client,O=klog
    user, password
                  the SCRAM user of the secured broker
    prefix        unique in this run: topics, groups and ids of a driver begin with it
    klog          path of the binary
    data, secured_data
                  data folders of the open and of the secured broker (for `klog --data DIR` and `klog segment`)
    scratch       a folder of the driver's own

On the secured broker alice, User:ANONYMOUS and the certificate's principal may do everything, but for two denials:
ANONYMOUS nothing with topics `cert-*`, alice nothing with topics `denied-*`.

Exit 0: passed. Exit 77, with a reason as the last line of stdout: this client can not do that. Anything else: failed,
and stderr says why. `must_pass.txt` lists the pairs that must pass, and only grows; FINDINGS.md says why any other
pair is not on it. The suite fails when a pair of the list fails, when a pair passes and is not on the list, and when a
pair is in neither file. A client that `tests/clients/install` could not fetch is skipped, by name. These are whole
programs of others on a machine that may be busy: with `--again` a pair that was not well is run once more, alone, and
named as unsteady if it is well then.

The drivers in Python and in Node share their scenarios (`python/scenarios.py`, `node/scenarios.mjs`) and differ in an
adapter; the others are whole programs.
"""

import argparse
import collections
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import brokers

HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.path.join(os.path.dirname(os.path.dirname(HERE)), "target", "clients")

SCENARIOS = """topics configs codecs records large offsets group static cooperative group_next pause_seek admin
delete_records compaction idempotent sasl tls""".split()
# What every client in the list is there for: no fault excuses these.
NEVER_EXCUSED = {"topics", "codecs", "records", "large", "offsets", "group", "admin"}
SECURED = {"sasl", "tls"}
TIME_LIMIT = 90

Client = collections.namedtuple("Client", "command also", defaults=([],))
PYTHON = os.path.join(TARGET, "python", "bin", "python")


def python(name):
    return [PYTHON, os.path.join(HERE, "python", name + ".py")]


def node(name):
    return ["node", os.path.join(TARGET, "node", name, "driver.mjs")]


# Longest first: two run at a time.
CLIENTS = {
    "confluent-kafka": Client(python("confluent"), ["transactions"]),
    "kafka-python": Client(python("kafka_python"), ["mixed", "transactions"]),
    "java": Client([os.path.join(TARGET, "java", "driver")], ["transactions"]),
    "aiokafka": Client(python("aiokafka_driver"), ["transactions"]),
    "kafkajs": Client(node("kafkajs"), ["transactions"]),
    "platformatic": Client(node("platformatic")),
    "franz-go": Client([os.path.join(TARGET, "go", "franz")], ["transactions"]),
    "sarama": Client([os.path.join(TARGET, "go", "sarama")], ["transactions"]),
    "segmentio": Client([os.path.join(TARGET, "go", "segmentio")]),
    "rskafka": Client([os.path.join(TARGET, "rskafka", "debug", "rskafka-driver")]),
    "kcat": Client(["python3", os.path.join(HERE, "python", "kcat.py")], ["mixed"]),
}

Result = collections.namedtuple("Result", "state seconds text")


def must_pass():
    pairs = set()
    for line in open(os.path.join(HERE, "must_pass.txt")):
        line = line.partition("#")[0].split()
        if line:
            pairs.add(tuple(line))
    return pairs


def findings():
    """Rows of the table of FINDINGS.md: (client, scenario) to (kind, why)."""
    rows = {}
    for line in open(os.path.join(HERE, "FINDINGS.md")):
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if line.startswith("|") and len(cells) == 4 and cells[0] in CLIENTS:
            for scenario in cells[1].split():
                rows[cells[0], scenario] = (cells[2], cells[3])
    return rows


def lists_are_sound(must, found):
    """What is wrong with the two files themselves."""
    for client, scenario in sorted(must | found.keys()):
        if client not in CLIENTS or scenario not in SCENARIOS + CLIENTS[client].also:
            yield f"{client} {scenario}: no such pair"
    for pair in sorted(must & found.keys()):
        yield f"{' '.join(pair)}: in must_pass.txt and in FINDINGS.md"
    for (client, scenario), (kind, why) in sorted(found.items()):
        if kind not in ("lacks", "fails") or not why:
            yield f"{client} {scenario}: a finding is 'lacks' or 'fails', and says why"
        if kind == "fails" and scenario in NEVER_EXCUSED:
            yield f"{client} {scenario}: produce, consume, group and admin scenarios are not excused"


def judge(client, scenario, result, must, found):
    """None where the result is what the lists say, else what is wrong."""
    kind = found.get((client, scenario), (None,))[0]
    listed = (client, scenario) in must
    if result.state == "passed":
        return None if listed else "passes and is not in must_pass.txt: add it"
    if listed:
        return "is in must_pass.txt"
    if kind is None:
        return "is neither in must_pass.txt nor in FINDINGS.md"
    if (kind == "lacks") != (result.state == "lacks"):
        return f"FINDINGS.md has it as '{kind}'"
    return None


def installed(client):
    """None where the client can be run, else (state, reason): `skipped` where its registry did not answer."""
    try:
        state, _, reason = open(os.path.join(TARGET, "state", client)).read().strip().partition(" ")
    except FileNotFoundError:
        return ("skipped", "not installed: tests/clients/install does it")
    return None if state == "ready" else (state, reason)


def run_driver(client, scenario, world):
    environment = {**os.environ, "KLOG_CLIENT_WORLD": json.dumps(world), "PYTHONDONTWRITEBYTECODE": "1"}
    start = time.monotonic()
    process = subprocess.Popen(
        [*CLIENTS[client].command, scenario],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        err += f"\nnot done within {TIME_LIMIT} s".encode()
    seconds = time.monotonic() - start
    out, err = out.decode(errors="replace"), err.decode(errors="replace")
    if process.returncode == 0:
        return Result("passed", seconds, "")
    if process.returncode == 77:
        return Result("lacks", seconds, (out.strip().splitlines() or ["no reason given"])[-1])
    return Result("failed", seconds, f"exit {process.returncode}\n" + (out[-1500:] + err[-4000:]).strip())


class Matrix:
    """Runs the pairs, two clients at a time, and counts."""

    def __init__(self, place, folder, certificates, pairs):
        self.place, self.folder, self.pairs = place, folder, pairs
        self.must, self.found = must_pass(), findings()
        self.keys = {
            "ca": certificates.ca,
            "other_ca": certificates.other_ca,
            "client_cert": certificates.client,
            "client_key": certificates.client_key,
            "user": brokers.USER,
            "password": brokers.PASSWORD,
        }
        self.lock = threading.Lock()
        self.results, self.skipped, self.wrong = {}, [], list(lists_are_sound(self.must, self.found))
        self.unsteady = []

    def world(self, client, scenario):
        scratch = tempfile.mkdtemp(prefix=f"{client}-{scenario}-", dir=self.folder)
        token = os.urandom(3).hex()
        return {**self.place.world, **self.keys, "prefix": f"{client}-{scenario}-{token}", "scratch": scratch}

    def one(self, client, scenario):
        if scenario in SECURED and self.place.secured:
            result = Result("failed", 0, self.place.secured)
        else:
            result = run_driver(client, scenario, self.world(client, scenario))
        verdict = judge(client, scenario, result, self.must, self.found)
        with self.lock:
            self.results[client, scenario] = (result, verdict)
            word = {"passed": "well", "lacks": "left out"}.get(result.state, "fails")
            line = f"{client} {scenario}: {word if verdict is None else 'NOT WELL'} ({result.seconds:.1f} s)"
            if result.state == "lacks":
                line += f": {result.text}"
            if verdict:
                line += f": {verdict}"
            print(line, flush=True)
            if result.state == "failed":
                print(re.sub(r"^", "    ", result.text, flags=re.M), flush=True)

    def client(self, client, scenarios):
        state = installed(client)
        if state:
            with self.lock:
                print(f"{state[0]}: {client} ({state[1]})", flush=True)
                (self.skipped if state[0] == "skipped" else self.wrong).append(f"{client} ({state[1]})")
            return
        for scenario in scenarios:
            self.one(client, scenario)

    def run(self, workers):
        queue = collections.deque(self.pairs.items())

        def work():
            while True:
                with self.lock:
                    if not queue:
                        return
                    client, scenarios = queue.popleft()
                self.client(client, scenarios)

        threads = [threading.Thread(target=work) for _ in range(workers)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def again(self):
        """Runs what was not well once more, alone: what is well then is unsteady."""
        for (client, scenario), (_, verdict) in sorted(self.results.items()):
            if verdict:
                self.one(client, scenario)
                if self.results[client, scenario][1] is None:
                    self.unsteady.append(f"{client} {scenario}")


def chosen(only):
    pairs = {}
    for client, row in CLIENTS.items():
        scenarios = SCENARIOS + row.also
        if only:
            words = [word.partition("/") for word in only]
            mine = [scenario for name, _, scenario in words if name in (client, "*")]
            scenarios = [s for s in scenarios if s in mine or "" in mine]
        if scenarios:
            pairs[client] = scenarios
    return pairs


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--klog", default="target/debug/klog")
    options.add_argument("--only", action="append", metavar="CLIENT[/SCENARIO]", help="'*' is every client")
    options.add_argument("--broker", help="the address of a broker that runs already, instead of klog")
    options.add_argument("--kafka", metavar="LIBS", help="a folder of Apache Kafka's jars: run it instead of klog")
    options.add_argument("--workers", type=int, default=2)
    options.add_argument("--again", action="store_true", help="run what was not well once more, alone, and let that count")
    options.add_argument("--keep", action="store_true", help="keep the folders of the run")
    options = options.parse_args()
    klog = os.path.abspath(options.klog)
    folder = tempfile.mkdtemp(prefix="klog-clients-")
    certificates = brokers.Certificates(os.path.join(folder, "certificates"))
    if options.broker:
        place = brokers.GivenPlace(klog, options.broker)
    elif options.kafka:
        place = brokers.KafkaPlace(klog, os.path.abspath(options.kafka), os.path.join(folder, "kafka"), certificates)
    else:
        place = brokers.KlogPlace(klog, os.path.join(folder, "klog"), certificates)
    try:
        matrix = Matrix(place, folder, certificates, chosen(options.only))
        matrix.run(options.workers)
        if options.again:
            matrix.again()
    finally:
        ends = place.stop()
    if options.keep:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    for wrong in [*matrix.wrong, *ends]:
        print(f"NOT WELL: {wrong}")
    # Once more at the end, where a log that is cut still shows them.
    for (client, scenario), (result, verdict) in sorted(matrix.results.items()):
        if verdict:
            reason = (result.text.strip().splitlines() or [""])[-1]
            print(f"NOT WELL: {client} {scenario}: {verdict} ({result.seconds:.1f} s): {reason}")
    verdicts = list(matrix.results.values())
    left_out = sum(1 for result, verdict in verdicts if verdict is None and result.state != "passed")
    passed = sum(1 for result, verdict in verdicts if verdict is None) - left_out
    failed = sum(1 for _, verdict in verdicts if verdict) + len(matrix.wrong) + len(ends)
    for pair in matrix.unsteady:
        print(f"unsteady: {pair}: not well the first time, well when run again alone")
    for name in matrix.skipped:
        print(f"skipped: {name}")
    print(f"{left_out} pairs are left out for the reasons in FINDINGS.md")
    print(f"clients: {passed} passed; {failed} failed; {len(matrix.skipped)} skipped")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
