"""The fault on one machine: namespaces, HAProxy in TCP mode, three back ends with certificates of their own (nginx,
OpenSSL, JSSE), and a Java client.

    sudo python3 captures/lab/lab.py FOLDER [--connections 40] [--pause 50] [--ems] [--shared-name]
        [--persistence source] [--tickets]

records the client's side into FOLDER: ``capture.pcap``, the client's own account as ``client.jsonl``, HAProxy's log.
Nothing of it stays on the machine. Needs root, ip, tcpdump, haproxy, nginx, openssl and a JDK of 17 or later.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID
from persistence import PERSISTENCE, RANDOM

HERE = Path(__file__).parent
NAME, PORT = "puppetdb.example.com", 8081
CLIENT, VIP = "10.99.0.10", "10.99.0.100"
BALANCER, SERVERS = "10.99.1.1", ("10.99.1.11", "10.99.1.12", "10.99.1.13")
PASSWORD = "changeit"
PROGRAMS = {
    "ip": "iproute2",
    "haproxy": "haproxy",
    "nginx": "nginx-light",
    "openssl": "openssl",
    "java": "openjdk-17-jdk-headless",
    "javac": "openjdk-17-jdk-headless",
    "keytool": "openjdk-17-jdk-headless",
}
READY_SECONDS = 20.0
TLS12 = ("-Djdk.tls.client.protocols=TLSv1.2",)
NO_EMS = (*TLS12, "-Djdk.tls.useExtendedMasterSecret=false")
"""Options of a JVM."""


class Pool(NamedTuple):
    """How the pool is made. ``shared_name``: one name in all certificates. ``balance``: lines of HAProxy's.
    ``has_tls13``: beside TLS 1.2. ``has_tickets``: sessions are kept by the client, in tickets. ``lacks_ems``: the
    third back end is without. ``is_one_down``: the second is not there, and HAProxy, which does not look, sends
    clients to it.
    """

    shared_name: bool = False
    balance: str = RANDOM
    has_tls13: bool = False
    has_tickets: bool = False
    lacks_ems: bool = False
    is_one_down: bool = False


PLAIN = Pool()


def missing(more: Sequence[str] = ()) -> list[str]:
    """What the lab needs and this machine lacks; ``more``: further programs."""
    lacks = [
        f"{program} (Debian: {PROGRAMS.get(program, program)})"
        for program in (*PROGRAMS, *more)
        if shutil.which(program) is None
    ]
    if os.geteuid() != 0:
        lacks.append("root")
    elif not lacks and subprocess.run(["ip", "netns", "list"], capture_output=True, check=False).returncode:
        lacks.append("network namespaces")
    return lacks


class Lab:
    """A built lab. ``client``: the namespace of the client, in which ``client_interface`` is the one
    towards the VIP.
    """

    def __init__(self, folder: Path, pool: Pool = PLAIN) -> None:
        self.folder = folder
        self.pool = pool
        self.client, self.balancer, self.servers = (f"lab{os.getpid()}{part}" for part in ("c", "b", "s"))
        self.client_interface = "vip0"
        self._processes: list[subprocess.Popen[bytes]] = []

    def inside(self, namespace: str, words: Sequence[str]) -> list[str]:
        """A command as it is run in a namespace."""
        return ["ip", "netns", "exec", namespace, *words]

    def build(self) -> None:
        """Namespaces, certificates, back ends, balancer; ready when this returns. Raises subprocess.CalledProcessError
        or TimeoutError.
        """
        for namespace in (self.client, self.balancer, self.servers):
            _run("ip", "netns", "add", namespace)
            _run(*self.inside(namespace, ["ip", "link", "set", "lo", "up"]))
        self._cable(self.client, "vip0", [f"{CLIENT}/24"], self.balancer, "vip1", [f"{VIP}/24"])
        self._cable(
            self.balancer, "pool0", [f"{BALANCER}/24"], self.servers, "pool1", [f"{server}/24" for server in SERVERS]
        )
        self._certificates()
        _run("javac", "--release", "11", "-d", str(self.folder), str(HERE / "Client.java"))
        self._nginx()
        if not self.pool.is_one_down:
            self._openssl()
        self._jsse()
        self._haproxy()
        for server in SERVERS[:: 2 if self.pool.is_one_down else 1]:
            self._await(self.servers, server)
        self._await(self.client, VIP)

    def _cable(self, one: str, here: str, ours: list[str], other: str, there: str, theirs: list[str]) -> None:
        _run("ip", "link", "add", here, "netns", one, "type", "veth", "peer", "name", there, "netns", other)
        for namespace, interface, addresses in ((one, here, ours), (other, there, theirs)):
            for address in addresses:
                _run(*self.inside(namespace, ["ip", "address", "add", address, "dev", interface]))
            _run(*self.inside(namespace, ["ip", "link", "set", interface, "up"]))

    def _certificates(self) -> None:
        """A CA, a certificate for each back end, and the key stores that Java wants."""
        key = rsa.generate_private_key(65537, 2048)
        authority = _certificate("Puppet CA: ca.example.com", [], key, None)
        _pem(self.folder / "ca.pem", authority)
        for number in range(1, 4):
            private = rsa.generate_private_key(65537, 2048)
            name = f"puppetdb{number}.example.com"
            certificate = _certificate(
                name, [name, *([NAME] if self.pool.shared_name else [])], private, (authority, key)
            )
            _pem(self.folder / f"puppetdb{number}.pem", certificate)
            _key(self.folder / f"puppetdb{number}.key", private)
        _run(
            "keytool",
            "-importcert",
            "-noprompt",
            "-alias",
            "ca",
            "-file",
            f"{self.folder}/ca.pem",
            "-keystore",
            f"{self.folder}/trust.p12",
            "-storepass",
            PASSWORD,
        )
        own = f"{self.folder}/puppetdb3"
        _run(
            "openssl",
            "pkcs12",
            "-export",
            "-in",
            f"{own}.pem",
            "-inkey",
            f"{own}.key",
            "-out",
            f"{own}.p12",
            "-passout",
            f"pass:{PASSWORD}",
        )

    def _start(self, namespace: str, *words: str, log: str = "") -> subprocess.Popen[bytes]:
        with open(self.folder / (log or f"{len(self._processes)}-{Path(words[0]).name}.log"), "wb") as out:
            process = subprocess.Popen(
                self.inside(namespace, words),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def _nginx(self) -> None:
        (self.folder / "nginx.conf").write_text(
            f"""daemon off; user root; pid {self.folder}/nginx.pid; error_log {self.folder}/nginx-error.log;
events {{ }}
http {{
  access_log off;
  server {{
    listen {SERVERS[0]}:{PORT} ssl;
    ssl_certificate {self.folder}/puppetdb1.pem; ssl_certificate_key {self.folder}/puppetdb1.key;
    ssl_protocols TLSv1.2{" TLSv1.3" if self.pool.has_tls13 else ""};
    ssl_session_cache shared:lab:1m; ssl_session_tickets {"on" if self.pool.has_tickets else "off"};
    keepalive_timeout 0;
    location / {{ return 200 "hello\\n"; }}
  }}
}}
"""
        )
        self._start(self.servers, "nginx", "-c", f"{self.folder}/nginx.conf", "-p", str(self.folder))

    def _openssl(self) -> None:
        own = f"{self.folder}/puppetdb2"
        self._start(
            self.servers,
            "openssl",
            "s_server",
            "-accept",
            f"{SERVERS[1]}:{PORT}",
            "-cert",
            f"{own}.pem",
            "-key",
            f"{own}.key",
            *(() if self.pool.has_tls13 else ("-tls1_2",)),
            *(() if self.pool.has_tickets else ("-no_ticket",)),
            "-www",
            "-quiet",
        )

    def _jsse(self) -> None:
        own = f"{self.folder}/puppetdb3.p12"
        options = [
            f"-Djavax.net.ssl.keyStore={own}",
            f"-Djavax.net.ssl.keyStorePassword={PASSWORD}",
            f"-Djdk.tls.server.protocols=TLSv1.2{',TLSv1.3' if self.pool.has_tls13 else ''}",
            f"-Djdk.tls.useExtendedMasterSecret={'false' if self.pool.lacks_ems else 'true'}",
            f"-Djdk.tls.server.enableSessionTicketExtension={'true' if self.pool.has_tickets else 'false'}",
            "-Xmx128m",
        ]
        self._start(self.servers, "java", *options, str(HERE / "BackEnd.java"), SERVERS[2], str(PORT))

    def _haproxy(self) -> None:
        servers = "\n".join(f"  server puppetdb{number} {address}:{PORT}" for number, address in enumerate(SERVERS, 1))
        (self.folder / "haproxy.cfg").write_text(
            f"""global
  log stdout format raw local0
defaults
  mode tcp
  option tcplog
  log global
  timeout connect 5s
  timeout client 30s
  timeout server 30s
  retries {0 if self.pool.is_one_down else 3}
listen puppetdb
  bind {VIP}:{PORT}
{textwrap.indent(self.pool.balance, "  ")}
{servers}
"""
        )
        self._start(self.balancer, "haproxy", "-db", "-f", f"{self.folder}/haproxy.cfg", log="haproxy.log")

    def _await(self, namespace: str, address: str) -> None:
        """Wait until something listens."""
        probe = f"import socket; socket.create_connection(('{address}', {PORT}), 1).close()"
        until = time.monotonic() + READY_SECONDS
        while subprocess.run(
            self.inside(namespace, [sys.executable, "-c", probe]), capture_output=True, check=False
        ).returncode:
            if time.monotonic() > until:
                raise TimeoutError(f"nothing answers at {address}:{PORT}; see the logs in {self.folder}")
            time.sleep(0.2)

    def client_command(
        self, count: int, pause_ms: int, options: Sequence[str] = NO_EMS, java: str = "java"
    ) -> list[str]:
        """The Java client, to be run in its namespace. ``options``: of its JVM. ``java``: which JVM, of 11 or later."""
        trust = [
            f"-Djavax.net.ssl.trustStore={self.folder}/trust.p12",
            f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
            "-Xmx128m",
        ]
        words = ["-cp", str(self.folder), "Client", NAME, VIP, str(PORT), str(count), str(pause_ms)]
        return self.inside(self.client, [java, *trust, *options, *words])

    @contextlib.contextmanager
    def recorded(self, path: Path) -> Iterator[None]:
        """Meanwhile tcpdump writes what passes on the client's side."""
        words = ["tcpdump", "-i", self.client_interface, "-U", "-s0", "-Z", "root", "-w", str(path), f"tcp port {PORT}"]
        capture = subprocess.Popen(self.inside(self.client, words), stderr=subprocess.PIPE)
        assert capture.stderr is not None
        capture.stderr.readline()  # it listens
        try:
            yield
            time.sleep(1)  # what comes last is written too
        finally:
            capture.send_signal(signal.SIGINT)
            capture.communicate(timeout=10)

    def destroy(self) -> None:
        """Take everything away again."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        for namespace in (self.client, self.balancer, self.servers):
            subprocess.run(["ip", "netns", "delete", namespace], capture_output=True, check=False)


@contextlib.contextmanager
def lab(pool: Pool = PLAIN) -> Iterator[Lab]:
    """A lab that is taken away again, whatever happens."""
    with tempfile.TemporaryDirectory(prefix="inspector-lab-") as folder:
        built = Lab(Path(folder), pool)
        try:
            built.build()
            yield built
        finally:
            built.destroy()


def _run(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)


def _certificate(
    name: str, dns: list[str], key: rsa.RSAPrivateKey, issuer: tuple[x509.Certificate, rsa.RSAPrivateKey] | None
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
    )
    builder = (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1825))
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
    if dns:
        builder = builder.add_extension(
            x509.SubjectAlternativeName([x509.DNSName(entry) for entry in dns]), critical=False
        )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256())


def _pem(path: Path, certificate: x509.Certificate) -> None:
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _key(path: Path, key: rsa.RSAPrivateKey) -> None:
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


def refusal(folder: Path) -> str:
    """Why nothing can be recorded into a folder, which is made where it is not there; nothing where it can."""
    if lacks := missing(["tcpdump"]):
        return f"the lab needs, and did not find: {', '.join(lacks)}"
    folder.mkdir(parents=True, exist_ok=True)
    return f"{folder} is not empty: recordings are never written over" if any(folder.iterdir()) else ""


def main() -> int:
    """Record one capture; the exit status."""
    parser = argparse.ArgumentParser(description="Record the fault: HAProxy, three back ends, a Java client.")
    parser.add_argument("folder", type=Path, help="where the capture and the client's account go; must be new or empty")
    parser.add_argument("--connections", type=int, default=40)
    parser.add_argument("--pause", type=int, default=50, metavar="MS", help="between two connections")
    parser.add_argument("--ems", action="store_true", help="leave extended master secret on: no fault")
    parser.add_argument("--shared-name", action="store_true", help="one name in all certificates: no fault")
    parser.add_argument(
        "--persistence", choices=PERSISTENCE, default="none", help="how HAProxy keeps a client at a back end"
    )
    parser.add_argument("--tickets", action="store_true", help="back ends that give session tickets")
    options = parser.parse_args()
    if why := refusal(options.folder):
        print(why, file=sys.stderr)
        return 2
    balance = PERSISTENCE[options.persistence]
    with lab(Pool(options.shared_name, balance, has_tickets=options.tickets)) as built:
        with built.recorded(options.folder / "capture.pcap"):
            account = subprocess.run(
                built.client_command(options.connections, options.pause, TLS12 if options.ems else NO_EMS),
                stdout=subprocess.PIPE,
                check=True,
            ).stdout
        (options.folder / "client.jsonl").write_bytes(account)
        shutil.copy(built.folder / "haproxy.log", options.folder)
    aborted = sum(b'"outcome":"aborted"' in line for line in account.splitlines())
    print(
        f"{options.connections} connections, {aborted} aborted by the client: inspector {options.folder}/capture.pcap"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
