"""What is wrong with a service beside Java's rule, in one sentence: the worst first, and where it happens."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from inspector.document import About, Finding
from inspector.findings.case import Case
from inspector.findings.finding import Matter, Raised
from inspector.findings.scene import Occurrences
from inspector.tracking.backends import BackendGroup


class Trouble(NamedTuple):
    """Connections that failed for one reason. ``text``: it completes "failed: …"."""

    finding: Finding
    connections: tuple[int, ...]
    text: str


def troubles(happened: Occurrences) -> list[Trouble]:
    """All that is wrong, what hit most connections first."""
    listed = [
        *(_trouble(raised, raised.matter.text) for raised in happened.failures),
        *(_trouble(raised, raised.matter.text) for raised in happened.stale),
    ]
    return sorted(listed, key=lambda trouble: -len(trouble.connections))


def _trouble(raised: Raised[Matter], text: str) -> Trouble:
    return Trouble(raised.finding, tuple(observed.index for observed in raised.on), text)


def sentence(case: Case, listed: Sequence[Trouble], total: str) -> str:
    """``6 of 18 connections failed, all at back end B (db2.example.com): …``. ``total``: ``18 connections``."""
    hit = {index for trouble in listed for index in trouble.connections}
    worst = listed[0]
    alike = {index for trouble in listed if trouble.text == worst.text for index in trouble.connections}
    if alike == hit:
        return f"{len(hit)} of {total} failed{_where(case, worst)}: {worst.text}."
    most = f"{len(alike)} of them{_where(case, worst)}: {worst.text}"
    return f"{len(hit)} of {total} failed, {most}."


def _where(case: Case, worst: Trouble) -> str:
    """At which member of the pool, where that is known."""
    about = worst.finding.about
    backend = _backend(case, about)
    if about is None or backend is None:
        return ""
    certificate = case.certificates.get(backend.leaf or b"")
    name = f" ({certificate.common_name})" if certificate is not None and certificate.common_name else ""
    return f", all at back end {backend.label}{name}" if about.affected == len(worst.connections) else ""


def _backend(case: Case, about: About | None) -> BackendGroup | None:
    if about is None or about.backend is None:
        return None
    return next((backend for backend in case.backends if backend.id == about.backend), None)
