"""What a probe of a service met, told from its connections as from any capture: nothing else says it."""

from __future__ import annotations

from collections.abc import Sequence

from inspector import document as doc
from inspector.findings.case import Case
from inspector.findings.jsse import ROW_OF_ABORTS
from inspector.pool.placement import FAILED, UNTOLD, placement
from inspector.tracking.clients import PROBE
from inspector.tracking.observed import Observed
from inspector.tracking.services import ServiceGroup, ip_text


def probed(case: Case, service: ServiceGroup) -> doc.Probed | None:
    """None where no probe asked it."""
    by_probe = [observed for observed in case.members(service) if observed.stack == PROBE]
    if not by_probe:
        return None
    by_address: dict[tuple[str, int], list[Observed]] = {}
    for observed in sorted(by_probe, key=lambda observed: observed.first_ns):
        by_address.setdefault((ip_text(observed.server.address), observed.server.port), []).append(observed)
    models = {capture.probed_as for capture in case.facts.captures if capture.is_probe}
    return doc.Probed(
        model=(models.pop() or None) if len(models) == 1 else None,
        addresses=[_address(case, ip, port, members) for (ip, port), members in by_address.items()],
        declined=sum(observed.declined for observed in by_probe),
        would_abort=sum(case.judgements[observed.index].decision.row == ROW_OF_ABORTS for observed in by_probe),
    )


def _address(case: Case, ip: str, port: int, members: Sequence[Observed]) -> doc.ProbedAddress:
    met = placement([_answering(s) for s in members])
    return doc.ProbedAddress(
        ip=ip,
        port=port,
        connections=len(members),
        failed=sum(s.outcome != "established" for s in members),
        unanswered=sum(s.answer is None for s in members),
        backends=[case.backends[index].id for index in met.members],
        order=met.order,
        fails_in_turn=met.fails_in_turn,
        missed=met.missed,
        unseen_share=met.unseen_share,
    )


def _answering(observed: Observed) -> int:
    """Who answered, whatever became of the handshake."""
    if observed.answer is None:
        return FAILED
    return observed.backend if observed.backend >= 0 else UNTOLD
