"""What the tests of this folder run in: klog and Apache Kafka from tests/clients/brokers.py, klog's commands, and
Kafka's own tools in one JVM. It must never decide what a test wants to see.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(ROOT, "tests", "clients"))

import brokers  # noqa: E402
from brokers import until  # noqa: E402, F401


def fetch_libs(libs):
    """Kafka's jars, from Maven where they are not here yet."""
    if not os.path.exists(os.path.join(libs, "kafka-tools-4.3.1.jar")):
        command = ["mvn", "-q", "-B", "-f", os.path.join(HERE, "pom.xml"), "dependency:copy-dependencies"]
        subprocess.run([*command, f"-DoutputDirectory={os.path.abspath(libs)}"], check=True)


def compiled(libs):
    """The folder with the classes of this folder's Java files, compiled anew when one changed."""
    out = os.path.join(ROOT, "target", "kafka-tests")
    sources = sorted(os.path.join(HERE, name) for name in os.listdir(HERE) if name.endswith(".java"))
    newest = max(os.path.getmtime(source) for source in sources)
    stamp = os.path.join(out, "compiled")
    if not os.path.exists(stamp) or os.path.getmtime(stamp) < newest:
        os.makedirs(out, exist_ok=True)
        command = ["javac", "-Xlint:all,-classfile", "-Werror", "-d", out, "-cp", os.path.join(libs, "*"), *sources]
        subprocess.run(command, check=True)
        open(stamp, "w").close()
    return out


class Tools:
    """Kafka's command-line tools in one JVM, with the broker that they are given by default."""

    def __init__(self, libs, address):
        self.address = address
        classes = os.pathsep.join([compiled(libs), os.path.join(os.path.abspath(libs), "*")])
        self.command = ["java", "-Xmx512M", "-XX:TieredStopAtLevel=1", "-cp", classes]
        self.process = None

    def call(self, main, *arguments, stdin=b""):
        """What a tool ends with: exit code, stdout, stderr."""
        if not self.process:
            self.process = subprocess.Popen(
                [*self.command, "Tools"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        command = {"main": main, "args": [str(one) for one in arguments], "stdin": base64.b64encode(stdin).decode()}
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.process.wait(20)
            self.process = None
            raise AssertionError(f"the JVM ended during {main} {arguments}")
        answer = json.loads(answer)
        return answer["code"], answer["out"], answer["err"]

    def alone(self, main, *arguments):
        """The stdout of a tool that ends the whole JVM, and so has one of its own."""
        done = subprocess.run([*self.command, main, *map(str, arguments)], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (main, arguments, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def ok(self, main, *arguments, stdin=b""):
        """The stdout of a tool that must end well."""
        code, out, err = self.call(main, *arguments, stdin=stdin)
        assert code == 0, (main, arguments, code, out[-2000:], err[-2000:])
        return out

    def at(self, main, *arguments, stdin=b""):
        """`ok` with `--bootstrap-server`."""
        return self.ok(main, "--bootstrap-server", self.address, *arguments, stdin=stdin)

    def refused(self, main, *arguments):
        """Everything that a tool says whose command line is right and whose wish is not granted."""
        code, out, err = self.call(main, "--bootstrap-server", self.address, *arguments)
        assert code != 0, (main, arguments, out)
        return out + err

    def stop(self):
        if not self.process:
            return
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()


class OpenKafka:
    """An Apache Kafka that lets everybody in."""

    def __init__(self, libs, folder, settings=brokers.PLAIN_SETTINGS):
        (address,) = (f"127.0.0.1:{port}" for port in brokers.free_ports(1))
        os.makedirs(folder)
        self.broker = brokers.Kafka(libs, os.path.join(folder, "open"), [("PLAIN", address, "PLAINTEXT")], settings)
        self.world = {"kind": "kafka", "plain": address}
        try:
            until(self.broker.started, 180, "Kafka has started")
        except AssertionError:
            self.stop()
            raise

    def stop(self):
        self.broker.stop()


class World:
    """One klog and one Apache Kafka, each open and secured, in folders of their own."""

    def __init__(self, klog, libs, against="klog"):
        self.klog, self.libs = os.path.abspath(klog), os.path.abspath(libs)
        self.folder = tempfile.mkdtemp(prefix="klog-kafka-")
        self.lines = b"".join(b"%d some value of a line\n" % n for n in range(20000))
        self.parts = []
        try:
            certificates = brokers.Certificates(os.path.join(self.folder, "certificates"))
            self.ours = self.part(brokers.KlogPlace(self.klog, os.path.join(self.folder, "klog"), certificates))
            theirs = os.path.join(self.folder, "kafka")
            if against == "kafka":
                self.theirs = self.part(brokers.KafkaPlace(self.klog, self.libs, theirs, certificates))
            else:
                self.theirs = self.part(OpenKafka(self.libs, theirs))
            # Whom Kafka's tools meet.
            self.place = self.theirs if against == "kafka" else self.ours
            self.tools = self.part(Tools(self.libs, self.place.world["plain"]))
        except BaseException:
            self.stop()
            raise
        self.data = self.ours.world["data"]

    def part(self, part):
        self.parts.append(part)
        return part

    def run(self, *arguments, stdin=b"", check=True, to=None):
        """A klog command on a broker: by default klog."""
        command = [self.klog, "-b", to or self.ours.world["plain"], *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done

    def to(self, address, *arguments, stdin=b""):
        """A klog command on any broker."""
        return self.run(*arguments, stdin=stdin, to=address)

    def start(self, address, *arguments):
        """A klog command that goes on until it is ended."""
        command = [self.klog, "-b", address, *arguments]
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    @staticmethod
    def until(condition, seconds, what):
        until(condition, seconds, what)

    def on_kafka(self, *arguments, stdin=b"", check=True):
        """A klog command on Apache Kafka."""
        return self.run(*arguments, stdin=stdin, check=check, to=self.theirs.world["plain"])

    def stop(self):
        wrong = [one for part in reversed(self.parts) for one in part.stop() or []]
        shutil.rmtree(self.folder, ignore_errors=True)
        return wrong


def run_tests(tests, only, world):
    """Runs test functions; prints one line each; gives how many passed and failed."""
    import traceback

    passed = failed = 0
    for name, test in tests:
        if only and name not in only:
            continue
        start = time.monotonic()
        try:
            test(world)
            passed += 1
            print(f"{name}: well ({time.monotonic() - start:.1f} s)", flush=True)
        except Exception:
            failed += 1
            traceback.print_exc()
            print(f"{name}: NOT WELL", flush=True)
    return passed, failed
