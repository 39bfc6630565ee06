"""``compare``: the matrix under both rules, the smallest fix, and what the fix leads to."""

from __future__ import annotations

import base64
import itertools
import json
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from inspector.errors import UnreadableError
from inspector.findings.comparison import Addition, Comparison, applied, compare
from inspector.findings.jsse import equivalence
from inspector.reports.compare import comparison_json, comparison_text
from inspector.tracking.certificate_files import read_certificate_file
from inspector.tracking.certificates import Identity, parse
from tests.build import certificate


def compared(*ders: bytes) -> Comparison:
    return compare([parse(d) for d in ders], [f"{n}.pem" for n in range(len(ders))])


def steps(*ders: bytes) -> tuple[str | None, str | None]:
    (pair,) = compared(*ders).pairs
    return pair.current, pair.first


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (certificate("a", ("a.x", "vip.x")), certificate("b", ("b.x", "vip.x")), ("shared_dns", "none")),
        (certificate("a", ("vip.x", "a.x")), certificate("b", ("vip.x", "b.x")), ("shared_dns", "shared_dns")),
        (certificate("a", ("*.x",)), certificate("b", ("b.x",)), ("none", "none")),
        (certificate("a", (), ("10.0.0.1", "10.0.0.9")), certificate("b", (), ("10.0.0.9",)), ("shared_ip", "none")),
        (
            certificate("PuppetDB  1", ("a.x",), issuer="Puppet  CA"),
            certificate("puppetdb 1", ("b.x",), issuer="puppet ca"),
            ("same_subject_and_issuer", "none"),
        ),
        (certificate(None, ("a.x",)), certificate(None, ("b.x",)), ("none", "none")),
        (certificate(None, ("a.x", "c.x")), certificate(None, ("b.x", "c.x")), ("shared_dns", "none")),
    ],
    ids=[
        "shared name",
        "shared first name",
        "wildcard and its match",
        "shared address",
        "case and spaces",
        "empty subjects",
        "second name shared",
    ],
)
def test_pairs(old: bytes, new: bytes, expected: tuple[str, str]) -> None:
    assert steps(old, new) == expected
    assert steps(new, old) == expected


def test_one_name_in_all() -> None:
    comparison = compared(certificate("a", ("a.x", "vip.x")), certificate("b", ("b.x",)), certificate("c", ("c.x",)))
    fix = comparison.fixes["current"]
    assert fix is not None
    assert (
        fix.additions == (Addition(1, "DNS", "vip.x", False), Addition(2, "DNS", "vip.x", False))
        or len(fix.additions) == 2
    )
    assert fix.smallest


def test_two_names_are_cheaper_than_one() -> None:
    """A and C lack a common name, so do B and D, all others share one: two additions do, one name in all would take
    three.
    """
    pool = [("a", "ab", "ad"), ("b", "ab", "bc"), ("c", "bc", "cd"), ("d", "cd", "ad")]
    comparison = compared(*(certificate(p[0], tuple(f"{n}.x" for n in p[1:])) for p in pool))
    assert len(comparison.unequal("current")) == 2
    fix = comparison.fixes["current"]
    assert fix is not None
    assert len(fix.additions) == 2


def test_the_first_rule_wants_the_name_in_front() -> None:
    comparison = compared(certificate("a", ("a.x", "vip.x")), certificate("b", ("vip.x", "b.x")))
    fix = comparison.fixes["first"]
    assert fix is not None
    assert all(a.first for a in fix.additions)


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(["a", "b", "c", "d", "*.e"]), max_size=3),
            st.lists(st.sampled_from(["10.0.0.1", "10.0.0.2"]), max_size=2),
        ),
        min_size=2,
        max_size=5,
    )
)
def test_a_fix_makes_all_equivalent(pool: list[tuple[list[str], list[str]]]) -> None:
    ders = [
        certificate(f"host{n}", tuple(dict.fromkeys(dns)), tuple(dict.fromkeys(ips)))
        for n, (dns, ips) in enumerate(pool)
    ]
    certificates = [parse(d) for d in ders]
    comparison = compare(certificates, [""] * len(ders))
    identities: list[Identity] = [c.identity for c in certificates]
    for generation in ("current", "first"):
        fix = comparison.fixes[generation]
        assert (fix is None) == (not comparison.unequal(generation))
        if fix is not None:
            changed = [i._replace(sha256=bytes([n])) for n, i in enumerate(applied(identities, fix))]
            assert all(equivalence(a, b, generation) != "none" for a, b in itertools.combinations(changed, 2))


def test_text_and_json_say_the_same() -> None:
    comparison = compared(certificate("a", ("a.x",)), certificate("b", ("b.x",)))
    told = json.loads(comparison_json(comparison))
    assert told["equivalent"] == {"current": False, "first": False}
    assert len(told["fixes"]["current"]["additions"]) == 1
    assert "1 of 1 pairs are not equivalent" in comparison_text(comparison)
    alone = compared(certificate("a", ("a.x",)))
    assert "nothing to compare" in comparison_text(alone)


def pem(der: bytes) -> bytes:
    return b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"


def test_files(tmp_path: Path) -> None:
    one, two = certificate("a", ("a.x",)), certificate("b", ("b.x",))
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(b"subject=a\n" + pem(one) + b"\n# next\n" + pem(two).replace(b"\n", b"\r\n"))
    assert read_certificate_file(str(bundle)) == [one, two]
    der = tmp_path / "one.der"
    der.write_bytes(one)
    assert read_certificate_file(str(der)) == [one]


@pytest.mark.parametrize(
    "data", [b"", b"text", b"-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n", b"\x30\x03abc"]
)
def test_files_that_hold_none(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad"
    path.write_bytes(data)
    with pytest.raises(UnreadableError):
        read_certificate_file(str(path))


def test_a_certificate_of_an_unknown_version_is_named() -> None:
    der = bytearray(certificate("a", ("a.example.com",)))
    place = der.index(b"\xa0\x03\x02\x01\x02") + 4
    der[place] = 117
    assert "version" in str(parse(bytes(der)).problem)
