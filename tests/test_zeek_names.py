"""Names of certificates as Zeek has them: held against OpenSSL, which writes Zeek's, and against Zeek's rule for whose
name a certificate is.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.findings.judge import judge
from inspector.reports.zeek.host_names import is_for_host, is_name_of
from inspector.reports.zeek.openssl_names import SHORT_NAMES, rfc2253
from inspector.tls.x509.certificate import read_certificate
from tests import der as d
from tests.build import Pool, facts_of, numbered, written
from tests.test_ecs import connections
from tests.test_zeek_logs import logs_of

NUMERIC, BITS = 0x12, 0x03
UNKNOWN = "1.3.6.1.4.1.99999.1"

NAMES: dict[str, bytes] = {
    "all attributes": d.name(*((oid, d.UTF8, f"v{n}".encode()) for n, oid in enumerate(SHORT_NAMES))),
    "an unknown attribute": d.name((UNKNOWN, d.UTF8, b"x"), (d.CN, d.UTF8, b"y")),
    "several of one": d.seq(d.tlv(0x31, *(d.seq(d.oid(kind), d.tlv(d.UTF8, b"x")) for kind in ("2.5.4.11", d.CN)))),
    "special characters": d.name((d.CN, d.UTF8, b'a,b+c"d\\e<f>g;h=i#j/k')),
    "a hash first": d.name((d.CN, d.UTF8, b"#a#")),
    "spaces": d.name((d.CN, d.UTF8, b"  a  b  ")),
    "one space": d.name((d.CN, d.UTF8, b" ")),
    "empty": d.name((d.CN, d.UTF8, b"")),
    "control characters": d.name((d.CN, d.UTF8, b"a\x00\x07\n\x1b[2J\x7f ")),
    "beyond ASCII": d.name((d.CN, d.UTF8, "é\u202e\U000e0041".encode())),
    "PrintableString": d.name((d.CN, d.PRINTABLE, b"a b")),
    "T61String": d.name((d.CN, d.T61, b"\xe9\x9b")),
    "IA5String": d.name((d.EMAIL, d.IA5, b"a@example.com")),
    "NumericString": d.name((d.CN, NUMERIC, b"12 3")),
    "BMPString": d.name((d.CN, d.BMP, "aé€".encode("utf-16-be"))),
    "UniversalString": d.name((d.CN, d.UNIVERSAL, "a€\U0001f600".encode("utf-32-be"))),
    "no string": d.name((d.CN, BITS, b"\0\x02")),
}


@pytest.mark.parametrize("name", NAMES)
def test_names_are_openssls(name: str, tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("there is no openssl")
    data = d.certificate(subject=NAMES[name])
    (tmp_path / "c.der").write_bytes(data)
    command = [
        openssl,
        "x509",
        "-inform",
        "DER",
        "-in",
        str(tmp_path / "c.der"),
        "-noout",
        "-subject",
        "-nameopt",
        "RFC2253",
    ]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    subject = read_certificate(data).subject
    assert subject is not None
    assert f"subject={rfc2253(subject)}\n" == said


OF_HOSTS = {
    ("db1.example.com", "db1.example.com"): True,
    ("db1.example.com", "DB1.example.com"): False,
    ("db1.example.com", "*.example.com"): True,
    ("db1.example.com", "db*.example.com"): True,
    ("db1.example.com", "dc*.example.com"): False,
    ("db1.example.com", "*b1.example.com"): False,
    ("db1.example.com", "**.example.com"): False,
    ("db1.example.com", "*.*.com"): False,
    ("db1.example.com", "*"): False,
    ("db1.example.com", "db1.*.com"): False,
    ("a.db1.example.com", "*.example.com"): False,
    ("a.db1.example.com", "a.*.example.com"): False,
    ("example.com", "*.com"): False,
    ("example.com", "*.example.com"): False,
    ("com", "*.example.com"): False,
    ("", ""): True,
}


@pytest.mark.parametrize(("host", "name"), OF_HOSTS)
def test_whose_name_it_is(host: str, name: str) -> None:
    assert is_name_of(host, name) is OF_HOSTS[host, name]


CERTIFICATES = {
    "a name of several": (d.certificate(d.names(d.dns("a.example.com"), d.dns("b.example.com"))), True),
    "of others": (d.certificate(d.names(d.dns("a.example.com"))), False),
    "the common name": (d.certificate(subject=d.common_name("b.example.com")), True),
    "the last common name": (
        d.certificate(subject=d.name((d.CN, d.UTF8, b"a.example.com"), (d.CN, d.UTF8, b"b.example.com"))),
        True,
    ),
    "not the first one": (
        d.certificate(subject=d.name((d.CN, d.UTF8, b"b.example.com"), (d.CN, d.UTF8, b"a.example.com"))),
        False,
    ),
    "the common name beside others": (
        d.certificate(d.names(d.dns("a.example.com")), subject=d.common_name("b.example.com")),
        False,
    ),
    "the common name beside what is no DNS name": (
        d.certificate(d.names(d.tlv(0x81, b"a@example.com")), subject=d.common_name("b.example.com")),
        False,
    ),
    "no name at all": (d.certificate(subject=d.seq()), False),
}


@pytest.mark.parametrize("name", CERTIFICATES)
def test_whose_certificate_it_is(name: str) -> None:
    data, expected = CERTIFICATES[name]
    assert is_for_host(read_certificate(data), "b.example.com") is expected


def test_numbers_that_nobody_can_count_are_left_out(tmp_path: Path) -> None:
    rsa = d.seq(
        d.seq(d.oid("1.2.840.113549.1.1.1"), d.tlv(5)), d.tlv(3, b"\0" + d.seq(d.num(1 << 2047), d.num(1 << 20_000)))
    )
    constraints = d.extension(d.BASIC_CONSTRAINTS, d.seq(d.tlv(1, b"\xff"), d.num(-1)))
    pool = Pool()
    pool.full(d.certificate(constraints, public_key=rsa, version=d.tlv(0xA0, d.num(7))), numbered(1))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    (row,) = logs_of(analysis, tmp_path / "logs")["x509"]
    assert (row["certificate.version"], row["certificate.exponent"]) == (None, None)
    assert (row["basic_constraints.ca"], row["basic_constraints.path_len"]) == (True, None)
    (event,) = connections(analysis)
    x509 = event["tls"]["server"]["x509"]
    assert (x509["public_key_algorithm"], "public_key_exponent" in x509, "version_number" in x509) == (
        "RSA",
        False,
        False,
    )


def test_fields_of_a_certificate(tmp_path: Path) -> None:
    pool = Pool(name="a.example.com")
    constraints = d.extension(d.BASIC_CONSTRAINTS, d.seq(d.tlv(1, b"\xff"), d.num(3)))
    general = (d.dns("a.example.com"), d.tlv(0x81, b"a@example.com"), d.tlv(0x86, b"http://example.com/x"))
    pool.full(d.certificate(d.names(*general), constraints, serial=d.num(0x23A69)), numbered(1))
    pool.full(d.certificate(d.extension(d.BASIC_CONSTRAINTS, d.seq()), serial=d.num(-1)), numbered(2))
    logs = logs_of(judge(facts_of(written(tmp_path, pool.flows))), tmp_path / "logs")
    first, second = logs["x509"]
    assert (first["certificate.serial"], second["certificate.serial"]) == ("023A69", "-01")
    assert (first["san.email"], first["san.uri"]) == (["a@example.com"], ["http://example.com/x"])
    assert (first["basic_constraints.ca"], first["basic_constraints.path_len"]) == (True, 3)
    assert (second["basic_constraints.ca"], second["basic_constraints.path_len"]) == (False, None)
    assert first["certificate.version"] == 3
    assert [row["sni_matches_cert"] for row in logs["ssl"]] == [True, False]
