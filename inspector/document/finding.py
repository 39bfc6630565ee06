"""Findings as the document has them: what each claims, how sure it is, what proves it, and what to do."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from inspector.document.handshake import FrameRef
from inspector.document.rules import Rule, Severity

Grade = Literal["observed", "inferred", "not_visible"]
Verdict = Literal["confirmed", "possible", "predicted"]


class Remedy(Struct, frozen=True):
    audience: str
    text: str
    check: str


class Evidence(Struct, gc=False):
    role: str
    connection: str | None
    frames: list[FrameRef]
    text: str


class About(Struct, gc=False):
    """In what some connections differ from others, mostly because of the member of the pool that they reached.
    ``backend``: its id; None where it is not told which one, or all are alike. ``value``, ``others``: what it has
    there, and what the others have. ``since``: when it was first seen with it; ``changed``: before, it was not so.
    ``affected`` of the ``reached`` connections failed, and ``elsewhere_affected`` of those ``elsewhere``.
    """

    attribute: str
    backend: str | None
    value: str
    others: str
    since: str | None
    affected: int
    reached: int
    elsewhere_affected: int
    elsewhere: int
    changed: bool = False


class Aftermath(Struct, gc=False):
    """What came after an abort. ``state``: ``stuck``, the session was offered again and aborted again;
    ``offered_again``, it was not aborted again; ``recovered``, it was not offered again, and the next connection of the
    same program went well; else ``not_visible``. ``offered``: how often again, of which ``aborted``. ``connection``:
    the next one, by id, ``after_ns``: from the first frame of the aborted connection to its own.
    """

    state: Literal["stuck", "offered_again", "recovered", "not_visible"]
    grade: Grade
    offered: int
    aborted: int
    connection: str | None
    after_ns: int | None


class Finding(Struct, gc=False, kw_only=True):
    """``aftermath``: of an abort, where the session that was offered is known. ``about``: in what the connections
    differ from others; None where that is no matter of difference. ``matter``: what of its rule it is about, the same
    in every analysis: why handshakes failed, in what back ends differ, whose certificate it is. ``what``: the title
    without what is counted or named anew in each analysis.
    """

    id: str
    rule: Rule
    severity: Severity
    verdict: Verdict
    grade: Grade
    title: str
    explanation: str
    remedies: list[Remedy]
    references: list[str]
    service: str | None
    backends: list[str]
    clients: list[str]
    connections: list[str]
    first: str | None
    last: str | None
    count: int
    evidence: list[Evidence]
    about: About | None = None
    matter: str = ""
    what: str = ""
    aftermath: Aftermath | None = None


class Incident(Struct, gc=False):
    """``path``: what the summary says behind the time."""

    id: str
    service: str
    at: str
    connections: list[str]
    findings: list[str]
    summary: str
    path: str = ""
