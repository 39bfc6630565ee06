"""What a probe of a service met, told from its connections as from any capture: nothing else says it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from inspector import document as doc
from inspector.findings.assessment import assess_rule
from inspector.findings.case import Case
from inspector.findings.into_document.connection import result
from inspector.findings.jsse import ROW_OF_ABORTS
from inspector.findings.prediction import extended_among
from inspector.findings.unseen import Aspect
from inspector.pool.placement import FAILED, UNTOLD, placement
from inspector.tracking.observed import Observed
from inspector.tracking.selection import ObservedSelection
from inspector.tracking.services import ServiceGroup, ip_text

Hidden = Sequence[tuple[doc.Unseen, Aspect]]
"""What was not seen of whole captures, as ``unseen.of_captures`` says."""


def probed(case: Case, service: ServiceGroup, hidden_everywhere: Hidden) -> doc.Probed | None:
    """None where no probe asked it."""
    by_address: dict[tuple[str, int], list[Observed]] = {}
    by_model: dict[str, list[Observed]] = {}
    probes = case.members(service).where(lambda shape: shape.traits.stack.is_probe)
    for observed in sorted(probes, key=lambda observed: observed.first_ns):
        by_address.setdefault((ip_text(observed.server.address), observed.server.port), []).append(observed)
        by_model.setdefault(observed.stack.stands_for, []).append(observed)
    if not by_address:
        return None
    return doc.Probed(
        addresses=[_address(case, ip, port, members) for (ip, port), members in by_address.items()],
        models=[_as(case, service, model, members, hidden_everywhere) for model, members in by_model.items()],
    )


def _as(
    case: Case, service: ServiceGroup, model: str, members: Sequence[Observed], hidden_everywhere: Hidden
) -> doc.ProbedAs:
    """What one JVM meets that was stood for."""
    selected = ObservedSelection.of(case.observed, members)
    row, assessment = assess_rule(case, service, selected, hidden_everywhere, extended_among(members))
    state = assessment.state
    answered = [s for s in members if s.answer is not None and s.backend >= 0]
    return doc.ProbedAs(
        model=model or None,
        connections=len(members),
        established=sum(s.outcome == "established" for s in members),
        resumed=sum(result(s) == "resumed" for s in members),
        declined=sum(s.declined for s in members),
        would_abort=sum(case.judgements[s.index].decision.row == ROW_OF_ABORTS for s in members),
        state=state if state in ("exposed", "protected") else "unknown",
        rule=row,
        grade=assessment.grade,
        tls13=_ids(case, (s.backend for s in answered if s.is_tls13)),
        ems=_ids(case, (s.backend for s in answered if not s.is_tls13 and _has_ems(s))),
        without_ems=_ids(case, (s.backend for s in answered if not s.is_tls13 and not _has_ems(s))),
    )


def _has_ems(observed: Observed) -> bool:
    return observed.answer is not None and observed.answer.extended_master_secret


def _ids(case: Case, backends: Iterable[int]) -> list[str]:
    return [case.backends[index].id for index in sorted({*backends})]


def _address(case: Case, ip: str, port: int, members: Sequence[Observed]) -> doc.ProbedAddress:
    met = placement([_answering(s) for s in members if not _is_cut_off(s)])
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


def _is_cut_off(observed: Observed) -> bool:
    """Whether it was still open when the probe was stopped, so that nothing tells who would have answered."""
    return observed.outcome == "incomplete" and observed.backend < 0


def _answering(observed: Observed) -> int:
    """Who answered, whatever became of the handshake."""
    if observed.answer is None:
        return FAILED
    return observed.backend if observed.backend >= 0 else UNTOLD
