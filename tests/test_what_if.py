"""What would have helped: each remedy weighed on built pools, and how that is worded."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import pytest

from inspector.document import Counterfactual, Document, Service
from inspector.findings.case import Case, Options
from inspector.findings.jsse import Generation
from inspector.findings.judge import judge
from inspector.findings.likeness import Likeness
from inspector.findings.prediction import ems_answers
from inspector.findings.recorded import recorded
from inspector.findings.replay import Change, Member, Replay, Replayer
from inspector.reports import what_if
from inspector.reports.text import write_text
from inspector.tracking.certificates import Identity
from tests.build import Pool, certificate, document_of, facts_of, numbered, written
from tests.conftest import CAPTURES, bundled
from tests.rules import SHARED_A, SHARED_B, A, B, Judged, X, Y, Z, resumed_then_declined, state

C = certificate("puppetdb3", ("puppetdb3.example.com",))
D = numbered(4)


def weighed(document: Document) -> list[Counterfactual]:
    (service,) = document.services
    return service.what_if


def brief(document: Document) -> list[tuple[str, str, int, int, int, str]]:
    """Remedy, the back ends and (``+``) clients that must change, prevented, of how many, new ones, basis."""
    labels = {b.id: b.label for b in document.backends}
    return [
        (
            each.remedy,
            "".join(labels[b] for b in each.backends) + "+" * len(each.clients),
            each.prevented,
            each.of,
            each.new_exposures,
            each.basis,
        )
        for each in weighed(document)
    ]


def test_every_remedy_for_one_abort(judged: Judged) -> None:
    """The client offers neither EMS nor TLS 1.3, so that these need it too."""
    assert brief(judged(resumed_then_declined(Pool()))) == [
        ("shared_name", "AB", 1, 1, 0, "judged"),
        ("ems", "AB+", 1, 1, 0, "judged"),
        ("tls13", "AB+", 1, 1, 0, "judged"),
        ("affinity", "", 1, 1, 0, "simulated"),
    ]


def test_nothing_is_weighed_where_nothing_happens(judged: Judged) -> None:
    pool = Pool()
    pool.full(SHARED_A, X)
    pool.resumed(X)
    pool.full(SHARED_B, Y, X)
    assert not weighed(judged(pool))


def test_only_the_certificates_that_lack_the_name_need_it(judged: Judged) -> None:
    """A and C have the name of the service already, B alone does not."""
    pool = Pool()
    pool.full(SHARED_A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    pool.full(certificate("puppetdb3", ("PuppetDB.example.com",)), Z)
    document = judged(pool)
    shared = next(each for each in weighed(document) if each.remedy == "shared_name")
    assert shared.name == "puppetdb.example.com"
    (lacking,) = [b for b in document.backends if b.id in shared.backends]
    assert document.certificates[[c.sha256 for c in document.certificates].index(lacking.leaf or "")].dns_names == [
        "puppetdb2.example.com"
    ]
    assert shared.is_sufficient


@pytest.mark.parametrize(("generation", "prevented"), [("current", 1), ("first", 0)])
def test_the_first_generation_looks_at_addresses_before_names(
    tmp_path: Path, generation: Generation, prevented: int
) -> None:
    """Before 8u60 two addresses that differ decide, whatever the names."""
    first = certificate("one", ("one.example.com",), ("10.0.0.1",))
    second = certificate("two", ("two.example.com",), ("10.0.0.2",))
    path = written(tmp_path, resumed_then_declined(Pool(), first, second).flows)
    document = document_of(path, options=Options(generation=generation))
    shared = next(each for each in weighed(document) if each.remedy == "shared_name")
    assert (shared.prevented, shared.of) == (prevented, 1)


def mixed(pool: Pool) -> Pool:
    """A has EMS, B and C lack it, and the client offers it: it aborts at B."""
    pool.full(A, X, ems=True)
    pool.resumed(X, ems=True)
    pool.given_up(B, Y, X)
    pool.full(C, Z)
    return pool


def test_ems_at_those_that_alone_lack_it_comes_first(judged: Judged) -> None:
    document = judged(mixed(Pool(ems=True)))
    assert brief(document)[0] == ("ems", "BC", 1, 1, 0, "judged")


def test_ems_at_one_more_member_brings_new_aborts(judged: Judged) -> None:
    """With EMS at B alone its sessions begin to be offered and resumed, and C, which still lacks it, declines them."""
    pool = mixed(Pool(ems=True))
    pool.full(B, D)
    pool.full(B, numbered(5))  # with EMS this one is resumed
    pool.full(C, numbered(6))  # and this one aborts
    document = judged(pool)
    assert ("ems", "B", 1, 1, 1, "simulated") in brief(document)
    harmful = [each for each in weighed(document) if each.new_exposures]
    assert weighed(document)[-len(harmful) :] == harmful
    assert all(not each.is_sufficient for each in harmful)


def test_tls13_at_a_part_may_bring_new_aborts(judged: Judged) -> None:
    """B with TLS 1.3 spares the first abort, so that the cache is not emptied: A's session is resumed where there was a
    full handshake, and C declines it.
    """
    pool = Pool()
    pool.full(B, X)
    pool.resumed(X)
    pool.given_up(A, Y, X)
    pool.full(A, Z)
    pool.full(C, D, Z)
    document = judged(pool)
    labels = {b.leaf: b.label for b in document.backends}
    b = labels[next(c.sha256 for c in document.certificates if "puppetdb2" in c.subject)]
    assert ("tls13", f"{b}+", 1, 1, 1, "simulated") in brief(document)
    assert ("tls13", "ABC+", 1, 1, 0, "judged") in brief(document)


def test_affinity_needs_the_certificate_of_the_first_back_end(judged: Judged) -> None:
    """Two clients, each at another first back end: neither meets another certificate."""
    pool = resumed_then_declined(Pool())
    other = Pool(port=50_000, client="10.0.0.11", ns=pool.ns)
    other.full(B, numbered(11))
    other.resumed(numbered(11))
    other.given_up(A, numbered(12), numbered(11))
    other.full(A, numbered(13))
    pool.flows += other.flows
    affinity = next(each for each in weighed(judged(pool)) if each.remedy == "affinity")
    assert (affinity.prevented, affinity.of, affinity.new_exposures) == (2, 2, 0)


def test_parallel_offers_of_one_session_are_each_spared(judged: Judged) -> None:
    """The second hello was written before the first abort: it offers the same session under every remedy."""
    pool = Pool()
    pool.full(A, X)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    pool.given_up(C, Z, X)
    document = judged(pool)
    assert [(each.remedy, each.prevented, each.of) for each in weighed(document) if each.is_sufficient] == [
        ("shared_name", 2, 2),
        ("ems", 2, 2),
        ("tls13", 2, 2),
        ("affinity", 2, 2),
    ]


def test_where_none_was_aborted_exposures_count(judged: Judged) -> None:
    """The session was resumed, and no other back end came behind it."""
    pool = Pool()
    pool.full(B, Y)
    pool.full(A, X, Y)
    pool.resumed(X)
    pool.resumed(X)
    document = judged(pool)
    assert state(document) == "exposed"
    assert {each.of_what for each in weighed(document)} == {"exposed"}
    assert brief(document)[0] == ("shared_name", "AB", 2, 2, 0, "judged")


def likeness_of(case: Case, members: Sequence[Member], shared: str = "") -> Likeness:
    """Of the certificates of some back ends. ``shared``: a name that all of them have."""
    names = (shared,) if shared else ()

    def identity_of(leaf: bytes) -> Identity:
        identity = case.certificates[leaf].identity
        return identity._replace(dns_names=(*names, *identity.dns_names))

    return Likeness(identity_of, [leaf for member in members for leaf in member.leaves])


def play(path: Path, aborted: set[int], change: Change | None = None) -> Replay:
    """The only service of a capture, played; as recorded where nothing is changed."""
    case = judge(facts_of(path)).case
    (service,) = case.services

    members = [Member(b.index, ems_answers(case, b)[0] == {True}, tuple(b.leaves)) for b in case.pools[service.index]]
    return Replayer(recorded(case, service, aborted), members).play(change or Change(likeness_of(case, members)))


def test_a_session_from_before_the_capture_is_not_judged(tmp_path: Path) -> None:
    """What certificate it came with is not known: EMS and TLS 1.3 spare the abort, of a shared name nobody knows."""
    pool = Pool()
    pool.resumed(X)
    pool.given_up(B, Y, X)
    pool.full(A, Z)
    path = written(tmp_path, pool.flows)
    replay = play(path, {1})
    assert (replay.aborted, replay.unjudged) == ({1}, {1})
    everywhere = frozenset(range(3))
    replay = play(path, {1}, Change(Likeness(lambda leaf: None, []), ems=everywhere, clients=everywhere))
    assert (replay.aborted, replay.unjudged) == (set(), set())


def test_a_client_that_goes_on_is_never_counted(judged: Judged) -> None:
    """Endpoint identification is set for the second client: no remedy makes it abort."""
    pool = resumed_then_declined(Pool())
    other = Pool(port=50_000, client="10.0.0.11", ns=pool.ns)
    other.full(A, numbered(11))
    other.resumed(numbered(11))
    other.full(B, numbered(12), numbered(11))
    other.full(C, numbered(13), numbered(12))
    pool.flows += other.flows
    document = judged(pool)
    assert {each.of for each in weighed(document)} == {1}
    assert all(each.prevented == 1 for each in weighed(document) if each.is_sufficient)


NAMES = sorted(p.name.split(".")[0] for p in CAPTURES.glob("*.pcap*"))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_change_all_is_as_recorded(name: str) -> None:
    """Every remedy that is put everywhere is sufficient, as the recordings with it show; that it is, is known without
    playing the connections, and playing them says the same.
    """
    analysis = bundled(name)
    case, document = analysis.case, analysis.document
    at = {observed.id: observed.index for observed in case.observed}
    for service, written_service in zip(case.services, document.services, strict=True):
        aborted = {
            at[f.connections[-1]]
            for f in document.findings
            if f.rule == "certificate-change-abort" and f.verdict == "confirmed" and f.service == service.id
        }

        members = [
            Member(b.index, ems_answers(case, b)[0] == {True}, tuple(b.leaves)) for b in case.pools[service.index]
        ]
        replayer = Replayer(recorded(case, service, aborted), members)
        as_it_is = likeness_of(case, members)
        everyone = frozenset(range(max(len(case.backends), len(case.clients))))
        for change in (
            Change(likeness_of(case, members, shared="pool.example.com")),
            Change(as_it_is, ems=everyone, clients=everyone),
            Change(as_it_is, tls13=everyone, clients=everyone),
            Change(as_it_is, is_pinned=True),
        ):
            assert replayer.play(change).aborted == replayer.play_through(change).aborted
        replay = replayer.play_through(Change(as_it_is))
        assert replay.aborted == aborted
        assert not replay.is_simulated
        assert bool(written_service.what_if) == (written_service.assessment.state == "exposed" or bool(aborted))
        everywhere = [each for each in written_service.what_if if not each.new_exposures]
        assert all(each.is_sufficient for each in everywhere)


def test_the_table_is_in_the_text_and_fits_80_columns(tmp_path: Path) -> None:
    pool = mixed(Pool(ems=True))
    pool.full(B, D)
    pool.full(B, numbered(5))
    pool.full(C, numbered(6))
    analysis = judge(facts_of(written(tmp_path, pool.flows)))
    out = io.StringIO()
    write_text(analysis, None, out)
    lines = out.getvalue().splitlines()
    start = next(i for i, line in enumerate(lines) if "WOULD HAVE HELPED" in line)
    table = lines[start : start + 6]
    assert table[1].split() == ["●", "EMS", "at", "B,", "C", "1", "of", "1", "0", "judged"]
    assert any(line.split()[:5] == ["▲", "EMS", "at", "B", "alone"] for line in table)
    assert max(map(len, table)) <= 80
    assert any("Assumed: the same connections" in line for line in lines)


def test_many_rollouts_are_cut_and_counted() -> None:
    harmful = Counterfactual(
        remedy="ems",
        backends=["a"],
        clients=[],
        prevented=0,
        of=3,
        of_what="aborted",
        not_judged=1,
        new_exposures=1,
        basis="simulated",
    )
    document = bundled("mixed-pool").document
    service = Service(
        **{name: getattr(document.services[0], name) for name in Service.__struct_fields__ if name != "what_if"},
        what_if=[harmful] * (what_if.MOST_HARMFUL + 2),
    )
    assert what_if.more(service) == 2
