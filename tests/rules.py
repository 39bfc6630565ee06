"""What tests of rules share: a pool of two servers, and what its judgement holds."""

from __future__ import annotations

from collections.abc import Callable

from inspector.document import Document, Finding
from tests.build import Pool, certificate, numbered

Judged = Callable[[Pool], Document]
A = certificate("puppetdb1", ("puppetdb1.example.com",))
B = certificate("puppetdb2", ("puppetdb2.example.com",))
SHARED_A = certificate("puppetdb1", ("puppetdb1.example.com", "puppetdb.example.com"))
SHARED_B = certificate("puppetdb2", ("puppetdb2.example.com", "PuppetDB.example.com"))
X, Y, Z = (numbered(n) for n in (1, 2, 3))


def of(document: Document, rule: str) -> list[Finding]:
    return [f for f in document.findings if f.rule == rule]


def state(document: Document) -> str:
    (service,) = document.services
    return service.assessment.state


def resumed_then_declined(pool: Pool, first: bytes = A, second: bytes = B, alert: int | None = 42) -> Pool:
    pool.full(first, X)
    pool.resumed(X)
    pool.given_up(second, Y, X, alert=alert)
    pool.full(second, Z)
    return pool
