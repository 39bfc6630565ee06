"""Attacks of every kind, small: a document or a named error, the abort beside each is found and no other, and nobody is
acquitted over what was lost; from files and in live capture alike.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import pytest

from inspector import bounds
from inspector.document import Document, Finding
from inspector.errors import InspectorError
from inspector.extract.journal import Journal
from inspector.extract.processes import add_logs, extract
from inspector.findings.case import Options
from inspector.findings.judge import judge
from inspector.live.keeping import Keeping
from inspector.live.sources.growing import GrowingLogs
from inspector.live.sources.growing_keys import GrowingKeys
from inspector.secrets.inputs import SecretInputs
from inspector.tracking.certificate_reader import READER, CertificateReader
from tests.attacks import flights
from tests.attacks.attack import A, Attack, B, Given
from tests.attacks.kinds import ATTACKS, BY_KIND
from tests.live import listened

ABORT = "certificate-change-abort"
RESUMED = {"session_id", "ticket", "resumed", "psk"}


def test_each_kind_has_ten_variants() -> None:
    assert all(len(some) >= 10 for some in BY_KIND.values())
    assert len({str(attack) for attack in ATTACKS}) == len(ATTACKS)


def written(given: Given, folder: Path) -> Path:
    path = folder / f"attack{given.suffix}"
    path.write_bytes(given.data)
    for one in given.beside:
        (folder / one.name).write_bytes(one.data)
    for ending, data in given.journal.items():
        (folder / f"attack.sqlite{ending}").write_bytes(data)
    return folder / "attack.sqlite" if given.journal else path


def read(given: Given, folder: Path, reader: CertificateReader = READER) -> Document:
    """The analysis of what is given. Raises InspectorError."""
    path = written(given, folder)
    keys = [(one.name, one.data) for one in given.beside if one.option == "--keylog"]
    facts = extract([str(path)], secrets=SecretInputs(keys) if keys else None)
    add_logs(facts, [str(folder / one.name) for one in given.beside if one.option == "--log"])
    return judge(facts, Options(), reader=reader).complete()


def leaf_of(document: Document, backend: str | None) -> str | None:
    return next((one.leaf for one in document.backends if one.id == backend), None)


def is_planted(finding: Finding, document: Document) -> bool:
    return [leaf_of(document, backend) for backend in finding.backends] == [sha256(der).hexdigest() for der in (A, B)]


def assert_only_planted(attack: Attack, document: Document) -> None:
    """The abort beside it, at its back end; no other; and its service is not acquitted."""
    found = [f for f in document.findings if f.rule == ABORT]
    assert len(found) == abs(attack.aborts) or attack.aborts < 0
    planted = [f for f in found if f.verdict == "confirmed" and is_planted(f, document)]
    assert len(planted) == attack.aborts or (planted and attack.aborts < 0)
    services = {f.service for f in found}
    assert {one.assessment.state for one in document.services if one.id in services} <= {"confirmed"}


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_from_files(attack: Attack, tmp_path: Path) -> None:
    """A document, or an error that names the file."""
    try:
        document = read(attack.make(attack.few), tmp_path)
    except InspectorError as error:
        assert not attack.aborts or attack.kind == "journals"
        assert "attack." in str(error)
    else:
        if attack.kind == "journals":
            assert all(is_planted(f, document) for f in document.findings if f.rule == ABORT)
        else:
            assert_only_planted(attack, document)


def kept(given: Given, folder: Path) -> Keeping:
    """What is read beside a live capture."""
    path = written(given, folder)
    by_option = {one.option: [str(folder / one.name)] for one in given.beside}
    logs, keys = by_option.get("--log", []), by_option.get("--keylog", [])
    return Keeping(
        journal=Journal(str(path), 1 << 30, "again") if given.journal else None,
        logs=GrowingLogs(logs) if logs else None,
        keys=GrowingKeys(keys, [], lambda prompt: "") if keys else None,
    )


@pytest.mark.parametrize("attack", ATTACKS, ids=str)
def test_live(attack: Attack, tmp_path: Path) -> None:
    """The same of the loop of a live capture, which goes on; a stream that is compressed is none, which is named."""
    given = attack.make(attack.few)
    try:
        keeping = kept(given, tmp_path)
    except InspectorError as error:
        assert attack.kind == "journals"
        assert "attack.sqlite" in str(error)  # what is not ours is neither written nor set aside
        return
    _, heard = listened(given.data, keeping)
    found = [f for f in heard.findings.values() if f.rule == ABORT and f.verdict == "confirmed"]
    expected = 0 if given.unpacked else attack.aborts
    assert len(found) == expected or expected < 0
    assert len(found) >= abs(expected)
    assert not given.unpacked or [text for kind, text in heard.told if kind == "source" and "pcap" in text]


FLOODS = [attack for attack in ATTACKS if attack.kind in ("certificates", "chains", "client chains")]


@pytest.mark.parametrize("attack", FLOODS, ids=str)
def test_a_flood_of_certificates_leaves_the_pools(attack: Attack, monkeypatch: pytest.MonkeyPatch) -> None:
    """In live capture, where the flood is larger than the room for them and each of the pool's is shown once."""
    monkeypatch.setattr(bounds, "LIVE_CERTIFICATE_BYTES", 100_000)
    watching, heard = listened(attack.make(12).data)
    found = [f.verdict for f in heard.findings.values() if f.rule == ABORT]
    assert found == ["confirmed"]
    assert watching.window.facts.certificates.bytes <= 100_000  # type: ignore[attr-defined]


# Flights.


@pytest.mark.parametrize("harm", flights.HARMS)
@pytest.mark.parametrize("story", flights.STORIES)
def test_a_part_of_a_flight_is_never_read_as_what_it_was_not(story: str, harm: str, tmp_path: Path) -> None:
    """What was declined is not resumed, and no abort is told at another back end than where it was."""
    made = flights.made(story, harm, 120)
    (tmp_path / "flights.pcap").write_bytes(flights.recorded(made.pool.flows, made.snapped))
    document = judge(extract([str(tmp_path / "flights.pcap")])).complete()
    digests = [sha256(leaf).hexdigest() for leaf in flights.LEAVES]
    truths = {}
    for connection in document.connections:
        ends = connection.client_endpoint, connection.server_endpoint  # which is which is not known without a hello
        truth = next(t for end in ends if (t := made.truths.get((end.ip, end.port))))
        truths[connection.id] = truth
        kinds = {handshake.kind for handshake in connection.handshakes}
        assert "full" not in kinds or truth.kind == "full", truth
        assert not kinds & RESUMED or truth.kind == "resumed", truth
        if truth.leaf >= 0 and connection.backend is not None:
            leaf = leaf_of(document, connection.backend)
            assert leaf in (None, "", digests[truth.leaf]), truth
    for finding in document.findings:
        if finding.rule != ABORT or finding.verdict != "confirmed":
            continue
        truth = truths[finding.connections[-1]]
        assert truth.is_given_up
        assert truth.origin is not None
        leaves = [leaf_of(document, backend) for backend in finding.backends]
        assert leaves == [digests[truth.origin], digests[truth.leaf]], truth
