"""What came after a client aborted: one failure and then fine, or stuck with the session until it is forgotten.

JSSE of today drops the session as it aborts, and the next hello offers nothing. Before 8u60 and 7u85 it kept it: the
same session is offered again, and every answer in full with another certificate fails again, until the session times
out, after a day, or the program is started anew. An offered session proves whose cache it lay in, so what is offered
again is seen. That a session was dropped is inferred from another connection of the same program, which went well: an
address may hide several caches.

Offers that were built before the first abort was over say nothing: connections side by side offer what they had.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable, Iterator, Sequence
from functools import cached_property

from inspector import bounds
from inspector.document import Aftermath
from inspector.findings.case import Case
from inspector.findings.finding import Raised
from inspector.findings.signs import Weighed
from inspector.text.times import span
from inspector.tracking.closing import first_close
from inspector.tracking.indices_by_key import IndicesByKey
from inspector.tracking.ledger_session import LedgerSession
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection


def tell_aftermath(case: Case, aborts: Sequence[Raised[Weighed]]) -> None:
    """Say of aborts what came after them. Whoever tells of an abort as it happens does not know."""
    afterwards = Afterwards(case)
    for raised in aborts:
        aborted, abort = raised.on[-1], raised.finding
        aftermath = abort.aftermath = afterwards.of(aborted)
        if aftermath is not None:
            sentence = aftermath_words(aftermath, is_java=aborted.stack.name == "jsse")
            abort.explanation = f"{abort.explanation} {sentence}".strip()


class Afterwards:
    """What became of the sessions of a case, each looked at once."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._offered: dict[int, Aftermath | None] = {}
        """Of each session by its number, where it was offered again."""

    def of(self, aborted: Observed) -> Aftermath | None:
        """What came after an abort; None where the session that it offered is not known."""
        session = aborted.session
        if session is None:
            return None
        known, number = self._offered, aborted.entry.number
        if number not in known:
            known[number] = self._again(session)
        return known[number] or self._recovered(aborted)

    def _again(self, session: LedgerSession) -> Aftermath | None:
        """How often a session was offered after the first abort of it; None where it was not."""
        uses = [(self._case.observed[use >> 1], bool(use & 1)) for use in session.uses]
        aborts = [observed for observed, is_resumed in uses if not is_resumed and observed.gave_up]
        if not aborts:
            return None
        over_ns = min(map(_end_ns, aborts)) + bounds.RACE_NS
        later = [(observed, is_resumed) for observed, is_resumed in uses if observed.hello_ns > over_ns]
        if not later:
            return None
        failed = [observed for observed, is_resumed in later if not is_resumed and observed.gave_up]
        return Aftermath(
            state="stuck" if failed else "offered_again",
            grade="observed",
            offered=len(later),
            aborted=len(failed),
            connection=later[0][0].id,
            after_ns=_between(aborts[0], later[0][0]),
        )

    def _recovered(self, aborted: Observed) -> Aftermath:
        """The next connection of the same program to the same service."""
        peers = self._of_program.get(_program(aborted))
        over_ns = _end_ns(aborted)
        behind = _behind(peers, aborted.index) if peers is not None else iter(())
        later = next((o for o in behind if o.hello_ns > over_ns + bounds.RACE_NS), None)
        if later is None or later.outcome != "established":
            return Aftermath("not_visible", "not_visible", 0, 0, None, None)
        return Aftermath("recovered", "inferred", 0, 0, later.id, _between(aborted, later))

    @cached_property
    def _of_program(self) -> dict[Hashable, ObservedSelection]:
        """Connections of each program to each service, in the order of their hellos."""
        columns = self._case.columns
        groups = IndicesByKey[Hashable]()
        for index in range(len(columns)):
            shape = columns.shapes[columns.shape[index]]
            if shape.offer is not None and not columns.health_check[index]:
                groups[columns.client[index], shape.traits.program, columns.service[index]].append(index)
        return {program: ObservedSelection(self._case.observed, group) for program, group in groups.items()}


def _behind(connections: ObservedSelection, index: int) -> Iterator[Observed]:
    """Those that come later than one."""
    start = bisect_right(connections.indices, index)
    return (connections[number] for number in range(start, len(connections)))


def _between(aborted: Observed, later: Observed) -> int:
    """Nanoseconds from the first frame of one connection to that of the next."""
    return max(0, later.first_ns - aborted.first_ns)


def _program(observed: Observed) -> Hashable:
    return observed.client, observed.program, observed.service


def _end_ns(aborted: Observed) -> int:
    """When the client had given up: not before it began, in whatever order frames were captured."""
    alert = aborted.fatal_alert
    if alert is not None and alert.from_client:
        return max(alert.ns, aborted.hello_ns)
    close = first_close(aborted.client_leg.from_client)
    return max(close[0].ns, aborted.hello_ns) if close is not None else aborted.hello_ns


def aftermath_words(aftermath: Aftermath, *, is_java: bool) -> str:
    """A sentence; empty where nothing is known."""
    if aftermath.state == "not_visible" or aftermath.after_ns is None:
        return ""
    when = span(aftermath.after_ns)
    if aftermath.state == "recovered":
        return f"{when} later the same program connected again, and succeeded: it had let the session go (inferred)."
    offered = f"The same session was offered again {when} later, {_times(aftermath.offered)} in all"
    if aftermath.state == "offered_again":
        return f"{offered}, and was never aborted again."
    why = (
        "so Java did before 8u60 and 7u85; it lasts until the session times out, after a day, or until a restart"
        if is_java
        else "no Java of today does so, and the client is not known to be Java"
    )
    return f"{offered}, and aborted {_times(aftermath.aborted)} again: the client is stuck with it ({why}; inferred)."


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
