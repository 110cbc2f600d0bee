"""Apache Kafka and klog daemons for tests: each in folders of its own, on free loopback ports, with the same four
listeners (plain, SASL, TLS, both), the same certificates and users. It must never decide what a test wants to see.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

USER, PASSWORD = "alice", "alice-secret"
LISTENERS = ["plain", "sasl", "tls", "sasl_tls"]


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address):
    """Whether somebody listens there."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


class Certificates:
    """An authority, a server's certificate for 127.0.0.1 and a client's, as PEM files in a folder."""

    def __init__(self, folder):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self.ca = self.path("ca.pem")
        if not os.path.exists(self.path("client-store.pem")):
            self.openssl("req -x509 -newkey rsa:2048 -nodes -days 30 -keyout ca.key -out ca.pem -subj /CN=tests")
            self.make("server", "/CN=localhost", "subjectAltName=IP:127.0.0.1,DNS:localhost")
            self.make("client", "/O=x/CN=client", "extendedKeyUsage=clientAuth")
        self.client_cert, self.client_key = self.path("client.pem"), self.path("client.key")
        self.server_store, self.client_store = self.path("server-store.pem"), self.path("client-store.pem")

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, words):
        subprocess.run(["openssl", *words.split()], cwd=self.folder, check=True, capture_output=True)

    def make(self, name, subject, extension):
        with open(self.path("ext"), "w") as out:
            out.write(extension + "\n")
        self.openssl(f"req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj {subject}")
        self.openssl(f"x509 -req -in {name}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile ext -out {name}.pem")
        with open(self.path(f"{name}-store.pem"), "w") as out:
            for part in [f"{name}.key", f"{name}.pem", "ca.pem"]:
                out.write(open(self.path(part)).read())


class Kafka:
    """A running Apache Kafka: one node, an authoriser that allows whatever no rule speaks of, quick cleaning."""

    def __init__(self, libs, folder=None, certificates=None, settings=()):
        self.libs = os.path.abspath(libs)
        self.folder = folder or tempfile.mkdtemp(prefix="klog-kafka-")
        self.data = os.path.join(self.folder, "kafka")
        self.certificates = certificates or Certificates(os.path.join(self.folder, "certificates"))
        self.settings = settings
        self.process = None

    def java(self, main, *arguments, stdin=b"", check=True):
        command = ["java", "-Xmx512M", "-XX:TieredStopAtLevel=1", "-cp", os.path.join(self.libs, "*"), main, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=180)
        assert not check or done.returncode == 0, (main, done.stdout.decode()[-2000:], done.stderr.decode()[-2000:])
        return done.stdout.decode()

    def start(self):
        ports = {name: free_port() for name in LISTENERS}
        control = free_port()
        for name, port in ports.items():
            setattr(self, name, f"127.0.0.1:{port}")
        listeners = f"PLAINTEXT://{self.plain},SASL_PLAINTEXT://{self.sasl},SSL://{self.tls},SASL_SSL://{self.sasl_tls}"
        jaas = "org.apache.kafka.common.security"
        lines = f"""process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{control}
listeners={listeners},CONTROLLER://127.0.0.1:{control}
advertised.listeners={listeners}
controller.listener.names=CONTROLLER
inter.broker.listener.name=PLAINTEXT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SSL:SSL,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
log.dirs={self.data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
group.consumer.min.heartbeat.interval.ms=500
group.consumer.heartbeat.interval.ms=500
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS;User:{USER};User:CN=client,O=x
log.cleaner.backoff.ms=200
log.retention.check.interval.ms=500
ssl.keystore.type=PEM
ssl.keystore.location={self.certificates.server_store}
ssl.truststore.type=PEM
ssl.truststore.location={self.certificates.ca}
ssl.client.auth=requested
"""
        for listener in ["sasl_plaintext", "sasl_ssl"]:
            lines += f'listener.name.{listener}.plain.sasl.jaas.config={jaas}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";\n'
            for mechanism in ["scram-sha-256", "scram-sha-512"]:
                lines += f"listener.name.{listener}.{mechanism}.sasl.jaas.config={jaas}.scram.ScramLoginModule required;\n"
        lines += "".join(f"{line}\n" for line in self.settings)
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w") as out:
            out.write(lines)
        scram = []
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"]:
            scram += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        self.java("kafka.tools.StorageTool", "format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", path, *scram)
        self.log = os.path.join(self.folder, "kafka.log")
        with open(self.log, "wb") as log:
            command = ["java", "-Xmx1G", "-cp", os.path.join(self.libs, "*"), "kafka.Kafka", path]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: answers(self.plain) or self.process.poll() is not None, 60, "Kafka listens")
        assert self.process.poll() is None, open(self.log).read()[-3000:]
        return self

    def stop(self):
        stop(self.process)


class Klog:
    """A klog daemon in the foreground with the same listeners, as far as the binary has them."""

    def __init__(self, klog, folder=None, certificates=None, settings=(), listeners=LISTENERS):
        self.klog = os.path.abspath(klog)
        self.folder = folder or tempfile.mkdtemp(prefix="klog-kafka-")
        self.data = os.path.join(self.folder, "klog")
        self.certificates = certificates
        self.settings = settings
        self.listeners = listeners
        self.process = None

    def start(self):
        command = [self.klog, "--data", self.data, "broker", "run"]
        ends = {"plain": "", "sasl": ",sasl", "tls": ",tls", "sasl_tls": ",tls,sasl"}
        for name in self.listeners:
            setattr(self, name, f"127.0.0.1:{free_port()}")
            command += ["--listen", getattr(self, name) + ends[name]]
        settings = list(self.settings)
        if self.certificates:
            store = self.certificates
            settings += [f"ssl.keystore.location={store.server_store}", f"ssl.truststore.location={store.ca}"]
            settings += ["ssl.client.auth=requested"]
        if "sasl" in self.listeners:
            settings += [f"super.users=User:ANONYMOUS;User:{USER};User:CN=client,O=x"]
            settings += ["allow.everyone.if.no.acl.found=true"]
        for setting in settings:
            command += ["-c", setting]
        self.log = os.path.join(self.folder, "klog.log")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: answers(self.plain) or self.process.poll() is not None, 20, "klog listens")
        assert self.process.poll() is None, open(self.log).read()[-3000:]
        if "sasl" in self.listeners:
            self.run("user", "add", USER, stdin=f"{PASSWORD}\n".encode())
        return self

    def run(self, *arguments, stdin=b"", check=True):
        command = [self.klog, "--data", self.data, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done

    def stop(self):
        stop(self.process)


def stop(process):
    if process and process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def client_world(broker, certificates, prefix, klog, scratch):
    """What a driver of tests/clients gets in KLOG_CLIENT_WORLD."""
    world = {name: getattr(broker, name, "") for name in LISTENERS}
    world.update(ca=certificates.ca, client_cert=certificates.client_cert, client_key=certificates.client_key)
    world.update(user=USER, password=PASSWORD, prefix=prefix, klog=klog, data=broker.data, scratch=scratch)
    return json.dumps(world)


def clear(folder):
    shutil.rmtree(folder, ignore_errors=True)
