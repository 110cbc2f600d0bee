"""The brokers that the clients meet: klog daemons, or Apache Kafka to see whether a scenario is right.

A place holds two brokers with the same listeners and rules whichever program serves them: an open one, and one that
demands authentication on some of its listeners. Nothing here looks at what a client does.
"""

import os
import signal
import socket
import subprocess
import time

USER, PASSWORD = "alice", "alice-secret"
CERTIFIED = "CN=client,O=klog"

# Short waits, so that what takes minutes by default is seen within seconds.
PLAIN_SETTINGS = {
    "log.cleaner.backoff.ms": "100",
    "log.retention.check.interval.ms": "500",
    "group.initial.rebalance.delay.ms": "0",
    "group.consumer.min.heartbeat.interval.ms": "300",
    "group.consumer.heartbeat.interval.ms": "300",
    "group.consumer.min.session.timeout.ms": "3000",
    "group.consumer.session.timeout.ms": "6000",
    "group.min.session.timeout.ms": "3000",
}


def until(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]
    finally:
        for probe in probes:
            probe.close()


class Certificates:
    """An authority, a server's and a client's certificate made by it, and an authority that made neither."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        self.ca, self.other_ca = self.authority("ca"), self.authority("other-ca")
        names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
        server, server_key = self.signed("server", "/CN=localhost", names + "\nextendedKeyUsage=serverAuth")
        self.client, self.client_key = self.signed("client", "/O=klog/CN=client", "extendedKeyUsage=clientAuth")
        self.keystore = self.path("keystore.pem")
        with open(self.keystore, "w") as out:
            out.write(open(server_key).read() + open(server).read() + open(self.ca).read())
        os.chmod(self.keystore, 0o600)

    def path(self, name):
        return os.path.join(self.folder, name)

    def openssl(self, *arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, (arguments, done.stderr)

    def authority(self, name):
        key, certificate = self.path(name + ".key"), self.path(name + ".pem")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl("req", "-x509", *curve, "-keyout", key, "-out", certificate, "-days", "7", "-subj", f"/CN={name}")
        return certificate

    def signed(self, name, subject, extensions):
        key, request, certificate = self.path(name + ".key"), self.path(name + ".csr"), self.path(name + ".pem")
        with open(self.path(name + ".ext"), "w") as out:
            out.write("basicConstraints=CA:FALSE\n" + extensions + "\n")
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
        self.openssl("req", "-new", *curve, "-keyout", key, "-out", request, "-subj", subject)
        authority = ["-CA", self.ca, "-CAkey", self.path("ca.key"), "-CAcreateserial"]
        extensions = ["-extfile", self.path(name + ".ext")]
        self.openssl("x509", "-req", "-in", request, *authority, "-days", "7", "-out", certificate, *extensions)
        return certificate, key


class KlogDaemon:
    """A klog daemon in the foreground, with a data folder of its own."""

    def __init__(self, klog, folder, listens, settings):
        self.klog, self.folder = klog, os.path.join(folder, "data")
        os.makedirs(folder, exist_ok=True)
        command = [klog, "--data", self.folder, "broker", "run"]
        for listen in listens:
            command += ["--listen", listen]
        for key, value in settings.items():
            command += ["-c", f"{key}={value}"]
        self.log = os.path.join(folder, "run.log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            until(self.ready, 20, "the daemon is ready")
        except AssertionError:
            self.process.kill()
            raise

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError("the daemon ended: " + open(self.log).read()[-2000:])
        return self.run("broker", "status", "-o", "json", check=False).returncode == 0

    def run(self, *arguments, stdin=b"", check=True):
        command = [self.klog, "--data", self.folder, *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=60)
        assert not check or done.returncode == 0, (arguments, done.returncode, done.stderr.decode())
        return done

    def stop(self):
        """Ends the daemon; what was wrong with it, or None."""
        ended = self.process.poll()
        if ended is not None:
            return f"the daemon ended by itself with {ended}: " + open(self.log).read()[-2000:]
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return "the daemon did not end within 30 s of SIGTERM"
        panics = [line for line in open(self.log, errors="replace") if "panicked" in line]
        if code != 0 or panics:
            return f"the daemon ended with {code}: {''.join(panics)}"
        return None


class KlogPlace:
    """The open daemon and the secured one, and what a driver must know of both."""

    def __init__(self, klog, folder, certificates):
        (plain,) = free_ports(1)
        address = f"127.0.0.1:{plain}"
        self.daemons = [KlogDaemon(klog, os.path.join(folder, "open"), [address], PLAIN_SETTINGS)]
        self.world = {"kind": "klog", "plain": address, "data": self.daemons[0].folder, "klog": klog}
        self.secured = None
        try:
            self.secure(klog, os.path.join(folder, "secured"), certificates)
        except (AssertionError, subprocess.TimeoutExpired) as wrong:
            self.secured = f"the secured daemon is not there: {wrong}"

    def secure(self, klog, folder, certificates):
        sasl, tls, both = [f"127.0.0.1:{port}" for port in free_ports(3)]
        listens = [f"SASL={sasl},sasl", f"TLS={tls},tls", f"BOTH={both},tls,sasl"]
        settings = {
            "ssl.keystore.location": certificates.keystore,
            "ssl.keystore.type": "PEM",
            "ssl.truststore.location": certificates.ca,
            "ssl.truststore.type": "PEM",
            "ssl.client.auth": "requested",
            "group.initial.rebalance.delay.ms": "0",
        }
        daemon = KlogDaemon(klog, folder, listens, settings)
        self.daemons.append(daemon)
        daemon.run("user", "add", USER, stdin=PASSWORD.encode() + b"\n")
        everyone = [f"User:{USER}", "User:ANONYMOUS", f"User:{CERTIFIED}"]
        everything = ["--topic", "*", "--group", "*", "--cluster", "--transactional-id", "*"]
        daemon.run("acl", "add", *everyone, "--allow", "all", *everything)
        daemon.run("acl", "add", "User:ANONYMOUS", "--deny", "all", "--topic", "cert-", "--prefixed")
        daemon.run("acl", "add", f"User:{USER}", "--deny", "all", "--topic", "denied-", "--prefixed")
        self.world |= {"sasl": sasl, "tls": tls, "sasl_tls": both, "secured_data": daemon.folder}

    def stop(self):
        return [wrong for wrong in (daemon.stop() for daemon in self.daemons) if wrong]


class Kafka:
    """One Apache Kafka 4.3 from its Maven artifacts."""

    def __init__(self, libs, folder, listeners, settings, scram=False):
        self.libs, self.folder, self.address = libs, folder, listeners[0][1]
        os.makedirs(folder)
        (control,) = free_ports(1)
        names = {name: protocol for name, _, protocol in listeners}
        lines = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{control}",
            "listeners": ",".join(f"{n}://{a}" for n, a, _ in listeners) + f",CONTROLLER://127.0.0.1:{control}",
            "advertised.listeners": ",".join(f"{n}://{a}" for n, a, _ in listeners),
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": listeners[0][0],
            "listener.security.protocol.map": ",".join(
                f"{name}:{protocol}" for name, protocol in [("CONTROLLER", "PLAINTEXT"), *names.items()]
            ),
            "log.dirs": os.path.join(folder, "data"),
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            **settings,
        }
        self.properties = os.path.join(folder, "server.properties")
        with open(self.properties, "w") as out:
            out.writelines(f"{key}={value}\n" for key, value in lines.items())
        users = []
        if scram:
            for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"]:
                users += ["--add-scram", f"{mechanism}=[name={USER},password={PASSWORD}]"]
        format = ["format", "--standalone", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", self.properties, *users]
        self.java("kafka.tools.StorageTool", *format)
        self.log = os.path.join(folder, "kafka.log")
        with open(self.log, "wb") as log:
            command = ["java", "-Xmx768M", "-cp", os.path.join(libs, "*"), "kafka.Kafka", self.properties]
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def java(self, main, *arguments):
        command = ["java", "-Xmx256M", "-cp", os.path.join(self.libs, "*"), main, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, (main, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def started(self):
        assert self.process.poll() is None, open(self.log).read()[-3000:]
        host, port = self.address.split(":")
        with socket.socket() as probe:
            return probe.connect_ex((host, int(port))) == 0

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()


class KafkaPlace:
    """Apache Kafka in klog's stead: what fails here too is a wrong scenario."""

    def __init__(self, klog, libs, folder, certificates):
        plain, sasl, tls, both, inner = [f"127.0.0.1:{port}" for port in free_ports(5)]
        jaas = "org.apache.kafka.common.security"
        users = f'user_{USER}="{PASSWORD}" user_admin="admin-secret" username="admin" password="admin-secret"'
        settings = {
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:admin",
            "early.start.listeners": "CONTROLLER",
            "ssl.keystore.location": certificates.keystore,
            "ssl.keystore.type": "PEM",
            "ssl.truststore.location": certificates.ca,
            "ssl.truststore.type": "PEM",
            "ssl.client.auth": "requested",
            "group.initial.rebalance.delay.ms": "0",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
        }
        for name in ["sasl", "both", "inner", "controller"]:
            key = f"listener.name.{name}.plain.sasl.jaas.config"
            settings[key] = f"{jaas}.plain.PlainLoginModule required {users};"
            for mechanism in ["scram-sha-256", "scram-sha-512"]:
                key = f"listener.name.{name}.{mechanism}.sasl.jaas.config"
                settings[key] = f"{jaas}.scram.ScramLoginModule required;"
        listeners = [
            ("INNER", inner, "SASL_PLAINTEXT"),
            ("SASL", sasl, "SASL_PLAINTEXT"),
            ("TLS", tls, "SSL"),
            ("BOTH", both, "SASL_SSL"),
        ]
        settings["listener.security.protocol.map"] = ",".join(
            ["CONTROLLER:SASL_PLAINTEXT", *(f"{name}:{protocol}" for name, _, protocol in listeners)]
        )
        open_folder, secured_folder = os.path.join(folder, "open"), os.path.join(folder, "secured")
        self.brokers = [Kafka(libs, open_folder, [("PLAIN", plain, "PLAINTEXT")], PLAIN_SETTINGS)]
        try:
            self.brokers.append(Kafka(libs, secured_folder, listeners, settings, scram=True))
            for broker in self.brokers:
                until(broker.started, 60, "Kafka has started")
            self.rules(inner)
        except BaseException:
            self.stop()
            raise
        self.secured = None
        self.world = {"kind": "kafka", "plain": plain, "sasl": sasl, "tls": tls, "sasl_tls": both, "klog": klog}
        self.world |= {"data": os.path.join(open_folder, "data"), "secured_data": os.path.join(secured_folder, "data")}

    def rules(self, inner):
        secured = self.brokers[1]
        admin = os.path.join(secured.folder, "admin.properties")
        with open(admin, "w") as out:
            out.write("security.protocol=SASL_PLAINTEXT\nsasl.mechanism=PLAIN\n")
            out.write("sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required ")
            out.write('username="admin" password="admin-secret";\n')

        def add(*arguments):
            tool = ["--bootstrap-server", inner, "--command-config", admin, "--add", "--force"]
            secured.java("org.apache.kafka.tools.AclCommand", *tool, *arguments)

        everyone = []
        for principal in [USER, "ANONYMOUS", CERTIFIED]:
            everyone += ["--allow-principal", f"User:{principal}"]
        everything = ["--topic", "*", "--group", "*", "--cluster", "--transactional-id", "*"]
        add(*everyone, "--operation", "all", *everything)
        prefixed = ["--operation", "all", "--resource-pattern-type", "prefixed"]
        add("--deny-principal", "User:ANONYMOUS", *prefixed, "--topic", "cert-")
        add("--deny-principal", f"User:{USER}", *prefixed, "--topic", "denied-")

    def stop(self):
        for broker in self.brokers:
            broker.stop()
        return []


class GivenPlace:
    """A broker that somebody else runs, without the secured listeners."""

    def __init__(self, klog, address):
        self.world = {"kind": "given", "plain": address, "data": None, "klog": klog}
        self.secured = "a given broker has no secured listeners that the suite knows"

    def stop(self):
        return []
