"""How a finding is made: of what a rule says of some connections, and what follows from these."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from sys import intern
from typing import Generic, NamedTuple, TypeVar

from inspector import bounds
from inspector.document import About, Evidence, Finding, Grade, Remedy, Severity, Verdict
from inspector.document.rules import SEVERITY, Rule
from inspector.findings.case import Case
from inspector.text.times import rfc3339
from inspector.tracking.backends import BackendGroup
from inspector.tracking.observed import Observed
from inspector.tracking.services import ClientGroup, ServiceGroup, short_id

Matter = TypeVar("Matter")
Member = TypeVar("Member")


class Raised(NamedTuple, Generic[Matter]):
    """A finding with what it was drawn from, so that nobody reads it out of its words. ``on``: the connections that it
    is about. ``matter``: what their rule says of them.
    """

    finding: Finding
    on: tuple[Observed, ...]
    matter: Matter

    @property
    def is_confirmed(self) -> bool:
        """Whether it is certain."""
        return self.finding.verdict == "confirmed"


def finding(
    case: Case,
    rule: Rule,
    *key: object,
    title: str,
    explanation: str,
    evidence: Iterable[Evidence],
    on: Sequence[Observed] = (),
    service: ServiceGroup | None = None,
    backends: Iterable[BackendGroup] | None = None,
    clients: Iterable[ClientGroup] | None = None,
    times: tuple[int, int] | None = None,
    count: int | None = None,
    severity: Severity | None = None,
    verdict: Verdict = "confirmed",
    grade: Grade = "observed",
    about: About | None = None,
    matter: str = "",
    what: str = "",
    remedies: Sequence[Remedy] = (),
    references: Sequence[str] = (),
) -> Finding:
    """The finding of a rule. ``key``: what tells it from others of the rule.

    ``on``: the connections that it names. By default they give its service (the last one's), its back ends and
    clients, how often (``count``) and from when to when (``times``, in ns: their first frames); a finding about no
    connection gives those that it has. ``severity``: where it is not the rule's own. ``what``: where it is not the
    title. What rests on connections alone of which bytes came in two versions is not certain, whatever the rule says.
    """
    if service is None and on:
        service = case.services[on[-1].service]
    if backends is None:
        backends = (case.backends[observed.backend] for observed in on if observed.backend >= 0)
    if clients is None:
        clients = (case.clients[observed.client] for observed in on)
    if times is None and on:
        times = on[0].first_ns, on[-1].first_ns
    if on and rule != Rule.CONFLICTING_SEGMENTS and all(observed.contradicted for observed in on):
        verdict, grade = ("possible" if verdict == "confirmed" else verdict), "inferred"
    first, last = map(rfc3339, times) if times is not None else (None, None)
    title, shown = intern(title), list(evidence)
    ids = [observed.id for observed in on]
    same = {each: each for each in ids}
    for each in shown:
        each.text = intern(each.text)
        if each.connection is not None:
            each.connection = same.get(each.connection, each.connection)
    return Finding(
        id=short_id(rule, *key),
        rule=rule,
        severity=severity if severity is not None else SEVERITY[rule],
        verdict=verdict,
        grade=grade,
        title=title,
        explanation=explanation,
        remedies=_in_common(*remedies),
        references=_in_common(*references),
        service=service.id if service is not None else None,
        backends=_in_common(*dict.fromkeys([backend.id for backend in backends])),
        clients=_in_common(*dict.fromkeys([client.id for client in clients])),
        connections=ids,
        first=first,
        last=last,
        count=count if count is not None else len(on),
        evidence=shown,
        about=about,
        matter=matter,
        what=what or title,
    )


@lru_cache(maxsize=bounds.CACHE)
def _in_common(*members: Member) -> list[Member]:
    """A list that findings share, for there may be one for every few connections; nobody changes it."""
    return list(members)
