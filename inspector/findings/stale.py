"""``stale-connection-used``: requests that were lost because the client wrote on connections that had been closed for
being idle.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.document import About, Evidence, Remedy
from inspector.document.rules import Rule
from inspector.findings.case import Case, frames
from inspector.findings.finding import Raised, finding
from inspector.pool.attributes import PoolAttribute
from inspector.text.times import rfc3339, span
from inspector.tracking.backends import BackendGroup
from inspector.tracking.idle import IdleClose, StaleUse, idle_close, quiet_spell, stale_use
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup

RULE = Rule.STALE_CONNECTION_USED
MOST_SHOWN = 3
"""Connections whose frames are evidence."""

WHO = {True: "the server", False: "the balancer or the server"}
"""Who closed, by whether it was the server itself."""

FEWEST = 2
"""Connections of which a back end's own time-out is told."""


class Stale(NamedTuple):
    """The idle connections of a service that were closed, by connection; which of them were used afterwards, and which
    back end alone closes so soon, where one does.
    """

    closed: dict[int, IdleClose]
    used: dict[int, StaleUse]
    backend: BackendGroup | None

    @property
    def is_own(self) -> bool:
        """Whether the server itself closed: a goodbye is said by the end of TLS, and a balancer that passes bytes on
        has none to say.
        """
        return all(close.has_goodbye for close in self.closed.values())

    @property
    def text(self) -> str:
        """Completes "failed: …"."""
        return f"they were used after {WHO[self.is_own]} had closed them for being idle"


def stale(case: Case) -> Iterator[Raised[Stale]]:
    """One for each service."""
    for service in case.services:
        members = case.members(service)
        quiet_ns = case.columns.quiet_ns
        quiet = (case.observed[index] for index in members.indices if quiet_ns[index])
        closed = {observed.index: close for observed in quiet if (close := idle_close(observed)) is not None}
        used = {
            index: use for index, close in closed.items() if (use := stale_use(case.observed[index], close)) is not None
        }
        if used:
            yield _raised(case, service, members, Stale(closed, used, _alone(case, members, closed)))


def _alone(case: Case, members: Sequence[Observed], closed: dict[int, IdleClose]) -> BackendGroup | None:
    """The only back end that closes idle connections, where others let them be idle for longer."""
    closing = {case.observed[index].backend for index in closed}
    if len(closing) != 1 or -1 in closing or len(closed) < FEWEST:
        return None
    (backend,) = closing
    longest = max(close.idle_ns for close in closed.values())
    patient = [o for o in members if o.backend not in (-1, backend) and quiet_spell(o) > longest]
    return case.backends[backend] if len(patient) >= FEWEST else None


def _raised(case: Case, service: ServiceGroup, members: Sequence[Observed], matter: Stale) -> Raised[Stale]:
    used = [case.observed[index] for index in matter.used]
    who, count = WHO[matter.is_own], len(used)
    them, were = ("them", "s{to} were") if count > 1 else ("it", "{to} was")
    idle = _between(sorted(close.idle_ns for close in matter.closed.values()))
    reached = [o for o in members if matter.backend is None or o.backend == matter.backend.index]
    elsewhere = len(members) - len(reached)
    to = f" to back end {matter.backend.label}" if matter.backend is not None else ""
    return Raised(
        finding(
            case,
            RULE,
            service.id,
            on=used,
            about=About(
                attribute=PoolAttribute.STALE,
                backend=matter.backend.id if matter.backend is not None else None,
                value=f"closed after {idle} idle",
                others="not closed" if matter.backend is not None else "",
                since=rfc3339(min(close.ns for close in matter.closed.values())),
                affected=count,
                reached=len(reached),
                elsewhere_affected=0,
                elsewhere=elsewhere,
            ),
            title=f"{count} connection{were.format(to=to)} used after {who} had closed {them} for being idle",
            what=f"connections{to} failed: {matter.text}",
            matter="stale",
            explanation=" ".join(_explained(matter, who, idle, to)),
            remedies=_remedies(matter, service),
            evidence=[
                evidence for index in list(matter.used)[:MOST_SHOWN] for evidence in _evidence(case, matter, index)
            ],
        ),
        tuple(used),
        matter,
    )


def _between(values: list[int]) -> str:
    """``1.0 s``, or ``1.0 s to 9.9 s``."""
    low, high = span(values[0]), span(values[-1])
    return low if low == high else f"{low} to {high}"


def _explained(matter: Stale, who: str, idle: str, to: str) -> Iterator[str]:
    used = list(matter.used.values())
    yield f"{who[0].upper()}{who[1:]} closed {_counted(len(matter.closed))}{to} after {idle} without a request."
    late = _between(sorted(use.late_ns for use in used))
    resets = sum(use.reply == "rst" for use in used)
    came = (
        "a RST came back"
        if resets == len(used)
        else "nothing came back"
        if not resets
        else f"a RST came back on {resets}, nothing on the others"
    )
    them = f"{len(used)} of them" if len(matter.closed) > 1 else "it"
    lost = "these requests were" if len(used) > 1 else "its request was"
    yield f"The client wrote on {them} {late} later, and {came}: {lost} lost."
    if not matter.is_own:
        yield "No TLS alert went before the FIN, as a server's own time-out mostly sends one and a balancer cannot."


def _counted(connections: int) -> str:
    return f"{connections} connection{'s' * (connections > 1)}"


def _remedies(matter: Stale, service: ServiceGroup) -> list[Remedy]:
    limit = span(min(close.idle_ns for close in matter.closed.values()))
    name = f"{service.name}:{service.port}"
    remedies = [
        Remedy(
            "owners of the client",
            f"Let the client drop idle connections to {name} after less than {limit}, or look for the end of"
            " file before it writes, and repeat what may be repeated.",
            "inspector diff before.pcap after.pcap",
        )
    ]
    if matter.backend is not None:
        owner, where = "owners of the back end", f"at back end {matter.backend.label}, as the others have it"
    elif matter.is_own:
        owner, where = "owners of the server", "at the server"
    else:
        owner, where = "balancer", "at the balancer (HAProxy: timeout client and timeout server)"
    remedies.insert(
        0 if matter.backend is not None else 1,
        Remedy(
            owner,
            f"Raise the time-out for idle connections, {limit} now, above the client's {where}.",
            "inspector diff before.pcap after.pcap",
        ),
    )
    return remedies


def _evidence(case: Case, matter: Stale, index: int) -> Iterator[Evidence]:
    use, observed = matter.used[index], case.observed[index]
    yield Evidence(
        "closed",
        observed.id,
        frames(use.close.frame),
        f"closed from the server's side after {span(use.close.idle_ns)} idle",
    )
    yield Evidence("used", observed.id, frames(use.frame), f"the client writes {span(use.late_ns)} later")
    if use.reply_frame:
        yield Evidence("reset", observed.id, frames(use.reply_frame), "RST")
