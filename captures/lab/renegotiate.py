"""Renegotiations on one machine: servers by OpenSSL, NSS and JSSE that renegotiate with the same certificate, a renewed
one of equal length, or one of other names.

    sudo python3 captures/lab/renegotiate.py FOLDER

records all of them into FOLDER, on loopback, a port for each: ``renegotiations.pcap``, the clients' key log, the
servers' RSA keys, and ``renegotiations.jsonl`` with what each port was. Needs root, tcpdump, openssl, gcc with the
headers of OpenSSL and NSS, NSS's tools, and a JDK of 17 or later.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
NAME, PASSWORD = "puppetdb.example.com", "changeit"
FIRST_PORT = 9001
CERTIFICATES = {
    "same": ("puppetdb1.example.com", ("puppetdb1.example.com",), "0x11" + "22" * 15),
    "renewed": ("puppetdb1.example.com", ("puppetdb1.example.com",), "0x33" + "44" * 15),
    "other": (
        "puppetdb2.example.com",
        ("puppetdb2.example.com", NAME, "puppetdb-replica.example.com"),
        "0x55" + "66" * 15,
    ),
}
"""Common name, DNS names, serial. ``same`` is what every connection begins with."""

OPENSSL = {
    "gcm": ("ECDHE-RSA-AES128-GCM-SHA256", ()),
    "cbc-etm": ("ECDHE-RSA-AES256-SHA384", ()),
    "cbc": ("ECDHE-RSA-AES128-SHA", ("-no_etm",)),
    "chacha20": ("ECDHE-RSA-CHACHA20-POLY1305", ()),
    "ccm": ("AES128-CCM", ()),
    "ccm8": ("AES256-CCM8", ()),
    "rsa-cbc": ("AES256-SHA256", ()),
    "ecdsa": ("ECDHE-ECDSA-AES256-GCM-SHA384", ()),
}
"""OpenSSL's name of a suite, and options of the client."""

COMMON = {
    "gcm": ("ECDHE-RSA-AES128-GCM-SHA256", "c02f", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"),
    "cbc": ("ECDHE-RSA-AES128-SHA", "c013", "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA"),
    "chacha20": ("ECDHE-RSA-CHACHA20-POLY1305", "cca8", "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256"),
}
"""The same suites by OpenSSL, NSS and Java."""

JAVA = {
    "gcm": "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "rsa-cbc": "TLS_RSA_WITH_AES_128_CBC_SHA256",
    "rsa-gcm": "TLS_RSA_WITH_AES_256_GCM_SHA384",
}
NO_EMS = (
    "-Djdk.tls.useExtendedMasterSecret=false",
    "-Djdk.tls.server.enableSessionTicketExtension=false",
    "-Djdk.tls.client.enableSessionTicketExtension=false",
)
NICKNAMES = {"same": "puppetdb1", "renewed": "puppetdb1+", "other": "puppetdb2"}
PROGRAMS = ("tcpdump", "openssl", "gcc", "pkg-config", "certutil", "pk12util", "java", "javac", "keytool")


class Case(NamedTuple):
    """One server, its suite, and what it renegotiates with. ``client``: ``s_client`` or ``java``."""

    server: str
    suite: str
    change: str
    client: str = "s_client"


def cases() -> Iterator[Case]:
    """All of them, in the order of their ports."""
    for suite in OPENSSL:
        yield from (Case("openssl", suite, change) for change in CERTIFICATES)
    yield Case("openssl", "gcm", "abbreviated")
    for server in ("nss", "jsse"):
        yield from (Case(server, suite, change) for suite in COMMON for change in CERTIFICATES)
    for suite in JAVA:
        yield from (Case("jsse", suite, change, "java") for change in ("renewed", "other"))


def run(folder: Path, *words: str) -> None:
    """A command that must work."""
    subprocess.run(words, cwd=folder, check=True, capture_output=True)


def prepare(folder: Path) -> None:
    """Certificates in all forms, and the servers built."""
    run(
        folder,
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        "ca.key",
        "-out",
        "ca.crt",
        "-days",
        "3650",
        "-subj",
        "/CN=Puppet CA: ca.example.com",
    )
    run(
        folder,
        "keytool",
        "-importcert",
        "-noprompt",
        "-file",
        "ca.crt",
        "-keystore",
        "trust.p12",
        "-storepass",
        PASSWORD,
        "-storetype",
        "PKCS12",
        "-alias",
        "ca",
    )
    (folder / "nss").mkdir()
    run(folder, "certutil", "-N", "-d", "nss", "--empty-password")
    run(folder, "certutil", "-A", "-d", "nss", "-n", "ca", "-t", "CT,,", "-i", "ca.crt")
    for kind, words in {"rsa": ("rsa:2048",), "ecdsa": ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")}.items():
        for change, (common_name, names, serial) in CERTIFICATES.items():
            file = f"{kind}-{change}"
            run(
                folder,
                "openssl",
                "req",
                "-new",
                "-newkey",
                *words,
                "-nodes",
                "-keyout",
                f"{file}.key",
                "-out",
                f"{file}.csr",
                "-subj",
                f"/CN={common_name}",
            )
            (folder / "names").write_text("subjectAltName=" + ",".join(f"DNS:{name}" for name in names) + "\n")
            signed = (
                "-CA",
                "ca.crt",
                "-CAkey",
                "ca.key",
                "-set_serial",
                serial,
                "-days",
                "1825",
                "-extfile",
                "names",
                "-out",
                f"{file}.crt",
            )
            run(folder, "openssl", "x509", "-req", "-in", f"{file}.csr", *signed)
            (folder / f"{file}.pem").write_text(
                "".join((folder / part).read_text() for part in (f"{file}.key", f"{file}.crt", "ca.crt"))
            )
            if kind == "rsa":
                store = (
                    "-inkey",
                    f"{file}.key",
                    "-certfile",
                    "ca.crt",
                    "-name",
                    change,
                    "-out",
                    f"{change}.p12",
                    "-passout",
                    f"pass:{PASSWORD}",
                )
                run(folder, "openssl", "pkcs12", "-export", "-in", f"{file}.crt", *store)
                into = (
                    "-destkeystore",
                    "store.p12",
                    "-deststorepass",
                    PASSWORD,
                    "-deststoretype",
                    "PKCS12",
                    "-noprompt",
                )
                run(
                    folder,
                    "keytool",
                    "-importkeystore",
                    "-srckeystore",
                    f"{change}.p12",
                    "-srcstorepass",
                    PASSWORD,
                    *into,
                )
                friendly = (
                    "-inkey",
                    f"{file}.key",
                    "-name",
                    NICKNAMES[change].rstrip("+"),
                    "-out",
                    "nss.p12",
                    "-passout",
                    f"pass:{PASSWORD}",
                )
                run(folder, "openssl", "pkcs12", "-export", "-in", f"{file}.crt", *friendly)
                run(folder, "pk12util", "-i", "nss.p12", "-d", "nss", "-W", PASSWORD)
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "nss"], check=True, capture_output=True, text=True
    ).stdout.split()
    run(folder, "gcc", "-o", "openssl_server", str(HERE / "renegotiate_openssl.c"), "-lssl", "-lcrypto")
    run(folder, "gcc", "-o", "nss_server", str(HERE / "renegotiate_nss.c"), *flags)
    run(folder, "javac", "-d", ".", str(HERE / "RenegotiatingBackEnd.java"), str(HERE / "Client.java"))
    (folder / "java.security").write_text(
        "jdk.tls.disabledAlgorithms=SSLv3, RC4\n"
    )  # RSA key exchange is off by default


def java(*words: str) -> list[str]:
    """A Java program of the folder."""
    return ["java", "-Djava.security.properties=java.security", *words[:-1], *words[-1].split()]


def server_of(case: Case, port: int) -> list[str]:
    """The command of a server."""
    if case.server == "openssl":
        kind = "ecdsa" if case.suite == "ecdsa" else "rsa"
        change = "same" if case.change == "abbreviated" else case.change
        return [
            "./openssl_server",
            str(port),
            OPENSSL[case.suite][0],
            f"{kind}-same.pem",
            f"{kind}-{change}.pem",
            *(["resume"] if case.change == "abbreviated" else []),
        ]
    if case.server == "nss":
        return ["./nss_server", str(port), COMMON[case.suite][1], "nss", NICKNAMES["same"], NICKNAMES[case.change]]
    if case.client == "java":
        return java(*NO_EMS, f"-cp . RenegotiatingBackEnd {port} {JAVA[case.suite]} store.p12 same {case.change} 2 1")
    return java(f"-cp . RenegotiatingBackEnd {port} {COMMON[case.suite][2]} store.p12 same {case.change} 1 0")


def s_client(folder: Path, case: Case, port: int) -> bool:
    """OpenSSL's client; whether it got an answer. JSSE takes a second line to renegotiate."""
    cipher, options = OPENSSL[case.suite] if case.server == "openssl" else (COMMON[case.suite][0], ("-no_ticket",))
    words = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{port}",
        "-tls1_2",
        "-cipher",
        cipher,
        "-servername",
        NAME,
        "-keylogfile",
        "renegotiations.keylog",
        "-quiet",
        *options,
    ]
    with subprocess.Popen(
        words, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as client:
        assert client.stdin is not None
        for pause in (0.3, 0.7) if case.server == "jsse" else (0.3,):
            time.sleep(pause)
            client.stdin.write(b"GET /\n")
            client.stdin.flush()
        return b"done" in client.communicate(timeout=10)[0]


def java_client(folder: Path, port: int) -> list[object]:
    """Two connections by JSSE, the second one of a resumed session; its own account of them."""
    trust = (
        "-Djavax.net.ssl.trustStore=trust.p12",
        f"-Djavax.net.ssl.trustStorePassword={PASSWORD}",
        "-Djdk.tls.client.protocols=TLSv1.2",
    )
    words = java(*NO_EMS, *trust, f"-cp . Client {NAME} 127.0.0.1 {port} 2 100")
    done = subprocess.run(words, cwd=folder, check=True, capture_output=True, timeout=60)
    return [json.loads(line) for line in done.stdout.splitlines()]


def record(folder: Path) -> None:
    """Everything, into an empty folder."""
    prepare(folder)
    every = list(cases())
    ports = f"tcp portrange {FIRST_PORT}-{FIRST_PORT + len(every) - 1}"
    with subprocess.Popen(
        ["tcpdump", "-i", "lo", "-s0", "-U", "-w", "renegotiations.pcap", ports], cwd=folder, stderr=subprocess.DEVNULL
    ) as capturing:
        time.sleep(1)
        rows = []
        for port, case in enumerate(every, FIRST_PORT):
            with subprocess.Popen(
                server_of(case, port), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as server:
                time.sleep(1.5 if case.server == "jsse" else 0.4)
                told = java_client(folder, port) if case.client == "java" else s_client(folder, case, port)
                server.wait(timeout=20)
            rows.append({"port": port, **case._asdict(), "told": told})
            print(json.dumps(rows[-1]))
        time.sleep(1)
        capturing.terminate()
    (folder / "renegotiations.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    lacks = [program for program in PROGRAMS if shutil.which(program) is None]
    if lacks:
        raise SystemExit(f"this needs {', '.join(lacks)}")
    folder.mkdir(parents=True)
    record(folder.resolve())


if __name__ == "__main__":
    main()
