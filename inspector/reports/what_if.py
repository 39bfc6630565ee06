"""What would have helped, in words: a table of the remedies, a line each, and what the counterfactual assumes."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.document import Counterfactual, Document, Service
from inspector.document.rules import Rule
from inspector.reports.lines import Kind, Line, columns, plain, uniform, wrap
from inspector.text.cells import cell_count

WEIGHED = (Rule.CERTIFICATE_CHANGE_ABORT, Rule.CERTIFICATE_CHANGE_EXPOSED)
"""Rules whose remedies are weighed."""

MOST_LABELS = 4
MOST_HARMFUL = 3
"""Rollouts that are named, of those which bring new aborts."""
MARKS = ("●", "◇", "▲")
"""Sufficient; not; brings new ones."""
MARK_KINDS: dict[str, Kind] = {"●": "good", "◇": "", "▲": "warn"}
REMEDIES = {
    "ems": "EMS",
    "shared_name": "one name",
    "tls13": "TLS 1.3",
    "affinity": "source affinity at the balancer",
}
ASSUMED = (
    "Assumed: the same connections, at the same back ends, in the same order; caches as Java keeps them. Simulated:"
    " what a cache would have held since it went otherwise; affinity keeps each client at its first back end."
)
NOT_WEIGHED = (
    "Not weighed: several server_urls instead of the virtual IP (each name has its own session cache, so no change is"
    " met); jdk.tls.allowUnsafeServerCertChange=true (switches the check off; not recommended)."
)
NOTES = (ASSUMED, NOT_WEIGHED)


def rows(document: Document, service: Service) -> list[list[str]]:
    """A head, and a row for each remedy, best first; empty where nothing was weighed."""
    if not service.what_if:
        return []
    harmful = [weighed for weighed in service.what_if if weighed.new_exposures]
    shown = [weighed for weighed in service.what_if if weighed not in harmful[MOST_HARMFUL:]]
    labels = {b.id: b.label for b in document.backends}
    return [
        ["WOULD HAVE HELPED", f"{_what(service)} prevented", "new", "basis"],
        *(_row(weighed, labels, service) for weighed in shown),
    ]


def more(service: Service) -> int:
    """How many rollouts that bring new aborts are not among the rows."""
    return max(sum(weighed.new_exposures > 0 for weighed in service.what_if) - MOST_HARMFUL, 0)


def best(document: Document, service: Service) -> str:
    """The best remedy in a line; empty where none prevents anything."""
    first = next((weighed for weighed in service.what_if if weighed.prevented), None)
    if first is None:
        return ""
    remedy, prevented, new, _ = _row(first, {b.id: b.label for b in document.backends}, service)
    harm = f", {new} new" if first.new_exposures else ""
    return f"{remedy[0]} would prevent {prevented} {_what(service)}{harm}: {remedy[2:]}"


def weighed_lines(document: Document, service: Service, width: int = 98) -> list[Line]:
    """The table, how many rollouts it leaves out, and what that assumes. Where it is too wide the basis is left out."""
    listed = rows(document, service)
    if not listed:
        return []
    if max(cell_count(plain(line)) for line in columns(listed)) > width:
        listed = [row[:-1] for row in listed]
    head, *body = columns(listed, right=[1, 2])
    lines: list[Line] = [[(plain(head), "head")]]
    for line in body:
        lines += uniform(wrap(plain(line), "", "    ", width), MARK_KINDS[plain(line)[0]])
    further = more(service)
    if further:
        lines.append([(f"and {further} more rollouts that bring new ones; -T json has all", "")])
    return [*lines, *(line for note in NOTES for line in uniform(wrap(note, "  ", "  ", width), "dim"))]


def _what(service: Service) -> str:
    return "aborts" if service.what_if[0].of_what == "aborted" else "exposures"


def _row(weighed: Counterfactual, labels: dict[str, str], service: Service) -> list[str]:
    mark = MARKS[0 if weighed.is_sufficient else 2 if weighed.new_exposures else 1]
    unclear = f", {weighed.not_judged} unclear" if weighed.not_judged else ""
    return [
        f"{mark} {_remedy(weighed, labels, service)}",
        f"{weighed.prevented} of {weighed.of}",
        str(weighed.new_exposures),
        weighed.basis + unclear,
    ]


def _remedy(weighed: Counterfactual, labels: dict[str, str], service: Service) -> str:
    """``EMS at B, C alone``, ``one name in all certificates``, ``TLS 1.3 at all back ends and the client``."""
    name = REMEDIES[weighed.remedy]
    if weighed.remedy == "affinity":
        return name
    is_all = len(weighed.backends) == len(service.backends)
    listed = _listed([labels[backend] for backend in weighed.backends])
    if weighed.remedy == "shared_name":
        return f"{name} in all certificates" if is_all else f"{name}: into the certificates of {listed} too"
    clients = "the client" if len(weighed.clients) == 1 else f"{len(weighed.clients)} clients"
    if weighed.new_exposures and not is_all:
        return f"{name} at {f'{clients} and ' if weighed.clients else ''}{listed} alone"
    where = [*(["all back ends" if is_all else listed] if listed else []), *([clients] if weighed.clients else [])]
    return f"{name} at {' and '.join(where)}"


def _listed(labels: Sequence[str]) -> str:
    further = len(labels) - MOST_LABELS
    return ", ".join(labels[:MOST_LABELS]) + (f" and {further} more" if further > 0 else "")
