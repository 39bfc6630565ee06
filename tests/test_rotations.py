"""Certificates that replace others: a renewal, a rolling one that adds names, pools whose members are
all called alike.
"""

from __future__ import annotations

from tests.build import Pool, certificate, numbered
from tests.rules import A, Judged, of


def test_a_rolling_renewal_that_adds_names_is_one_of_each_back_end(judged: Judged) -> None:
    """Each back end's certificate is replaced by one of the same subject with a name more, one after the other, after
    few handshakes.
    """
    pool = Pool()
    old = [certificate(f"puppetdb{n}", (f"puppetdb{n}.example.com",)) for n in (1, 2, 3)]
    new = [certificate(f"puppetdb{n}", ("puppetdb.example.com",)) for n in (1, 2, 3)]
    for step in range(4):
        for turn, der in enumerate([*new[:step], *old[step:]] * 2):
            pool.full(der, numbered(100 + 10 * step + turn))
    document = judged(pool)
    assert len(document.backends) == 3
    assert len(of(document, "certificate-rotated")) == 3


def test_members_that_are_all_called_alike_are_no_rotation(judged: Judged) -> None:
    pool = Pool()
    alike = [certificate("puppetdb", (f"puppetdb{n}.example.com",)) for n in (1, 2, 3)]
    for turn, which in enumerate((0, 1, 0, 1, 2, 1, 2)):
        pool.full(alike[which], numbered(turn + 1))
    document = judged(pool)
    assert len(document.backends) == 3
    assert not of(document, "certificate-rotated")


def test_certificate_rotated(judged: Judged) -> None:
    renewed = certificate("puppetdb1", ("puppetdb1.example.com",), days=(-1, 800))
    pool = Pool()
    for n in range(3):
        pool.full(A, numbered(10 + n))
    for n in range(3):
        pool.full(renewed, numbered(20 + n))
    document = judged(pool)
    (finding,) = of(document, "certificate-rotated")
    assert (finding.verdict, finding.grade, finding.severity) == ("confirmed", "inferred", "info")
    assert len(document.backends) == 1
    pool.full(A, numbered(30))  # the old one again: two back ends, no rotation
    assert not of(judged(pool), "certificate-rotated")
