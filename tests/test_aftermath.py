"""What comes after an abort: stuck with the session, or one failure and then fine; and never more than was seen."""

from __future__ import annotations

from pathlib import Path

import pytest

from inspector.document import Aftermath, Finding
from tests.build import MS, NAME, Flow, Pool, certificate, document_of, numbered, written

A = certificate("db1.example.com", ("db1.example.com",))
B = certificate("db2.example.com", ("db2.example.com",))
X, Y, Z, V = (numbered(n) for n in (7001, 7002, 7003, 7004))


def begun(pool: Pool) -> Pool:
    """A session of A that was resumed, and the first abort at B."""
    pool.full(A, X)
    pool.full(B, Z)
    pool.resumed(X)
    pool.given_up(B, Y, X)
    return pool


def aborts(pool: Pool, folder: Path) -> list[Finding]:
    document = document_of(written(folder, pool.flows))
    return [finding for finding in document.findings if finding.rule == "certificate-change-abort"]


def after(finding: Finding) -> Aftermath:
    assert finding.aftermath is not None
    return finding.aftermath


def test_a_client_that_keeps_the_session_is_stuck(tmp_path: Path) -> None:
    pool = begun(Pool())
    pool.resumed(X)
    pool.given_up(B, V, X)
    pool.given_up(B, numbered(7005), X)
    found = aborts(pool, tmp_path)
    assert len(found) == 3
    assert {(after(f).state, after(f).grade, after(f).offered, after(f).aborted) for f in found} == {
        ("stuck", "observed", 3, 2)
    }
    assert "3 times in all, and aborted 2 times again: the client is stuck" in found[0].explanation
    assert "8u60" in found[0].explanation


def test_most_clients_let_it_go(tmp_path: Path) -> None:
    pool = begun(Pool())
    pool.full(B, V)
    (found,) = aborts(pool, tmp_path)
    assert (after(found).state, after(found).grade, after(found).offered) == ("recovered", "inferred", 0)
    assert "succeeded: it had let the session go (inferred)" in found.explanation
    document = document_of(tmp_path / "built.pcap")
    assert after(found).connection == document.connections[-1].id


def test_what_is_offered_again_and_taken_is_no_trouble(tmp_path: Path) -> None:
    pool = begun(Pool())
    pool.resumed(X)
    (found,) = aborts(pool, tmp_path)
    assert (after(found).state, after(found).offered, after(found).aborted) == ("offered_again", 1, 0)
    assert "stuck" not in found.explanation


def behind_a_failure(pool: Pool) -> None:
    pool.server_alert(40)


def of_another_client(pool: Pool) -> None:
    pool.client = "10.0.0.77"
    pool.full(B, V)


def of_another_service(pool: Pool) -> None:
    pool.name = f"other.{NAME}"
    pool.full(B, V)


@pytest.mark.parametrize("then", [None, behind_a_failure, of_another_client, of_another_service])
def test_what_was_not_seen_is_not_told(then: object, tmp_path: Path) -> None:
    pool = begun(Pool())
    if callable(then):
        then(pool)
    (found,) = aborts(pool, tmp_path)
    assert (after(found).state, after(found).grade, after(found).connection) == ("not_visible", "not_visible", None)
    assert "again" not in found.explanation
    assert "let the session go" not in found.explanation


def shifted(flow: Flow, by: int) -> None:
    for segment in flow.segments:
        segment.ns += by


def test_connections_side_by_side_are_not_stuck(tmp_path: Path) -> None:
    """Both hellos were built before either was aborted."""
    pool = begun(Pool())
    first = pool.flows[-1]
    second = pool.given_up(B, V, X)
    shifted(second, first.segments[0].ns + MS // 2 - second.segments[0].ns)
    found = aborts(pool, tmp_path)
    assert len(found) == 2
    assert {after(f).state for f in found} == {"not_visible"}
