"""What the person has in hand: the analysis on screen, the service in view, the filter, and what was marked or picked.
Knows no Textual.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeVar, cast

from inspector.document import Document, Service
from inspector.facts import ConnectionFacts
from inspector.findings.judge import Analysis
from inspector.packets import reread as evidence
from inspector.packets.messages import RawMessage, raw_messages
from inspector.query.arrays import Columns
from inspector.query.language import compile_filter
from inspector.reports import overview
from inspector.settings import Settings
from inspector.text.zones import TimeZone
from inspector.tui.uncaptured import Stretch, between

if TYPE_CHECKING:
    from inspector.secrets.inputs import SecretInputs

T = TypeVar("T")


@dataclass(slots=True)
class View:
    """What an area opens with. ``sort``: the name of a column, with ``-`` before it for the largest first."""

    area: str = ""
    filter: str = ""
    sort: str = ""


class Picked(NamedTuple):
    """A message that was picked for a comparison."""

    title: str
    message: RawMessage


@dataclass(slots=True)
class AppState:
    """``service``: place of the service in view among the document's; None where there is none. ``marks``: connections
    by id, with their places.
    ``columns``: None until they are made.
    """

    paths: list[str]
    settings: Settings
    view: View
    analysis: Analysis | None = None
    columns: Columns | None = None
    service: int | None = None
    whole_from_ns: int = 0
    """Of connections before this time, some were forgotten."""
    is_live: bool = False
    """It goes on: what is newest stands first."""
    forgotten: int = 0
    """How many were."""
    unseen: tuple[Stretch, ...] = ()
    """When a live capture lost packets, or had no source."""
    is_chosen: bool = False
    """Somebody chose the service in view; else it is the one that matters most."""
    everything: bool = False
    """Connections, sessions, certificates and incidents of all services, not of the one in view."""
    secret_inputs: SecretInputs | None = None
    """The secrets that were asked for with the captures."""
    marks: dict[str, int] = field(default_factory=dict)
    picked: list[Picked] = field(default_factory=list)
    recent: list[str] = field(default_factory=list)
    """Filters, the last one first."""
    _kept: dict[object, object] = field(default_factory=dict)

    def kept(self, key: object, make: Callable[[], T]) -> T:
        """What ``make`` makes of the analysis, made once."""
        if key not in self._kept:
            self._kept[key] = make()
        return cast("T", self._kept[key])

    @property
    def zone(self) -> TimeZone:
        """Of all times that are shown."""
        chosen = self.settings.zone
        if self.analysis is None:
            return chosen
        return self.kept(("zone", chosen), lambda: overview.zone_over(self.document, chosen))

    @property
    def now(self) -> Analysis:
        """The analysis; screens are only shown once there is one."""
        assert self.analysis is not None
        return self.analysis

    @property
    def document(self) -> Document:
        """The document of the analysis."""
        return self.now.document

    def take(self, analysis: Analysis, columns: Columns | None, is_settled: bool = True) -> None:
        """Another analysis of the same captures, with more in it. What was in view stays in view, unless nobody chose
        it and that ``is_settled`` no more.
        """
        known = (
            self.in_view.id
            if self.analysis is not None and self.in_view is not None and (self.is_chosen or is_settled)
            else None
        )
        self.analysis, self.columns = analysis, columns
        self._kept.clear()
        services = analysis.document.services
        self.service = next((i for i, s in enumerate(services) if s.id == known), None)
        if self.service is None and services:
            first = overview.ordered(analysis.document)[0]
            self.service = next(i for i, s in enumerate(services) if s is first)
        if self.marks:
            places = analysis.case.columns.by_id()
            self.marks = {name: places[name] for name in self.marks if name in places}

    def forget(self, *, is_same_service: bool = False) -> None:
        """Other captures come; ``is_same_service``: of the service in view."""
        self.marks.clear()
        self.view.filter = ""
        self.is_chosen = is_same_service

    def choose(self, service_id: str) -> None:
        """Have a service in view, if it is there."""
        indexes = {service.id: index for index, service in enumerate(self.document.services)}
        self.service = indexes.get(service_id, self.service)
        self.is_chosen, self.everything = True, False

    @property
    def stamp(self) -> object:
        """Equal where screens would show the same."""
        return (id(self.analysis), id(self.columns), self.service, self.everything, self.view.filter, self.view.sort)

    @property
    def in_view(self) -> Service | None:
        """The service in view."""
        return self.document.services[self.service] if self.service is not None else None

    @property
    def scope(self) -> int | None:
        """The place of the service whose connections are shown; None for all."""
        return None if self.everything else self.service

    def indexes(self) -> list[int]:
        """The connections that scope, filter and sort leave. Needs the columns for a filter or a sort. Raises
        FilterError.
        """
        if self.columns is None:
            return (
                list(range(self.now.count))
                if self.scope is None
                else list(self.now.case.services[self.scope].connections)
            )
        test = compile_filter(self.view.filter) if self.view.filter else None
        rows = self.columns.matching(test, self.scope)
        if self.view.sort:
            rows = self.columns.ordered(rows, self.view.sort.removeprefix("-"), self.view.sort.startswith("-"))
        indexes: list[int] = rows.tolist()
        return indexes

    @property
    def remembered(self) -> str:
        """That some connections were forgotten; empty where none were."""
        count = self.now.count
        return f"the last {count:,} of {count + self.forgotten:,}" if self.forgotten else ""

    @property
    def unknown(self) -> list[Stretch]:
        """When nobody saw what went on."""
        return [*between(self.now.case.facts.captures), *self.unseen]

    def flows(self, indexes: Sequence[int]) -> list[evidence.FlowFrames]:
        """The flows of some connections, all their legs."""
        observed = self.now.case.observed
        return [evidence.flow_of(leg) for i in indexes for leg in (observed[i].client_leg, *observed[i].legs)]

    def messages(self, connection: ConnectionFacts, is_stopped: Callable[[], bool] = lambda: False) -> list[RawMessage]:
        """The messages of a connection with their bytes, read again from the captures. Raises UnreadableError."""
        return raw_messages(
            self.paths, connection, is_stopped, self.secret_inputs, evidence.clocks_late(self.now.case.facts.captures)
        )

    def remember(self, expression: str) -> None:
        """A filter that was used."""
        self.recent = [expression, *(e for e in self.recent if e != expression)][:20]
