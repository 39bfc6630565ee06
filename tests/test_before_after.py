"""Before and after: what was fixed, what remains, what is new; captures, analyses and bundles; exit status."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from inspector.document import Document
from inspector.findings.before_after import BeforeAfter, before_after
from inspector.reports.before_after import before_after_json, before_after_text
from tests.build import Pool, certificate, numbered, written
from tests.conftest import CAPTURES, bundled, find
from tests.test_report import analysis_of, reported
from tests.waiting import COMMAND_SECONDS

A, B = certificate("a", ("a.example.com",)), certificate("b", ("b.example.com",))


def compared(first: str, second: str) -> BeforeAfter:
    return before_after(bundled(first).document, bundled(second).document)


def status(found: BeforeAfter, rule: str) -> list[str]:
    return [p.status for p in found.problems if p.rule == rule]


def test_a_shared_name_fixes_it() -> None:
    found = compared("puppet-session-ids", "puppet-shared-name")
    assert status(found, "certificate-change-abort") == ["fixed"]
    [pair] = found.pairs
    assert pair.before is not None
    assert pair.after is not None
    assert (pair.before.aborted, pair.after.aborted) == (23, 0)
    assert any("23 of 177 connections were aborted before, none of 160 now" in note for note in pair.notes)
    assert {p.severity for p in found.left()} == {"info"}  # sessions are declined as before
    assert found.sentence.startswith("23 aborts because of a changed certificate before, 0 after")


def test_one_certificate_hides_the_back_ends() -> None:
    [pair] = compared("jdk17-abort", "shared-certificate").pairs
    assert any("can no longer be told apart" in note for note in pair.notes)


def test_the_other_way_round_it_is_new() -> None:
    found = compared("puppet-shared-name", "puppet-session-ids")
    assert status(found, "certificate-change-abort") == ["new"]
    assert "high" in {p.severity for p in found.left()}


def test_the_same_twice_remains() -> None:
    found = compared("jdk17-abort", "jdk17-abort")
    assert {p.status for p in found.problems} == {"remaining"}
    assert all(p.before == p.after for p in found.problems)


@pytest.mark.parametrize(
    "first",
    [
        "puppet-session-ids",
        "puppet-shared-name",
        "jdk17-abort",
        "both-legs",
        "renegotiation",
        "health-checks",
        "silent-abort",
    ],
)
def test_what_is_gained_one_way_is_lost_the_other(first: str) -> None:
    """Of any two captures: the same problems and counts with the sides exchanged; fixed is only what the other side
    could have shown.
    """
    for second in sorted(p.name.split(".")[0] for p in CAPTURES.glob("*.pcap*")):
        there, back = compared(first, second), compared(second, first)
        key = {(p.rule, p.service, p.what): p for p in back.problems}
        assert len(key) == len(there.problems)
        for problem in there.problems:
            other = key[problem.rule, problem.service, problem.what]
            assert (problem.before, problem.after) == (other.after, other.before)
            if problem.status == "remaining":
                assert other.status == "remaining"
                assert problem.before
                assert problem.after
            else:
                assert (problem.status == "new") != (other.status == "new")
            if problem.status == "fixed":
                [pair] = [pair for pair in there.pairs if pair.name == problem.service]
                assert pair.before is not None
                assert pair.after is not None
                assert not pair.after.assessment.unseen
        for pair in there.pairs:
            assert (pair.before is None or pair.after is None) == any(
                note.startswith("only in the ") for note in pair.notes
            )


@pytest.mark.parametrize("counts", [(1, 3), (3, 5)])
def test_how_often_makes_no_other_problem(counts: tuple[int, int], tmp_path: Path) -> None:
    """Titles count, and name back ends as each analysis does: neither makes a problem that is fixed and a new one."""
    documents = []
    for count in counts:
        pool = Pool()
        for number in range(count):
            pool.server_alert(40)
            pool.full(A, numbered(number << 8))
            pool.resumed(numbered(number << 8))
            pool.full(B, numbered(number << 8 | 1), numbered(number << 8))
        documents.append(analysis_of(written(tmp_path, pool.flows, f"{count}.pcap")).document)
    found = before_after(*documents)
    for rule in ("certificate-change-tolerated", "handshake-failed"):
        [problem] = [p for p in found.problems if p.rule == rule]
        assert (problem.status, problem.before, problem.after) == ("remaining", *counts)
        assert not any(character.isdigit() for character in problem.what.replace("(40)", ""))


def test_an_analysis_without_matters_is_compared_by_rule_and_service() -> None:
    """As earlier versions wrote them."""
    encoded = msgspec.to_builtins(bundled("puppet-session-ids").document)
    for finding in encoded["findings"]:
        del finding["matter"], finding["what"]
    earlier = msgspec.convert(encoded, Document)
    found = before_after(earlier, bundled("puppet-session-ids").document)
    assert status(found, "certificate-change-abort") == ["remaining"]


def test_absence_proves_nothing_in_a_short_capture(tmp_path: Path) -> None:
    pool = Pool()
    for number in range(6):
        pool.full(A, numbered(number << 8))
        pool.resumed(numbered(number << 8))
        pool.given_up(B, numbered(number << 8 | 1), numbered(number << 8))
    before = analysis_of(written(tmp_path, pool.flows, "before.pcap")).document
    short = Pool(port=50_000)
    short.full(A, numbered(1 << 20))
    short.resumed(numbered(1 << 20))
    short.full(B, numbered(1 << 20 | 1))
    after = analysis_of(written(tmp_path, short.flows, "after.pcap")).document
    found = before_after(before, after)
    assert status(found, "certificate-change-abort") == ["not visible any more"]
    [pair] = found.pairs
    assert any("too few to say anything" in note for note in pair.notes)


def test_services_that_are_in_one_only() -> None:
    found = compared("silent-abort", "python-clients")
    lonely = [p for p in found.pairs if p.before is None or p.after is None]
    assert all(p.notes for p in lonely)
    text = before_after_text(found, bundled("silent-abort").document, bundled("python-clients").document)
    assert text.splitlines()[0] == found.sentence or text.startswith(found.sentence[:60])


def test_text_and_json_say_the_same() -> None:
    found = compared("puppet-session-ids", "puppet-shared-name")
    text = before_after_text(found, bundled("puppet-session-ids").document, bundled("puppet-shared-name").document)
    values = json.loads(before_after_json(found))
    assert values["schema"] == "inspector.diff/1"
    assert values["sentence"] in text.replace("\n  ", " ")
    assert "POOL BEFORE" in text
    assert "POOL AFTER" in text
    assert [p["status"] for p in values["problems"]] == [p.status for p in found.problems]
    assert values["services"][0]["before"]["service"]["aborted"] == 23
    assert all(len(line) < 180 for line in text.splitlines())


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "inspector", "diff", *arguments],
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


@pytest.mark.parametrize(
    ("first", "second", "options", "expected"),
    [
        ("puppet-session-ids", "puppet-shared-name", [], 0),
        ("puppet-shared-name", "puppet-session-ids", [], 1),
        ("puppet-shared-name", "puppet-session-ids", ["--fail-on", "never"], 0),
        ("puppet-tls13", "puppet-tls13", [], 0),
        ("mixed-pool", "mixed-pool", ["--fail-on", "low"], 1),
        ("mixed-pool", "mixed-pool", ["--fail-on", "rule:pool-drift"], 1),
        ("mixed-pool", "mixed-pool", ["--fail-on", "attribute:ems"], 1),
        ("mixed-pool", "mixed-pool", ["--fail-on", "attribute:chain"], 0),
        ("mixed-pool", "mixed-pool", ["--fail-on", "capture-incomplete"], 2),
    ],
)
def test_exit_status(first: str, second: str, options: list[str], expected: int) -> None:
    assert run(str(find(first)), str(find(second)), *options).returncode == expected


def test_bundles_and_analyses_can_be_compared(tmp_path: Path) -> None:
    bundle = reported("puppet-session-ids")[1].directory
    done = run(str(bundle), str(find("puppet-session-ids")), "-T", "json")
    assert done.returncode == 1
    values = json.loads(done.stdout)
    assert {p["status"] for p in values["problems"]} == {"remaining"}
    done = run(str(bundle / "analysis.json"), str(find("puppet-shared-name")))
    assert done.returncode == 0
    assert "23 aborts because of a changed certificate before, 0 after" in done.stdout
    first, second = (tmp_path / name for name in ("no.json", "other.json"))
    first.write_text('{"no": "analysis"}')
    second.write_text("{")
    for path in (first, second):
        done = run(str(path), str(find("puppet-shared-name")))
        assert done.returncode == 2
        assert "no analysis" in done.stderr
        assert "Traceback" not in done.stderr
