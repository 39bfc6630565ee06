"""Recordings judged with logs, and lines as Puppet Server wrote them in several years."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from inspector.extract.processes import add_logs, extract
from inspector.facts import Facts
from inspector.findings.case import Case
from inspector.findings.judge import Analysis, judge
from inspector.logs.entries import LogFacts
from inspector.text.times import rfc3339
from tests.conftest import CAPTURES, find

SHARED = Path(__file__).parent.parent.parent / "shared" / "lab"
RESTRICTED = "server certificate change is restricted during renegotiation"
HOUR, SECOND, MILLISECOND = 3600 * 10**9, 10**9, 10**6


def old(ns: int, thread: int) -> str:
    at = rfc3339(ns)
    return (
        f"{at[:10]} {at[11:19]},{at[20:23]} ERROR [c.p.h.c.SyncHttpClient] Error executing http"
        f" request\njavax.net.ssl.SSLHandshakeException: {RESTRICTED}\n"
    )


def mixed(ns: int, thread: int) -> str:
    at = rfc3339(ns)
    return (
        f"{at[:10]} {at[11:19]},{at[20:23]} WARN  [qtp1-{thread}] [c.p.h.c.X] Error executing http request\nCaused by:"
        f" javax.net.ssl.SSLException: {RESTRICTED}\n"
    )


def today(ns: int, thread: int) -> str:
    return (
        f"{rfc3339(ns)[:23]}Z WARN  [qtp1-{thread}] [c.p.h.c.i.X] Error executing http"
        f" request\njavax.net.ssl.SSLHandshakeException: {RESTRICTED}\n"
    )


FORMATS: dict[str, Callable[[int, int], str]] = {"2014": old, "mixed": mixed, "today": today}


@lru_cache(maxsize=128)
def facts_of(path: str) -> Facts:
    return extract([path])


def with_logs(path: str, logs: list[LogFacts]) -> Analysis:
    facts = facts_of(path)
    facts.logs = logs
    try:
        analysis = judge(facts)
        assert analysis.document
        return analysis
    finally:
        facts.logs = []


def puppet(name: str) -> Analysis:
    facts = extract([str(find(name))])
    add_logs(facts, [str(CAPTURES / f"{name}.puppetserver.log.gz"), str(CAPTURES / f"{name}.haproxy.log.gz")])
    return judge(facts)


def paired_as(case: Case, rows: list[tuple[int, int]]) -> Counter[str]:
    """How the lines of a made log were paired. ``rows``: time and the connection's place, in the order of the log."""
    by_line = {line.failure.line: line for lines in case.logged.lines.values() for line in lines}
    found: Counter[str] = Counter()
    for number, (_, index) in enumerate(rows):
        line = by_line.get(2 * number + 1)
        if line is None:
            found["unpaired"] += 1
        elif line.is_certain:
            found["right" if line.candidates == (index,) else "wrong"] += 1
        else:
            found["set" if index in line.candidates else "wrong set"] += 1
    return found
