"""The decision table and the identity rule, cell by cell; names compared with a real X500Principal where Java is
installed.
"""

from __future__ import annotations

import itertools
import shutil
import subprocess
from pathlib import Path

import pytest

from inspector.findings.jsse import Generation, Offer, decide, equivalence
from inspector.tls.x509.distinguished_names import canonical
from inspector.tracking.certificates import Identity, parse
from tests.build import certificate
from tests.waiting import COMMAND_SECONDS

BASE = {
    "is_tls13": False,
    "offered": True,
    "resumed": False,
    "extended_master_secret": False,
    "issued": True,
    "resumed_before": True,
    "equivalent": False,
    "gave_up": False,
}


def offer(**changes: bool | None) -> Offer:
    return Offer(**{**BASE, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "verdict", "row"),
    [
        ({"is_tls13": True}, "accepts", 1),
        ({"resumed": True}, "accepts", 2),
        ({"extended_master_secret": True}, "accepts", 3),
        ({"resumed_before": False}, "accepts", 4),
        ({"equivalent": True}, "accepts", 5),
        ({}, "aborts", 6),
        ({"gave_up": True}, "aborts", 6),
        ({"offered": False}, "accepts", 7),
        ({"issued": False, "resumed_before": None}, "accepts", 7),
        ({"issued": False, "resumed_before": None, "gave_up": True}, "possible", None),
        ({"resumed_before": None}, "possible", None),
        ({"equivalent": None}, "possible", None),
        ({"issued": False, "equivalent": None}, "possible", None),
    ],
)
def test_decision_table(changes: dict[str, bool | None], verdict: str, row: int | None) -> None:
    decision = decide(offer(**changes))
    assert (decision.verdict, decision.row) == (verdict, row)
    assert decision.reason


def test_only_one_combination_aborts() -> None:
    """Of all combinations that the table knows, an abort needs every one of the conditions."""
    for is_tls13, offered, resumed, ems, issued, before, equivalent, gave_up in itertools.product(
        (False, True),
        (False, True),
        (False, True),
        (False, True),
        (False, True),
        (None, False, True),
        (None, False, True),
        (False, True),
    ):
        decision = decide(
            Offer(
                is_tls13=is_tls13,
                offered=offered,
                resumed=resumed,
                extended_master_secret=ems,
                issued=issued,
                resumed_before=before,
                equivalent=equivalent,
                gave_up=gave_up,
            )
        )
        expected = not is_tls13 and offered and not resumed and not ems and before is True and equivalent is False
        assert (decision.verdict == "aborts") == expected


def identity(
    subject: str = "", issuer: str = "cn=ca", dns: tuple[str, ...] = (), ips: tuple[str, ...] = (), digest: bytes = b""
) -> Identity:
    return Identity(digest or repr((subject, issuer, dns, ips)).encode(), ips, dns, subject, issuer)


@pytest.mark.parametrize(
    ("old", "new", "current", "first"),
    [
        (identity("cn=a", digest=b"1"), identity("cn=b", digest=b"1"), "same_der", "same_der"),
        (identity(dns=("x", "vip")), identity(dns=("y", "vip")), "shared_dns", "none"),
        (identity(dns=("vip", "x")), identity(dns=("vip", "y")), "shared_dns", "shared_dns"),
        (identity(dns=("vip", "x")), identity(dns=("y", "vip")), "shared_dns", "none"),
        (identity(dns=("VIP", "x")), identity(dns=("vip", "y")), "shared_dns", "none"),
        (identity(dns=("*.example.com",)), identity(dns=("a.example.com",)), "none", "none"),
        (identity(dns=("*.example.com",)), identity(dns=("*.example.com", "b")), "shared_dns", "shared_dns"),
        (identity(ips=("10.0.0.1", "10.0.0.9")), identity(ips=("10.0.0.2", "10.0.0.9")), "shared_ip", "none"),
        (
            identity("cn=a", ips=("10.0.0.1",), dns=("vip",)),
            identity("cn=b", ips=("10.0.0.2",), dns=("vip",)),
            "shared_dns",
            "none",
        ),
        (identity("cn=a", dns=("x",)), identity("cn=a", dns=("y",)), "same_subject_and_issuer", "none"),
        (identity("cn=a", dns=("x",)), identity("cn=a"), "same_subject_and_issuer", "same_subject_and_issuer"),
        (identity("cn=a"), identity("cn=a", issuer="cn=other"), "none", "none"),
        (identity("", dns=("x",)), identity("", dns=("y",)), "none", "none"),
        (identity("", digest=b"1"), identity("", digest=b"2"), "none", "none"),
    ],
)
def test_equivalence(old: Identity, new: Identity, current: str, first: str) -> None:
    assert equivalence(old, new) == current
    assert equivalence(old, new, "first") == first


@pytest.mark.parametrize("generation", ["current", "first"])
def test_equivalence_is_symmetric(generation: Generation) -> None:
    pool = [
        identity(s, dns=d, ips=i)
        for s in ("", "cn=a")
        for d in ((), ("x",), ("x", "y"), ("y",))
        for i in ((), ("1.1.1.1",), ("2.2.2.2", "1.1.1.1"))
    ]
    for a, b in itertools.combinations(pool, 2):
        assert equivalence(a, b, generation) == equivalence(b, a, generation)


PAIRS = [
    ("CN=PuppetDB  1", "CN=puppetdb 1", True),
    ("CN=PuppetDB 1 ", "CN= puppetdb   1", True),
    ("CN=PuppetDB 1", "CN=PuppetDB 2", False),
    ("CN=Straße", "CN=strasse", None),
    ("CN=É", "CN=é", True),
    ("CN=Å", "CN=A\u030a", True),
    ("CN=a\tb", "CN=a b", False),
    ("CN=ﬁrst", "CN=first", None),
]

JAVA = """
import javax.security.auth.x500.X500Principal;
public class Names {
    public static void main(String[] pairs) {
        for (int i = 0; i < pairs.length; i += 2)
            System.out.println(new X500Principal(pairs[i]).equals(new X500Principal(pairs[i + 1])));
    }
}
"""


@pytest.mark.parametrize(("old", "new", "equal"), [p for p in PAIRS if p[2] is not None])
def test_canonical_names(old: str, new: str, equal: bool) -> None:
    assert (canonical(old[3:]) == canonical(new[3:])) == equal


@pytest.mark.skipif(shutil.which("java") is None, reason="no Java here to ask")
def test_canonical_names_as_java_compares_them(tmp_path: Path) -> None:
    source = tmp_path / "Names.java"
    source.write_text(JAVA, encoding="utf-8")
    arguments = [name for pair in PAIRS for name in pair[:2]]
    done = subprocess.run(
        ["java", "-Dfile.encoding=UTF-8", "-Dsun.jnu.encoding=UTF-8", str(source), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )
    if done.returncode:
        pytest.skip(f"this Java runs no source file: {done.stderr[:80]}")
    told = [line == "true" for line in done.stdout.split()]
    assert told == [canonical(old[3:]) == canonical(new[3:]) for old, new, _ in PAIRS]


def test_names_of_real_certificates() -> None:
    one, two = parse(certificate("PuppetDB  1")), parse(certificate("puppetdb 1", days=(-2, 9)))
    assert one.identity.subject == two.identity.subject != ""
    assert equivalence(one.identity, two.identity) == "same_subject_and_issuer"
    assert parse(certificate(None, ("x",))).identity.subject == ""
